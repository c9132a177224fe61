//! Certificate requests (PKCS #10): ours, and whether a published one still is.

use std::collections::BTreeSet;
use std::net::IpAddr;

use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::extensions::ParsedExtension;
use x509_parser::prelude::FromDer as _;

use super::parsed::{Certificate, alternative_names, common_name};
use super::{CertificateError, Subject, UnitKey, pem};

/// The request as PEM without blanks around it, as the interface tls-certificates writes it.
pub fn request(key: &UnitKey, subject: &Subject) -> Result<String, CertificateError> {
    let signing = |error: rcgen::Error| CertificateError::Signing { why: error.to_string() };
    let request = subject.params()?.serialize_request(&key.pair()?).map_err(signing)?;
    Ok(request.pem().map_err(signing)?.trim().replace("\r\n", "\n"))
}

/// Is it a request for this key, this common name and at least these names?
/// Then it can stay published. Text that is no request is none of ours.
pub fn csr_covers(csr_pem: &str, key: &UnitKey, subject: &Subject) -> bool {
    let Ok(wanted) = Wanted::read(csr_pem) else { return false };
    wanted.public == key.public()
        && wanted.common_name == subject.common_name()
        && subject.addresses.is_subset(&wanted.addresses)
        && subject.dns_names().is_subset(&wanted.dns_names)
}

/// The same request? Compared as DER, because libraries wrap PEM in their own
/// ways; as stripped text when either cannot be read.
pub fn same_request(a: &str, b: &str) -> bool {
    match (pem::request(a), pem::request(b)) {
        (Ok(a), Ok(b)) => a == b,
        _ => a.trim() == b.trim(),
    }
}

/// Names that the request asked for and the certificate lacks, sorted.
pub(crate) fn missing_names(csr_pem: &str, certificate: &Certificate) -> Result<Vec<String>, CertificateError> {
    let wanted = Wanted::read(csr_pem)?;
    let addresses = wanted.addresses.difference(&certificate.addresses).map(|address| format!("IP:{address}"));
    let names = wanted.dns_names.difference(&certificate.dns_names).map(|name| format!("DNS:{name}"));
    Ok(names.chain(addresses).collect())
}

struct Wanted {
    public: Vec<u8>,
    common_name: String,
    addresses: BTreeSet<IpAddr>,
    dns_names: BTreeSet<String>,
}

impl Wanted {
    fn read(csr_pem: &str) -> Result<Self, CertificateError> {
        let bad = |why: String| CertificateError::BadRequest { why };
        let der = pem::request(csr_pem)?;
        let (rest, csr) = X509CertificationRequest::from_der(&der).map_err(|error| bad(error.to_string()))?;
        if !rest.is_empty() {
            return Err(bad("bytes after its end".to_owned()));
        }
        csr.verify_signature().map_err(|error| bad(error.to_string()))?;
        let info = &csr.certification_request_info;
        let mut wanted = Self {
            public: info.subject_pki.subject_public_key.data.to_vec(),
            common_name: common_name(&info.subject),
            addresses: BTreeSet::new(),
            dns_names: BTreeSet::new(),
        };
        for extension in csr.requested_extensions().into_iter().flatten() {
            if let ParsedExtension::SubjectAlternativeName(san) = extension {
                (wanted.addresses, wanted.dns_names) = alternative_names(&san.general_names);
            }
        }
        Ok(wanted)
    }
}
