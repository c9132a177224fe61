//! X.509 as values: a unit's key and request, certificates, chains, bundles of
//! CAs. Pure but for the randomness of new keys; time is an argument.

mod bridge;
mod bundle;
mod chain;
mod error;
mod key;
mod parsed;
mod pem;
mod request;
mod subject;

pub use bridge::bridge;
pub use bundle::Bundle;
pub use chain::{Chain, Issued};
pub use error::CertificateError;
pub use key::UnitKey;
pub use parsed::Certificate;
pub use request::{csr_covers, request, same_request};
pub use subject::Subject;

pub(crate) use request::missing_names;

#[cfg(test)]
mod tests;
