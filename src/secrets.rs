//! Wrappers for secrets: they cannot be printed, and only the edge exposes them.

pub use secrecy::{ExposeSecret, SecretString};

/// Same content? For deciding whether a file or a password must change.
pub fn same(a: &SecretString, b: &SecretString) -> bool {
    a.expose_secret() == b.expose_secret()
}
