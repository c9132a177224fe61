//! One S3 parameter at a time: which text is taken, and what its refusal says.
//! Which of them a repository needs: s3.rs.

use std::collections::BTreeMap;

use super::hostile::{only, shortened};
use super::s3::{BadRepository, UriStyle};
use super::{Endpoint, ca, endpoint};
use crate::secrets::SecretString;

/// The fields as they came. Blanks around a value do not count, an empty one is
/// unset (a provider resets an option so), unknown ones are left alone (`data`
/// is the memory of the provider's library).
pub(super) struct Fields<'a> {
    pub bag: &'a BTreeMap<String, String>,
    pub secret: Option<&'a BTreeMap<String, String>>,
    pub requested_bucket: Option<&'a str>,
}

/// Bytes of the longest plain field.
const LONGEST: usize = 1 << 10;

/// Session tokens of AWS have no stated length; some are beyond 2 KiB.
const LONGEST_KEY: usize = 8 << 10;

const BUCKET: &str = "1 to 255 letters, digits, `.`, `-` or `_`";
const NAME: &str = "1 to 64 letters, digits, `.`, `-` or `_`";
const STYLE: &str = "host or path";
const PATH: &str = "folders of letters, digits and ._-~+=@:, of which none is `.` or `..`";
const DAYS: &str = "1 to 9999999 days";
const KEY: &str = "printable ASCII without blanks, 8 KiB at most";

impl Fields<'_> {
    /// All that lack, in one refusal.
    pub fn require(&self, fields: &[&'static str]) -> Result<(), BadRepository> {
        let is_missing = |field: &&'static str| match *field {
            "bucket" => self.given("bucket").or(self.requested_bucket).is_none(),
            key => self.given_key(key).is_none(),
        };
        let missing: Vec<_> = fields.iter().copied().filter(is_missing).collect();
        if missing.is_empty() { Ok(()) } else { Err(BadRepository::Missing { fields: missing }) }
    }

    pub fn bucket(&self) -> Result<String, BadRepository> {
        let name = self.given("bucket").or(self.requested_bucket).unwrap_or_default();
        let good = matches!(name.len(), 1..=255) && only(name, ".-_") && !matches!(name, "." | "..");
        if good { Ok(name.to_owned()) } else { Err(bad("bucket", BUCKET, name)) }
    }

    pub fn region(&self) -> Result<Option<String>, BadRepository> {
        self.name("region")
    }

    pub fn storage_class(&self) -> Result<Option<String>, BadRepository> {
        self.name("storage-class")
    }

    fn name(&self, field: &'static str) -> Result<Option<String>, BadRepository> {
        match self.given(field) {
            Some(name) if name.len() > 64 || !only(name, ".-_") => Err(bad(field, NAME, name)),
            name => Ok(name.map(ToOwned::to_owned)),
        }
    }

    /// Without one it is Amazon's, as in Charmed PostgreSQL.
    pub fn endpoint(&self, region: Option<&str>) -> Result<Endpoint, BadRepository> {
        let endpoint = match self.given("endpoint") {
            None => Endpoint::amazon(),
            Some(text) if text.len() > LONGEST => return Err(bad("endpoint", endpoint::WANT, text)),
            Some(text) => Endpoint::parse(text).map_err(|want| bad("endpoint", want, text))?,
        };
        Ok(region.map_or(endpoint.clone(), |region| endpoint.in_region(region)))
    }

    /// Host style unless asked otherwise. At a bare address only path style can
    /// work, whatever was asked: `bucket.10.1.2.3` is nobody's name.
    pub fn uri_style(&self, endpoint: &Endpoint) -> Result<UriStyle, BadRepository> {
        match self.given("s3-uri-style") {
            Some("path") => Ok(UriStyle::Path),
            None | Some("host") if endpoint.is_address() => Ok(UriStyle::Path),
            None | Some("host") => Ok(UriStyle::Host),
            Some(other) => Err(bad("s3-uri-style", STYLE, other)),
        }
    }

    pub fn path(&self) -> Result<String, BadRepository> {
        let text = self.given("path").unwrap_or_default();
        let folders: Vec<&str> = text.split('/').filter(|folder| !folder.is_empty()).collect();
        let good = |folder: &&str| only(folder, "._-~+=@:,") && !matches!(*folder, "." | "..");
        if text.len() > LONGEST || !folders.iter().all(good) {
            return Err(bad("path", PATH, text));
        }
        Ok(folders.iter().map(|folder| format!("/{folder}")).collect())
    }

    pub fn ca_chain(&self) -> Result<Option<String>, BadRepository> {
        let Some(text) = self.given("tls-ca-chain") else { return Ok(None) };
        ca::joined(text).map_err(|want| bad("tls-ca-chain", want, text))
    }

    pub fn retention_days(&self) -> Result<Option<u32>, BadRepository> {
        let Some(text) = self.given("delete-older-than-days") else { return Ok(None) };
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        match text.parse() {
            Ok(days @ 1..=9_999_999) if digits => Ok(Some(days)),
            _ => Err(bad("delete-older-than-days", DAYS, text)),
        }
    }

    /// A key from the secret, or plain from a provider of the old dialect. A
    /// refusal tells its length at most.
    pub fn key(&self, field: &'static str) -> Result<Option<SecretString>, BadRepository> {
        let Some(text) = self.given_key(field) else { return Ok(None) };
        if text.len() <= LONGEST_KEY && text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Ok(Some(SecretString::from(text)));
        }
        Err(BadRepository::Bad { field, want: KEY, got: format!("the {} bytes that came", text.len()) })
    }

    fn given_key(&self, field: &str) -> Option<&str> {
        self.secret.and_then(|secret| set(secret, field)).or_else(|| self.given(field))
    }

    fn given(&self, field: &str) -> Option<&str> {
        set(self.bag, field)
    }
}

fn set<'a>(bag: &'a BTreeMap<String, String>, field: &str) -> Option<&'a str> {
    bag.get(field).map(|text| text.trim()).filter(|text| !text.is_empty())
}

fn bad(field: &'static str, want: &'static str, got: &str) -> BadRepository {
    BadRepository::Bad { field, want, got: format!("`{}`", shortened(got)) }
}
