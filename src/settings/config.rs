//! The charm's options: as `config-get --format=json` answers -> as meant.
//! What the engine or the cluster makes of them is for those rooms.

use std::time::Duration;

use serde_json::Value;

use super::SecretUri;
use super::hostile::shortened;

/// Every option, checked. Options that are missing or null have their default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `system-users`: the secret with the system users' passwords; unset: generated.
    pub system_users: Option<SecretUri>,
    /// `compression`
    pub compression: Compression,
    /// `compression-level`; `None`: see [`Config::level`].
    pub compression_level: Option<i64>,
    /// `process-max`
    pub process_max: ProcessMax,
    /// `archive-async`: push WAL ahead in the background, several at once.
    pub archive_async: bool,
    /// `bundle`: put small files together into one object.
    pub bundle: bool,
    /// `archive-timeout`, seconds: the longest a commit waits to be archived; zero: no limit.
    pub archive_timeout: Duration,
    /// `keep-old-data`, hours: how long the data from before a restore can be put back.
    pub keep_old_data: Duration,
    /// `backup-after-restore`: a full backup begins by itself when a restore is done.
    pub backup_after_restore: bool,
}

/// pgBackRest's `compress-type`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    Zst,
    Lz4,
    Gz,
    Bz2,
    None,
}

/// How many processes the engine may use at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessMax {
    Auto,
    Fixed(u32),
}

/// An option that cannot be meant. Says its name, what would be good, what came.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("option `{option}` must be {want}, not `{got}`")]
pub struct BadOption {
    pub option: &'static str,
    pub want: String,
    pub got: String,
}

impl Config {
    /// From the object that `config-get --format=json` prints. Names that are
    /// not known are left alone: Juju has checked them against config.yaml.
    pub fn from_json(options: &Value) -> Result<Self, BadOption> {
        let compression = compression(options)?;
        Ok(Self {
            system_users: system_users(options)?,
            compression,
            compression_level: compression_level(options, compression)?,
            process_max: process_max(options)?,
            archive_async: boolean(options, "archive-async", true)?,
            bundle: boolean(options, "bundle", true)?,
            archive_timeout: Duration::from_secs(number(options, "archive-timeout", "seconds", 86_400, 300)?),
            keep_old_data: Duration::from_secs(3600 * number(options, "keep-old-data", "hours", 8_760, 24)?),
            backup_after_restore: boolean(options, "backup-after-restore", true)?,
        })
    }

    /// The level to compress with; `None` leaves it to the engine.
    pub fn level(&self) -> Option<i64> {
        self.compression_level.or(self.compression.default_level())
    }
}

impl Compression {
    const ALL: [Self; 5] = [Self::Zst, Self::Lz4, Self::Gz, Self::Bz2, Self::None];

    /// The word of the option and of pgBackRest's `compress-type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Zst => "zst",
            Self::Lz4 => "lz4",
            Self::Gz => "gz",
            Self::Bz2 => "bz2",
            Self::None => "none",
        }
    }

    /// Levels pgBackRest takes (tried with 2.45: others end in its error 32).
    fn levels(self) -> Option<(i64, i64)> {
        match self {
            Self::Zst => Some((-7, 22)),
            Self::Lz4 => Some((-5, 12)),
            Self::Gz => Some((-1, 9)),
            Self::Bz2 => Some((1, 9)),
            Self::None => None,
        }
    }

    /// zst 1 by our own measurements; for the others pgBackRest's default is good.
    fn default_level(self) -> Option<i64> {
        (self == Self::Zst).then_some(1)
    }
}

impl ProcessMax {
    /// `auto` is half the cores, so that the database keeps the other half, and
    /// at least two: one process sends while the other one compresses.
    pub fn resolve(self, cores: usize) -> u32 {
        match self {
            Self::Fixed(count) => count,
            Self::Auto => u32::try_from(cores / 2).unwrap_or(u32::MAX).clamp(2, 32),
        }
    }
}

fn compression(options: &Value) -> Result<Compression, BadOption> {
    const WANT: &str = "zst, lz4, gz, bz2 or none";
    let Some(word) = text(options, "compression", WANT)? else { return Ok(Compression::Zst) };
    let known = Compression::ALL.into_iter().find(|compression| compression.as_str() == word);
    known.ok_or_else(|| bad("compression", WANT, word))
}

fn compression_level(options: &Value, compression: Compression) -> Result<Option<i64>, BadOption> {
    let Some(value) = given(options, "compression-level") else { return Ok(None) };
    match (value.as_i64(), compression.levels()) {
        (Some(0), _) => Ok(None),
        // No compression, no level: it waits for the day compression is on again.
        (Some(_), None) => Ok(None),
        (Some(level), Some((low, high))) if (low..=high).contains(&level) => Ok(Some(level)),
        (None, None) => Err(bad("compression-level", "a whole number", &shown(value))),
        (_, Some((low, high))) => {
            let want = format!("{low} to {high} with compression {} (0: the default)", compression.as_str());
            Err(bad("compression-level", want, &shown(value)))
        }
    }
}

fn process_max(options: &Value) -> Result<ProcessMax, BadOption> {
    const WANT: &str = "auto or 1 to 999";
    let Some(word) = text(options, "process-max", WANT)? else { return Ok(ProcessMax::Auto) };
    let digits = word.bytes().all(|byte| byte.is_ascii_digit());
    match word.parse() {
        _ if word == "auto" => Ok(ProcessMax::Auto),
        Ok(count @ 1..=999) if digits => Ok(ProcessMax::Fixed(count)),
        _ => Err(bad("process-max", WANT, word)),
    }
}

fn system_users(options: &Value) -> Result<Option<SecretUri>, BadOption> {
    const WANT: &str = "the URI of a secret, like secret:9m4e2mr0ui3e8a215n4g";
    let Some(uri) = text(options, "system-users", WANT)? else { return Ok(None) };
    uri.parse().map(Some).map_err(|_| bad("system-users", WANT, uri))
}

fn boolean(options: &Value, option: &'static str, default: bool) -> Result<bool, BadOption> {
    match given(options, option) {
        None => Ok(default),
        Some(value) => value.as_bool().ok_or_else(|| bad(option, "true or false", &shown(value))),
    }
}

fn number(options: &Value, option: &'static str, unit: &str, most: u64, default: u64) -> Result<u64, BadOption> {
    match given(options, option) {
        None => Ok(default),
        Some(value) => value
            .as_u64()
            .filter(|number| *number <= most)
            .ok_or_else(|| bad(option, format!("0 to {most} {unit}"), &shown(value))),
    }
}

/// A string option without blanks around it; the empty string means unset.
fn text<'a>(options: &'a Value, option: &'static str, want: &str) -> Result<Option<&'a str>, BadOption> {
    match given(options, option) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.trim()).filter(|text| !text.is_empty())),
        Some(other) => Err(bad(option, want, &shown(other))),
    }
}

fn given<'a>(options: &'a Value, option: &str) -> Option<&'a Value> {
    options.get(option).filter(|value| !value.is_null())
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn bad(option: &'static str, want: impl Into<String>, got: &str) -> BadOption {
    BadOption { option, want: want.into(), got: shortened(got) }
}

#[cfg(test)]
mod tests;
