//! The access key of the server: random, kept in a file for its owner only.

use std::{fmt, io};

use serde::{Deserialize, Serialize};

use crate::home::Home;

const FILE: &str = "keys.json";
const LETTERS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Keys {
    pub access_key: String,
    pub secret_key: String,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Keys({}, …)", self.access_key)
    }
}

impl Keys {
    fn random() -> io::Result<Self> {
        Ok(Self { access_key: format!("OS{}", random_text(18)?), secret_key: random_text(40)? })
    }

    pub fn read(home: &Home) -> io::Result<Option<Self>> {
        home.read_json(FILE)
    }

    /// The kept keys; new ones when there are none yet.
    pub fn ensure(home: &Home) -> io::Result<Self> {
        match Self::read(home)? {
            Some(keys) => Ok(keys),
            None => Self::rotate(home),
        }
    }

    /// A running server takes the new keys at once and refuses the old ones.
    pub fn rotate(home: &Home) -> io::Result<Self> {
        let keys = Self::random()?;
        home.write_json(FILE, &keys, 0o600)?;
        Ok(keys)
    }
}

pub fn random_text(len: usize) -> io::Result<String> {
    let mut bytes = vec![0; len];
    getrandom::fill(&mut bytes).map_err(|err| io::Error::other(err.to_string()))?;
    Ok(bytes.iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect())
}
