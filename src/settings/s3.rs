//! The repository's S3 parameters: what a provider published -> as meant, or
//! refused by the name of the field. Both dialects of the interface `s3` (keys
//! plain or in a secret). Whether the store agrees is for the store.

use std::collections::BTreeMap;

use super::Endpoint;
use super::s3_fields::Fields;
use crate::secrets::{SecretString, same};

/// Where the repository is and how to be let in. Every text is free of control
/// characters and can stand in one line of an INI file.
#[derive(Debug, Clone)]
pub struct S3Settings {
    pub bucket: String,
    pub endpoint: Endpoint,
    pub region: Option<String>,
    /// `` or `/a/b`: never a slash at the end, never two in a row.
    pub path: String,
    pub uri_style: UriStyle,
    pub access_key: SecretString,
    pub secret_key: SecretString,
    pub session_token: Option<SecretString>,
    /// PEM certificates, one after the other; `None`: the system's.
    pub ca_chain: Option<String>,
    pub storage_class: Option<String>,
    /// Days a backup is kept (`delete-older-than-days`); `None`: for ever.
    pub retention_days: Option<u32>,
}

/// Where the bucket's name stands in a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UriStyle {
    /// `https://bucket.host/key`
    Host,
    /// `https://host/bucket/key`
    Path,
}

/// Texts never hold a secret's value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRepository {
    /// In the words and the spelling of Charmed PostgreSQL.
    #[error("Missing S3 parameters: [{}]", quoted(fields))]
    Missing { fields: Vec<&'static str> },
    #[error("s3-parameters: `{field}` must be {want}, not {got}")]
    Bad { field: &'static str, want: &'static str, got: String },
}

impl S3Settings {
    /// `bag` is the provider's application data; `secret` the content of the
    /// secret that its `secret-extra` names, if it does; `requested_bucket` what
    /// we asked for, which counts when the provider names none.
    pub fn from_relation(
        bag: &BTreeMap<String, String>,
        secret: Option<&BTreeMap<String, String>>,
        requested_bucket: Option<&str>,
    ) -> Result<S3Settings, BadRepository> {
        let fields = Fields { bag, secret, requested_bucket };
        fields.require(&["bucket", "access-key", "secret-key"])?;
        let region = fields.region()?;
        let endpoint = fields.endpoint(region.as_deref())?;
        Ok(Self {
            bucket: fields.bucket()?,
            uri_style: fields.uri_style(&endpoint)?,
            endpoint,
            region,
            path: fields.path()?,
            access_key: fields.key("access-key")?.unwrap_or_default(),
            secret_key: fields.key("secret-key")?.unwrap_or_default(),
            session_token: fields.key("session-token")?,
            ca_chain: fields.ca_chain()?,
            storage_class: fields.storage_class()?,
            retention_days: fields.retention_days()?,
        })
    }
}

impl PartialEq for S3Settings {
    fn eq(&self, other: &Self) -> bool {
        let plain = |s: &Self| {
            let place = (s.bucket.clone(), s.endpoint.clone(), s.region.clone(), s.path.clone(), s.uri_style);
            (place, s.ca_chain.clone(), s.storage_class.clone(), s.retention_days)
        };
        let token = match (&self.session_token, &other.session_token) {
            (Some(mine), Some(theirs)) => same(mine, theirs),
            (None, None) => true,
            _ => false,
        };
        let keys = same(&self.access_key, &other.access_key) && same(&self.secret_key, &other.secret_key);
        token && keys && plain(self) == plain(other)
    }
}

fn quoted(fields: &[&str]) -> String {
    fields.iter().map(|field| format!("'{field}'")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests;
