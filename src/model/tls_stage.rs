//! How far a unit is on the way between plain connections and TLS. Units go one
//! step at a time, so that any two always understand each other.

use std::fmt;

use serde::{Deserialize, Serialize};

/// In the order of the way; see `policy::tls` for when a unit takes a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TlsStage {
    /// No TLS.
    #[default]
    Plain,
    /// Takes TLS beside plain, still speaks plain.
    Accept,
    /// Takes both, speaks TLS.
    Dial,
    /// TLS alone.
    Only,
}

impl TlsStage {
    pub fn accepts_plain(self) -> bool {
        self < Self::Only
    }

    pub fn accepts_tls(self) -> bool {
        self > Self::Plain
    }

    pub fn dials_tls(self) -> bool {
        self >= Self::Dial
    }
}

impl TlsStage {
    pub fn up(self) -> Self {
        match self {
            Self::Plain => Self::Accept,
            Self::Accept => Self::Dial,
            Self::Dial | Self::Only => Self::Only,
        }
    }

    pub fn down(self) -> Self {
        match self {
            Self::Only => Self::Dial,
            Self::Dial => Self::Accept,
            Self::Accept | Self::Plain => Self::Plain,
        }
    }
}

impl fmt::Display for TlsStage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Plain => "plain",
            Self::Accept => "accept",
            Self::Dial => "dial",
            Self::Only => "only",
        })
    }
}
