//! What a certificate says: the subject and names of its request, the rest is ours. Time is an argument.

use std::time::Duration;

use rcgen::{
    CertificateSigningRequestParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose, SerialNumber, SubjectPublicKeyInfo,
};
use thiserror::Error;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use x509_parser::certification_request::X509CertificationRequest;
use x509_parser::pem::parse_x509_pem;
use x509_parser::prelude::FromDer;

use crate::authority::Authority;

const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
pub struct Terms {
    pub now: OffsetDateTime,
    pub validity: Duration,
}

/// Why there is no certificate: words for the status.
#[derive(Debug, Error)]
pub enum Refused {
    #[error("not a request")]
    NotARequest,
    #[error("its signature is bad")]
    BadSignature,
    #[error("asks to be a CA")]
    WantsCa,
    #[error("{0}")]
    Other(#[from] rcgen::Error),
    #[error("no random number: {0}")]
    NoChance(getrandom::Error),
}

/// The certificate for a request, both PEM.
pub fn issue(request: &str, authority: &Authority, terms: Terms) -> Result<String, Refused> {
    let (_, pem) = parse_x509_pem(request.as_bytes()).map_err(|_| Refused::NotARequest)?;
    let (rest, csr) = X509CertificationRequest::from_der(&pem.contents).map_err(|_| Refused::NotARequest)?;
    if !rest.is_empty() || !pem.label.ends_with("CERTIFICATE REQUEST") {
        return Err(Refused::NotARequest);
    }
    csr.verify_signature().map_err(|_| Refused::BadSignature)?;
    let mut params = CertificateSigningRequestParams::from_der(&pem.contents.as_slice().into())?.params;
    if matches!(params.is_ca, IsCa::Ca(_)) {
        return Err(Refused::WantsCa);
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial()?);
    params.not_before = terms.now - CLOCKS_DIFFER.min(terms.validity / 10);
    params.not_after = terms.now + terms.validity;
    // Not the request's parameters: they take the key's kind from the signature's, which may have another digest.
    let key = SubjectPublicKeyInfo::from_der(csr.certification_request_info.subject_pki.raw)?;
    Ok(params.signed_by(&key, &authority.issuer()?)?.pem().trim().to_owned())
}

/// Positive and of one length, whatever chance says.
fn serial() -> Result<SerialNumber, Refused> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(Refused::NoChance)?;
    bytes[0] = bytes[0] & 0x7f | 0x40;
    Ok(SerialNumber::from_slice(&bytes))
}

/// What is told about a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// As `openssl x509 -serial` prints it.
    pub serial: String,
    /// RFC 3339, UTC.
    pub not_after: String,
}

/// Nothing, when it is no certificate.
#[must_use]
pub fn look(certificate: &str) -> Option<Seen> {
    let (_, pem) = parse_x509_pem(certificate.as_bytes()).ok()?;
    let parsed = pem.parse_x509().ok()?;
    let serial = parsed.raw_serial().iter().map(|byte| format!("{byte:02X}")).collect();
    let not_after = parsed.validity().not_after.to_datetime().format(&Rfc3339).ok()?;
    Some(Seen { serial, not_after })
}
