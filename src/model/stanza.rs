//! The stanza: pgBackRest's name of a cluster, `<model>.<application>`.

use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Stanza(String);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a stanza name (letters, digits, `.`, `_`, `-`): `{0}`")]
pub struct NotAStanza(pub String);

impl Stanza {
    /// The stanza of an application, as Charmed PostgreSQL names it.
    pub fn of(model: &str, application: &str) -> Result<Self, NotAStanza> {
        Self::parse(&format!("{model}.{application}"))
    }

    pub fn parse(text: &str) -> Result<Self, NotAStanza> {
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        if text.is_empty() || text.len() > 200 || text.starts_with(['.', '-']) || !text.chars().all(plain) {
            return Err(NotAStanza(super::label::shortened(text)));
        }
        Ok(Self(text.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Stanza {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
