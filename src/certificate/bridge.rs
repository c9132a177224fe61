//! A certificate of the unit's own, for the time in which the authority does not
//! answer. When to use one is for policy.

use std::time::Duration;

use chrono::{DateTime, Utc};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rcgen::{PKCS_ECDSA_P256_SHA256, PublicKeyData as _};
use time::OffsetDateTime;

use super::subject::{cut, named};
use super::{Bundle, Certificate, CertificateError, Issued, Subject, UnitKey, pem};

/// How far before `now` a bridge is valid: the units' clocks need not agree.
const SKEW: Duration = Duration::from_secs(300);

/// Signs the unit's key with a CA that is made for it and whose own key is thrown
/// away. Two certificates, because rustls refuses a CA as an end entity
/// (`CaUsedAsEndEntity`), and each CA with a name of its own, because OpenSSL
/// looks an issuer up by name.
pub fn bridge(
    key: &UnitKey,
    subject: &Subject,
    now: DateTime<Utc>,
    validity: Duration,
) -> Result<Issued, CertificateError> {
    let signing = |error: rcgen::Error| CertificateError::Signing { why: error.to_string() };
    let ca_key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(signing)?;
    let id = &pem::sha256(ca_key.der_bytes())[..16];
    let mut ca = CertificateParams::default();
    ca.distinguished_name = named(cut(&format!("bridge {id} of {}", subject.member)));
    ca.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    ca.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    let mut leaf = subject.params()?;
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    leaf.use_authority_key_identifier_extension = true;
    for params in [&mut ca, &mut leaf] {
        (params.not_before, params.not_after) = (date(now - SKEW)?, date(now + validity)?);
    }
    let root = ca.self_signed(&ca_key).map_err(signing)?;
    let signed = leaf.signed_by(&key.pair()?, &Issuer::new(ca, ca_key)).map_err(signing)?;
    let root = Certificate::from_der(root.der().to_vec())?;
    let certificate = Certificate::from_der(signed.der().to_vec())?;
    Ok(Issued { certificate, chain: Vec::new(), ca: Bundle::from_iter([root]) })
}

fn date(at: DateTime<Utc>) -> Result<OffsetDateTime, CertificateError> {
    OffsetDateTime::from_unix_timestamp(at.timestamp())
        .map_err(|_| CertificateError::Signing { why: "a date out of range".to_owned() })
}
