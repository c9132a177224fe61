//! The CA: made with a name of its own, kept in one file that nobody else reads. What it signs is `issue`'s to say.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use rcgen::{BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use serde::{Deserialize, Serialize};
use time::{Duration, OffsetDateTime};

/// Longer than any certificate that it signs.
const CA_DAYS: i64 = 20 * 365;

/// Where a unit keeps its CA.
#[derive(Debug, Clone)]
pub struct Home(PathBuf);

/// No `Debug`: the key is in it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Authority {
    pub name: String,
    /// PEM, without a newline at its end: so it is published and compared.
    pub certificate: String,
    key: String,
}

impl Home {
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.0.join("authority.json")
    }

    /// The CA that is kept, or the first one.
    pub fn ensure(&self, app: &str, now: OffsetDateTime) -> Result<Authority> {
        match fs::read(self.file()) {
            Ok(bytes) => serde_json::from_slice(&bytes).context("reading the CA"),
            Err(err) if err.kind() == io::ErrorKind::NotFound => self.renew(app, now),
            Err(err) => Err(err).context("reading the CA"),
        }
    }

    /// A new CA in the place of the old one.
    pub fn renew(&self, app: &str, now: OffsetDateTime) -> Result<Authority> {
        let authority = Authority::make(app, now).context("making a CA")?;
        replace(&self.file(), &serde_json::to_vec_pretty(&authority)?).context("keeping the CA")?;
        Ok(authority)
    }
}

impl Authority {
    pub fn make(app: &str, now: OffsetDateTime) -> Result<Self> {
        let mut tag = [0; 4];
        getrandom::fill(&mut tag).map_err(|err| anyhow!("no random number: {err}"))?;
        // A name per CA: OpenSSL looks an issuer up by its subject, and takes a leaf named like it for self-signed.
        let name = format!("{app} CA {:08x}", u32::from_be_bytes(tag));
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name.as_str());
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        // From yesterday: the clocks of the machines in a test need not agree.
        (params.not_before, params.not_after) = (now - Duration::days(1), now + Duration::days(CA_DAYS));
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem().trim().to_owned();
        Ok(Self { name, certificate, key: key.serialize_pem() })
    }

    pub fn issuer(&self) -> Result<Issuer<'static, KeyPair>, rcgen::Error> {
        Issuer::from_ca_cert_pem(&self.certificate, KeyPair::from_pem(&self.key)?)
    }
}

/// A reader sees the old file or the new one, never half of one.
fn replace(path: &Path, contents: &[u8]) -> io::Result<()> {
    let beside = path.with_extension(format!("new-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(contents)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    File::open(path.parent().unwrap_or(Path::new("/")))?.sync_all()
}
