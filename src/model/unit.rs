//! A unit is Juju's, a member is Patroni's, a role is PostgreSQL's.

use std::fmt;
use std::str::FromStr;

/// `postgresql/3`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct UnitName {
    pub application: String,
    pub number: u32,
}

impl UnitName {
    /// The Patroni and etcd member of this unit: `postgresql-3`.
    pub fn member(&self) -> String {
        format!("{}-{}", self.application, self.number)
    }
}

impl fmt::Display for UnitName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.application, self.number)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a unit name: `{0}`")]
pub struct NotAUnitName(pub String);

impl FromStr for UnitName {
    type Err = NotAUnitName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        text.split_once('/')
            .filter(|(application, number)| {
                application.starts_with(|c: char| c.is_ascii_lowercase())
                    && application.chars().all(plain)
                    && number.bytes().all(|byte| byte.is_ascii_digit())
            })
            .and_then(|(application, number)| {
                Some(Self { application: application.to_owned(), number: number.parse().ok()? })
            })
            .ok_or_else(|| NotAUnitName(super::label::shortened(text)))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    Primary,
    Replica,
}
