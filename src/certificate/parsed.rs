//! A certificate read: whom it names, when it is valid, whose key it is for.
//! Whether it is valid now, and whether anybody trusts it, is for others.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chrono::{DateTime, Utc};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::X509Name;

use super::{CertificateError, Subject, UnitKey, pem};

/// One certificate. Equal when every byte is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Empty when there is none.
    pub common_name: String,
    pub addresses: BTreeSet<IpAddr>,
    /// In lower case.
    pub dns_names: BTreeSet<String>,
    pub not_before: DateTime<Utc>,
    pub not_after: DateTime<Utc>,
    /// Lower-case hex.
    pub serial: String,
    /// As text, for people: compare certificates, not these.
    pub issuer: String,
    pub subject: String,
    /// subjectPublicKey, without the algorithm.
    pub public_key: Vec<u8>,
    /// basicConstraints says CA.
    pub is_ca: bool,
    der: Vec<u8>,
}

impl Certificate {
    /// The first certificate of a PEM text.
    pub fn parse(text: &str) -> Result<Self, CertificateError> {
        Self::from_der(pem::certificates(text)?.swap_remove(0))
    }

    /// Every certificate of a PEM text, at least one.
    pub fn parse_all(text: &str) -> Result<Vec<Self>, CertificateError> {
        pem::certificates(text)?.into_iter().map(Self::from_der).collect()
    }

    pub(super) fn from_der(der: Vec<u8>) -> Result<Self, CertificateError> {
        let bad = |why: &str| CertificateError::BadCertificate { why: why.to_owned() };
        let (rest, parsed) = X509Certificate::from_der(&der).map_err(|error| bad(&error.to_string()))?;
        if !rest.is_empty() {
            return Err(bad("bytes after its end"));
        }
        let time = |seconds| DateTime::from_timestamp(seconds, 0).ok_or_else(|| bad("a date out of range"));
        let names = parsed.subject_alternative_name().map_err(|error| bad(&error.to_string()))?;
        let (addresses, dns_names) =
            names.map(|names| alternative_names(&names.value.general_names)).unwrap_or_default();
        Ok(Self {
            common_name: common_name(parsed.subject()),
            addresses,
            dns_names,
            not_before: time(parsed.validity().not_before.timestamp())?,
            not_after: time(parsed.validity().not_after.timestamp())?,
            serial: pem::hex(parsed.raw_serial()),
            issuer: parsed.issuer().to_string(),
            subject: parsed.subject().to_string(),
            public_key: parsed.public_key().subject_public_key.data.to_vec(),
            is_ca: parsed.is_ca(),
            der,
        })
    }

    pub fn belongs_to(&self, key: &UnitKey) -> bool {
        self.public_key == key.public()
    }

    /// Does it hold every address and every name? Others may be in it too.
    pub fn covers(&self, subject: &Subject) -> bool {
        subject.addresses.is_subset(&self.addresses) && subject.dns_names().is_subset(&self.dns_names)
    }

    /// SHA-256 of the DER, lower-case hex.
    pub fn fingerprint(&self) -> String {
        pem::sha256(&self.der)
    }

    /// One PEM block, ends with a line break.
    pub fn to_pem(&self) -> String {
        pem::certificate(&self.der)
    }

    pub fn is_self_signed(&self) -> bool {
        self.is_signed_by(self)
    }

    /// Is the issuer's name the other's subject, byte for byte (as Go and rustls
    /// compare), and the signature of the other's key? ECDSA P-256 and P-384,
    /// RSA from 2048 bits, Ed25519: what ring, and with it rustls, can verify.
    pub fn is_signed_by(&self, issuer: &Certificate) -> bool {
        let read = |der| X509Certificate::from_der(der).map(|(_, parsed)| parsed);
        let (Ok(mine), Ok(theirs)) = (read(&self.der), read(&issuer.der)) else { return false };
        mine.issuer().as_raw() == theirs.subject().as_raw() && mine.verify_signature(Some(theirs.public_key())).is_ok()
    }
}

pub(super) fn common_name(name: &X509Name<'_>) -> String {
    name.iter_common_name().next().and_then(|name| name.as_str().ok()).unwrap_or_default().to_owned()
}

/// Addresses, and DNS names in lower case; other kinds are left alone.
pub(super) fn alternative_names(names: &[GeneralName<'_>]) -> (BTreeSet<IpAddr>, BTreeSet<String>) {
    let mut addresses = BTreeSet::new();
    let mut dns_names = BTreeSet::new();
    for name in names {
        match name {
            GeneralName::DNSName(name) => {
                dns_names.insert(name.to_ascii_lowercase());
            }
            GeneralName::IPAddress(bytes) => addresses.extend(address(bytes)),
            _ => {}
        }
    }
    (addresses, dns_names)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = || <[u8; 4]>::try_from(bytes).ok().map(|bytes| Ipv4Addr::from(bytes).into());
    let sixteen = || <[u8; 16]>::try_from(bytes).ok().map(|bytes| Ipv6Addr::from(bytes).into());
    four().or_else(sixteen)
}
