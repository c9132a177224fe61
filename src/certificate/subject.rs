//! Whom a unit's certificate names. Which addresses a unit has is for others.

use std::collections::BTreeSet;
use std::net::IpAddr;

use rcgen::{CertificateParams, DistinguishedName, DnType, SanType};

use super::CertificateError;

/// A member and all the ways to reach it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    /// The common name, cut to 64 characters (RFC 5280, ub-common-name).
    pub member: String,
    /// Each becomes an IP name, for Go, OpenSSL and rustls, and a DNS name of
    /// the same text: pgBackRest 2.45 does not look at IP names.
    pub addresses: BTreeSet<IpAddr>,
    /// Host names.
    pub names: BTreeSet<String>,
}

impl Subject {
    /// Without a way to reach it.
    pub fn named(member: String) -> Self {
        Self { member, addresses: BTreeSet::new(), names: BTreeSet::new() }
    }

    pub fn common_name(&self) -> String {
        cut(&self.member)
    }

    /// All DNS names, in lower case: host names, and addresses as text.
    pub fn dns_names(&self) -> BTreeSet<String> {
        let names = self.names.iter().map(|name| name.to_ascii_lowercase());
        names.chain(self.addresses.iter().map(ToString::to_string)).collect()
    }

    /// Subject and names, nothing else set.
    pub(super) fn params(&self) -> Result<CertificateParams, CertificateError> {
        let mut params = CertificateParams::default();
        params.distinguished_name = named(self.common_name());
        for name in self.dns_names() {
            let ascii = name.as_str().try_into().map_err(|_| CertificateError::BadName { name: name.clone() })?;
            params.subject_alt_names.push(SanType::DnsName(ascii));
        }
        params.subject_alt_names.extend(self.addresses.iter().map(|address| SanType::IpAddress(*address)));
        Ok(params)
    }
}

/// The first 64 characters.
pub(super) fn cut(name: &str) -> String {
    name.chars().take(64).collect()
}

pub(super) fn named(common_name: String) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common_name);
    name
}
