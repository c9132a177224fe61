//! What can be wrong with a key, a request or a certificate. Whose fault it is, the rooms above know.

/// Texts hold no key material.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    #[error("not an ECDSA P-256 key in PKCS #8 PEM: {why}")]
    BadKey { why: String },
    #[error("not a PEM certificate: {why}")]
    BadCertificate { why: String },
    #[error("not a PEM certificate request: {why}")]
    BadRequest { why: String },
    /// SANs are ASCII.
    #[error("`{name}` cannot be a name in a certificate")]
    BadName { name: String },
    #[error("more than {most} certificates in one text")]
    TooMany { most: usize },
    #[error("the certificate is not signed by a CA that came with it")]
    NoIssuer,
    /// OpenSSL (PostgreSQL, pgBackRest) trusts no chain that does not end in one.
    #[error("no self-signed root came with the certificate, `{top}` is the last")]
    NoRoot { top: String },
    #[error("signing: {why}")]
    Signing { why: String },
}
