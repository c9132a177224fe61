//! The charm's options: as typed, as meant.

use std::time::Duration;

use anyhow::{Result, bail};
use serde::Deserialize;
use serde_json::Value;

const LONGEST: Duration = Duration::from_secs(87600 * 3600);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Options {
    pub(super) validity: Duration,
    pub(super) away: bool,
}

#[derive(Deserialize)]
struct Raw {
    validity: String,
    away: bool,
}

impl Options {
    /// The error is what the status says.
    pub(super) fn read(config: Value) -> Result<Self> {
        let Raw { validity: typed, away } = serde_json::from_value(config)?;
        match duration(&typed) {
            Some(validity) if validity >= Duration::from_secs(1) && validity <= LONGEST => Ok(Self { validity, away }),
            _ => bail!("option `validity` must be 1s to 87600h, such as 90s, 15m, 24h or 1h30m, not `{typed}`"),
        }
    }
}

/// Go's notation, of whole hours, minutes and seconds.
fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut sum = Duration::ZERO;
    while !rest.is_empty() {
        let at = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, unit) = rest.split_at(at);
        let seconds = match unit.chars().next()? {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        let seconds = number.parse::<u64>().ok()?.checked_mul(seconds)?;
        sum = sum.checked_add(Duration::from_secs(seconds))?;
        rest = &unit[1..];
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validities() {
        #[rustfmt::skip]
        let table = [
            ("90s", Some(90)), ("15m", Some(900)), ("24h", Some(86400)), ("8760h", Some(31_536_000)),
            ("1h30m", Some(5400)), ("1h0m1s", Some(3601)), ("1s", Some(1)), ("87600h", Some(315_360_000)),
            ("0s", None), ("", None), ("87600h1s", None), ("90", None), ("1d", None), ("h", None), ("-5m", None),
            ("1.5h", None), ("99999999999999999999s", None), ("5124095576030431h", None), ("1µs", None),
        ];
        for (typed, seconds) in table {
            let read = Options::read(serde_json::json!({"validity": typed, "away": true}));
            match seconds {
                Some(seconds) => {
                    assert_eq!(read.unwrap(), Options { validity: Duration::from_secs(seconds), away: true })
                }
                None => assert!(read.unwrap_err().to_string().ends_with(&format!("not `{typed}`")), "{typed}"),
            }
        }
    }
}
