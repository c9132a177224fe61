//! A unit's private key. Where it lies and when it is changed is for others.

use std::fmt;

use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PublicKeyData as _};

use super::CertificateError;
use crate::secrets::{ExposeSecret, SecretString};

/// ECDSA P-256, PKCS #8: every program of the cluster takes it, OpenSSL 1.1 and Go included.
#[derive(Clone)]
pub struct UnitKey {
    pem: SecretString,
    public: Vec<u8>,
}

impl UnitKey {
    /// A new key; the randomness is the kernel's, through ring.
    pub fn generate() -> Result<Self, CertificateError> {
        let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).map_err(bad)?;
        Ok(Self { pem: pair.serialize_pem().into(), public: pair.der_bytes().to_vec() })
    }

    /// Reads what [`UnitKey::pem`] gave.
    pub fn from_pem(pem: &SecretString) -> Result<Self, CertificateError> {
        let pair = KeyPair::from_pem(pem.expose_secret()).map_err(bad)?;
        if pair.algorithm() != &PKCS_ECDSA_P256_SHA256 {
            return Err(CertificateError::BadKey { why: "another kind of key".to_owned() });
        }
        Ok(Self { pem: pem.clone(), public: pair.der_bytes().to_vec() })
    }

    /// `BEGIN PRIVATE KEY`.
    pub fn pem(&self) -> &SecretString {
        &self.pem
    }

    /// The uncompressed point, as in a certificate's subjectPublicKey.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    pub(super) fn pair(&self) -> Result<KeyPair, CertificateError> {
        KeyPair::from_pem(self.pem.expose_secret()).map_err(bad)
    }
}

/// rcgen's texts name the kind of fault, never the key.
fn bad(error: rcgen::Error) -> CertificateError {
    CertificateError::BadKey { why: error.to_string() }
}

impl fmt::Debug for UnitKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnitKey(…)")
    }
}
