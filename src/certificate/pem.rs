//! PEM (RFC 7468) to DER and back. What the DER means is for the other files.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer};

use super::CertificateError;

/// Certificates that one text may hold: real chains have three or four, bundles
/// of a cluster a few per unit. Bounds the work a hostile text can cause.
pub(super) const MOST: usize = 256;

/// Every certificate in the text, at least one.
pub(super) fn certificates(text: &str) -> Result<Vec<Vec<u8>>, CertificateError> {
    let found = certificates_or_none(text)?;
    if found.is_empty() {
        return Err(CertificateError::BadCertificate { why: "no PEM block CERTIFICATE in it".to_owned() });
    }
    Ok(found)
}

/// Every certificate in the text; other blocks are left alone.
pub(super) fn certificates_or_none(text: &str) -> Result<Vec<Vec<u8>>, CertificateError> {
    let mut found = Vec::new();
    for block in CertificateDer::pem_slice_iter(text.as_bytes()) {
        let der = block.map_err(|error| CertificateError::BadCertificate { why: error.to_string() })?;
        if found.len() == MOST {
            return Err(CertificateError::TooMany { most: MOST });
        }
        found.push(der.to_vec());
    }
    Ok(found)
}

/// The request in the text.
pub(super) fn request(text: &str) -> Result<Vec<u8>, CertificateError> {
    CertificateSigningRequestDer::from_pem_slice(text.as_bytes())
        .map(|der| der.to_vec())
        .map_err(|error| CertificateError::BadRequest { why: error.to_string() })
}

/// 64 characters a line, ends with a line break.
pub(super) fn certificate(der: &[u8]) -> String {
    let mut text = String::from("-----BEGIN CERTIFICATE-----\n");
    for (at, c) in STANDARD.encode(der).chars().enumerate() {
        if at > 0 && at % 64 == 0 {
            text.push('\n');
        }
        text.push(c);
    }
    text + "\n-----END CERTIFICATE-----\n"
}

/// Lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// SHA-256 in lower-case hex.
pub(super) fn sha256(bytes: &[u8]) -> String {
    hex(ring::digest::digest(&ring::digest::SHA256, bytes).as_ref())
}
