//! The server's own CA and certificate: made once, the leaf again when the names change or it grows old.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use time::OffsetDateTime;

use crate::home::{Home, replace};

const DAY: Duration = Duration::from_secs(86400);
const CA_DAYS: u32 = 3650;
const LEAF_DAYS: u32 = 825;
const LEAF_RENEWED_AFTER: Duration = DAY.saturating_mul(400);

/// Makes what is missing; true when there is a new certificate for the server.
pub fn ensure(home: &Home, address: IpAddr, hostname: &str) -> Result<bool> {
    fs::create_dir_all(home.file("tls")).context("making the directory `tls`")?;
    let mut names = vec![address.to_string(), "localhost".to_owned()];
    if !hostname.is_empty() {
        names.extend([hostname.to_owned(), format!("*.{hostname}")]);
    }
    let issuer = ca(home).context("making the CA")?;
    let names_file = home.file("tls/server.names");
    let wanted = names.join("\n");
    let young = |file: fs::Metadata| file.modified().is_ok_and(|at| age(at) < LEAF_RENEWED_AFTER);
    let current = fs::metadata(home.file("tls/server.crt")).is_ok_and(young)
        && fs::read_to_string(&names_file).is_ok_and(|kept| kept == wanted);
    if !current {
        leaf(home, address, &names, &issuer).context("making the server's certificate")?;
        replace(&names_file, wanted.as_bytes(), 0o644)?;
    }
    Ok(!current)
}

pub fn ca_pem(home: &Home) -> io::Result<String> {
    fs::read_to_string(home.file("tls/ca.crt"))
}

fn ca(home: &Home) -> Result<Issuer<'static, KeyPair>> {
    let mut params = CertificateParams::default();
    // Another subject than the leaf's: OpenSSL takes a leaf named like its issuer for self-signed.
    params.distinguished_name = subject("object-storage test CA");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    (params.not_before, params.not_after) = validity(CA_DAYS);
    let (cert_file, key_file) = (home.file("tls/ca.crt"), home.file("tls/ca.key"));
    if let (Ok(key), true) = (fs::read_to_string(&key_file), cert_file.exists()) {
        return Ok(Issuer::new(params, KeyPair::from_pem(&key)?));
    }
    let key = KeyPair::generate()?;
    let cert = params.self_signed(&key)?;
    replace(&key_file, key.serialize_pem().as_bytes(), 0o600)?;
    replace(&cert_file, cert.pem().as_bytes(), 0o644)?;
    Ok(Issuer::new(params, key))
}

fn leaf(home: &Home, address: IpAddr, names: &[String], issuer: &Issuer<'_, KeyPair>) -> Result<()> {
    // The address is a DNS name too: pgBackRest 2.45 does not look at IP names.
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    for name in names {
        params.subject_alt_names.push(SanType::DnsName(name.as_str().try_into()?));
    }
    params.subject_alt_names.push(SanType::IpAddress(address));
    params.distinguished_name = subject("object-storage server");
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    (params.not_before, params.not_after) = validity(LEAF_DAYS);
    let key = KeyPair::generate()?;
    let cert = params.signed_by(&key, issuer)?;
    replace(&home.file("tls/server.key"), key.serialize_pem().as_bytes(), 0o600)?;
    replace(&home.file("tls/server.crt"), cert.pem().as_bytes(), 0o644)?;
    Ok(())
}

fn subject(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

/// From yesterday: the clocks of the machines in a test need not agree.
fn validity(days: u32) -> (OffsetDateTime, OffsetDateTime) {
    let now = SystemTime::now();
    ((now - DAY).into(), (now + DAY * days).into())
}

fn age(at: SystemTime) -> Duration {
    SystemTime::now().duration_since(at).unwrap_or_default()
}
