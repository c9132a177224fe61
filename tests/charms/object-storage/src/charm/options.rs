//! The charm's options: as typed, as meant.

use anyhow::{Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::server::faults::Mode;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Plain keys, once the other side names a bucket.
    V0,
    /// A secret, once the other side asks for secrets.
    V1,
}

#[derive(Debug, Clone)]
pub(super) struct Options {
    pub(super) raw: Raw,
    pub(super) dialect: Dialect,
    pub(super) fault: Mode,
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(super) struct Raw {
    pub(super) bucket: String,
    pub(super) create_bucket: bool,
    pub(super) path: String,
    pub(super) region: String,
    pub(super) s3_uri_style: String,
    pub(super) hostname: String,
    pub(super) delete_older_than_days: i64,
    pub(super) storage_class: String,
    pub(super) dialect: String,
    pub(super) publish_ca: bool,
    pub(super) rotate_keys: i64,
    pub(super) fault: String,
    pub(super) fault_rate: u64,
    pub(super) fsync: bool,
    pub(super) log_requests: bool,
}

impl Options {
    /// The error is what the status says.
    pub(super) fn read(config: Value) -> Result<Self> {
        let raw: Raw = serde_json::from_value(config)?;
        let dialect = match raw.dialect.as_str() {
            "v0" => Dialect::V0,
            "v1" => Dialect::V1,
            other => bail!("option `dialect` must be v0 or v1, not `{other}`"),
        };
        let Ok(fault) = raw.fault.parse() else {
            bail!("option `fault` must be one of those that the action `fault` knows, not `{}`", raw.fault);
        };
        if !["path", "host"].contains(&raw.s3_uri_style.as_str()) {
            bail!("option `s3-uri-style` must be path or host, not `{}`", raw.s3_uri_style);
        }
        if !(0..=9_999_999).contains(&raw.delete_older_than_days) {
            bail!("option `delete-older-than-days` must be 0 to 9999999, not {}", raw.delete_older_than_days);
        }
        Ok(Self { raw, dialect, fault })
    }
}
