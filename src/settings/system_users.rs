//! The passwords of the cluster's own users: which must be there, which text can
//! be a password. Where the secret lies and who sets passwords is for others.

use std::collections::BTreeMap;

use super::SecretUri;
use crate::secrets::{ExposeSecret, SecretString, same};

/// Four users of the database, and two that are not: Patroni's REST API and the
/// cluster store.
#[derive(Debug, Clone)]
pub struct SystemUsers {
    pub operator: SecretString,
    pub monitoring: SecretString,
    pub replication: SecretString,
    pub rewind: SecretString,
    /// Patroni's REST API.
    pub patroni: SecretString,
    /// The cluster store.
    pub raft: SecretString,
}

/// Users of the database: a secret of the user's must name them all.
const DATABASE: [&str; 4] = ["operator", "monitoring", "replication", "rewind"];

/// Bytes of the longest password: beyond it clients cut (libpq's prompt does).
const LONGEST: usize = 512;

/// Characters of a generated password: 190 bits.
const GENERATED: usize = 32;

/// Texts never hold a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadSystemUsers {
    #[error("the secret of `system-users` lacks {}", listed(users))]
    Missing { users: Vec<&'static str> },
    #[error("the secret of `system-users` has an empty password for `{user}`")]
    Empty { user: &'static str },
    #[error("the secret of `system-users` has a NUL byte in the password of `{user}`")]
    Nul { user: &'static str },
    #[error("the secret of `system-users` has a line break or control character in the password of `{user}`")]
    Control { user: &'static str },
    #[error("the secret of `system-users` has a password of more than {LONGEST} bytes for `{user}`")]
    TooLong { user: &'static str },
    #[error("the secret of `system-users` has two different passwords: `{user}` and `{user}-password`")]
    Twice { user: &'static str },
}

impl BadSystemUsers {
    /// The command that mends it. An update replaces the whole content, so all
    /// users are in it.
    pub fn command(&self, secret: &SecretUri) -> String {
        let users: Vec<_> = DATABASE.iter().map(|user| format!("{user}=<password>")).collect();
        format!("juju update-secret {secret} {}", users.join(" "))
    }
}

impl SystemUsers {
    /// Reads a secret's content: each user bare or as `<user>-password`. The two
    /// that are not in the database may be left out when there are `generated` ones.
    pub fn from_content(
        content: &BTreeMap<String, String>,
        generated: Option<&SystemUsers>,
    ) -> Result<SystemUsers, BadSystemUsers> {
        let mut missing = Vec::new();
        let mut read = |user, fallback: Option<&SecretString>| -> Result<SecretString, BadSystemUsers> {
            if let Some(password) = password(content, user)? {
                return Ok(password);
            }
            if fallback.is_none() {
                missing.push(user);
            }
            Ok(fallback.cloned().unwrap_or_default())
        };
        let users = Self {
            operator: read("operator", None)?,
            monitoring: read("monitoring", None)?,
            replication: read("replication", None)?,
            rewind: read("rewind", None)?,
            patroni: read("patroni", generated.map(|users| &users.patroni))?,
            raft: read("raft", generated.map(|users| &users.raft))?,
        };
        if missing.is_empty() { Ok(users) } else { Err(BadSystemUsers::Missing { users: missing }) }
    }

    /// New passwords. `random` fills a buffer with bytes that nobody can guess.
    pub fn generate(random: &mut dyn FnMut(&mut [u8])) -> SystemUsers {
        let mut next = || SecretString::from(letters(random));
        Self {
            operator: next(),
            monitoring: next(),
            replication: next(),
            rewind: next(),
            patroni: next(),
            raft: next(),
        }
    }

    /// The application's own secret: keys `<user>-password`.
    pub fn to_content(&self) -> BTreeMap<String, String> {
        self.named()
            .into_iter()
            .map(|(user, password)| (format!("{user}-password"), password.expose_secret().to_owned()))
            .collect()
    }

    fn named(&self) -> [(&'static str, &SecretString); 6] {
        [
            ("operator", &self.operator),
            ("monitoring", &self.monitoring),
            ("replication", &self.replication),
            ("rewind", &self.rewind),
            ("patroni", &self.patroni),
            ("raft", &self.raft),
        ]
    }
}

/// Tells passwords of the cluster store apart, and does not tell them: eight hex
/// digits of SHA-256 over a salt that is the cluster's own and the password.
pub fn raft_tag(salt: &str, password: &SecretString) -> String {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    context.update(salt.as_bytes());
    context.update(&[0]);
    context.update(password.expose_secret().as_bytes());
    context.finish().as_ref()[..4].iter().map(|byte| format!("{byte:02x}")).collect()
}

impl PartialEq for SystemUsers {
    fn eq(&self, other: &Self) -> bool {
        self.named().iter().zip(other.named()).all(|((_, mine), (_, theirs))| same(mine, theirs))
    }
}

fn password(content: &BTreeMap<String, String>, user: &'static str) -> Result<Option<SecretString>, BadSystemUsers> {
    let text = match (content.get(user), content.get(&format!("{user}-password"))) {
        (Some(bare), Some(suffixed)) if bare != suffixed => return Err(BadSystemUsers::Twice { user }),
        (Some(text), _) | (None, Some(text)) => text,
        (None, None) => return Ok(None),
    };
    match text {
        text if text.trim().is_empty() => Err(BadSystemUsers::Empty { user }),
        text if text.contains('\0') => Err(BadSystemUsers::Nul { user }),
        text if text.chars().any(char::is_control) => Err(BadSystemUsers::Control { user }),
        text if text.len() > LONGEST => Err(BadSystemUsers::TooLong { user }),
        text => Ok(Some(SecretString::from(text.clone()))),
    }
}

fn letters(random: &mut dyn FnMut(&mut [u8])) -> String {
    let mut text = String::with_capacity(GENERATED);
    while text.len() < GENERATED {
        let mut bytes = [0; 64];
        random(&mut bytes);
        text.extend(bytes.into_iter().filter_map(letter).take(GENERATED - text.len()));
    }
    text
}

/// Letters and digits, every one as likely as any other: bytes from 248 up give
/// none, because 62 does not divide 256.
fn letter(byte: u8) -> Option<char> {
    const ALPHABET: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (byte < 248).then(|| char::from(ALPHABET[usize::from(byte % 62)]))
}

fn listed(users: &[&str]) -> String {
    users.iter().map(|user| format!("`{user}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
