//! A set of CA certificates. Which CAs belong in it is for policy.

use std::collections::{BTreeMap, BTreeSet};

use super::{Certificate, CertificateError, pem};

/// CA certificates by fingerprint, so that the same set is always the same text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Bundle {
    by_fingerprint: BTreeMap<String, Certificate>,
}

impl Bundle {
    /// Every CA of a PEM text; none at all is an empty bundle. Certificates that
    /// are no CA are left out: as trust anchors they would surprise. A broken one is an error.
    pub fn from_pem(text: &str) -> Result<Self, CertificateError> {
        let all = pem::certificates_or_none(text)?.into_iter().map(Certificate::from_der);
        all.collect::<Result<Vec<_>, _>>().map(|all| all.into_iter().collect())
    }

    pub fn union(mut self, other: &Bundle) -> Self {
        self.by_fingerprint.extend(other.by_fingerprint.clone());
        self
    }

    /// In the order of the fingerprints.
    pub fn to_pem(&self) -> String {
        self.certificates().map(Certificate::to_pem).collect()
    }

    /// SHA-256, lower-case hex.
    pub fn fingerprints(&self) -> BTreeSet<String> {
        self.by_fingerprint.keys().cloned().collect()
    }

    pub fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.by_fingerprint.values()
    }

    pub fn is_empty(&self) -> bool {
        self.by_fingerprint.is_empty()
    }

    /// Is it signed by one of them, with no intermediate between?
    pub fn issued(&self, certificate: &Certificate) -> bool {
        self.certificates().any(|ca| certificate.is_signed_by(ca))
    }
}

impl FromIterator<Certificate> for Bundle {
    fn from_iter<T: IntoIterator<Item = Certificate>>(all: T) -> Self {
        let cas = all.into_iter().filter(|certificate| certificate.is_ca);
        Self { by_fingerprint: cas.map(|ca| (ca.fingerprint(), ca)).collect() }
    }
}
