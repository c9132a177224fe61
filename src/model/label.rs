//! What a backup is called: pgBackRest's label, the user's backup-id, its kind.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, NaiveDateTime, Utc};

/// Full, differential or incremental, as the action parameter spells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BackupKind {
    Full,
    Differential,
    Incremental,
}

impl BackupKind {
    pub const ALL: [Self; 3] = [Self::Full, Self::Differential, Self::Incremental];

    /// The word of the action parameter `type`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Differential => "differential",
            Self::Incremental => "incremental",
        }
    }

    /// The word of pgBackRest's `--type` and of its `info` output.
    pub fn engine_word(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Differential => "diff",
            Self::Incremental => "incr",
        }
    }
}

impl fmt::Display for BackupKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid backup type: {0}. Possible values: full, differential, incremental.")]
pub struct NotABackupKind(pub String);

impl FromStr for BackupKind {
    type Err = NotABackupKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text).ok_or_else(|| NotABackupKind(shortened(text)))
    }
}

/// pgBackRest's name of a backup set: `20261122-030000F` or
/// `20261122-030000F_20261122-040000D` / `...I`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupLabel {
    text: String,
    full: NaiveDateTime,
    own: NaiveDateTime,
    letter: char,
}

const STAMP: &str = "%Y%m%d-%H%M%S";

impl BackupLabel {
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn kind(&self) -> BackupKind {
        match self.letter {
            'D' => BackupKind::Differential,
            'I' => BackupKind::Incremental,
            _ => BackupKind::Full,
        }
    }

    /// The last time stamp in the label. It is the local time of the unit that
    /// made it; ours run with `TZ=UTC0`.
    pub fn stamp(&self) -> NaiveDateTime {
        self.own
    }

    /// The label of the full backup that this one stands on, itself if full.
    pub fn full_text(&self) -> &str {
        &self.text[..16]
    }
}

impl fmt::Display for BackupLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a pgBackRest backup label: `{0}`")]
pub struct NotALabel(pub String);

impl FromStr for BackupLabel {
    type Err = NotALabel;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_label(text).ok_or_else(|| NotALabel(shortened(text)))
    }
}

fn parse_label(text: &str) -> Option<BackupLabel> {
    if !text.is_ascii() {
        return None;
    }
    let full = stamp(text.get(..15)?)?;
    let (own, letter) = match text.len() {
        16 => (full, text.chars().nth(15).filter(|letter| *letter == 'F')?),
        33 if &text[15..17] == "F_" => {
            (stamp(&text[17..32])?, text.chars().nth(32).filter(|letter| "DI".contains(*letter))?)
        }
        _ => return None,
    };
    Some(BackupLabel { text: text.to_owned(), full, own, letter })
}

fn stamp(text: &str) -> Option<NaiveDateTime> {
    NaiveDateTime::parse_from_str(text, STAMP).ok()
}

/// What users see and type: `2026-11-22T03:00:00Z`, always UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupId(DateTime<Utc>);

impl BackupId {
    /// The id of a moment, cut to the second.
    pub fn at(moment: DateTime<Utc>) -> Self {
        Self(DateTime::from_timestamp(moment.timestamp(), 0).unwrap_or(moment))
    }

    /// The id of a label whose backup started at `started`. Labels carry the
    /// local time of the unit that made them, so a whole number of quarter
    /// hours between stamp and start is a time zone and is taken out.
    pub fn of(label: &BackupLabel, started: DateTime<Utc>) -> Self {
        let stamp = label.stamp().and_utc();
        let apart = (stamp - started).num_seconds();
        let zone = (apart as f64 / 900.0).round() as i64 * 900;
        Self::at(stamp - chrono::TimeDelta::seconds(zone))
    }

    pub fn moment(self) -> DateTime<Utc> {
        self.0
    }
}

impl fmt::Display for BackupId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.format("%Y-%m-%dT%H:%M:%SZ"))
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid backup-id: {0}")]
pub struct NotABackupId(pub String);

impl FromStr for BackupId {
    type Err = NotABackupId;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%SZ")
            .ok()
            .filter(|_| text.len() == 20)
            .map(|naive| Self(naive.and_utc()))
            .ok_or_else(|| NotABackupId(shortened(text)))
    }
}

/// Hostile text goes back to the user shortened and without control characters.
pub(crate) fn shortened(text: &str) -> String {
    let clean: String = text.chars().take(80).flat_map(char::escape_debug).collect();
    if text.chars().count() > 80 { format!("{clean}…") } else { clean }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_read_and_everything_else_is_refused() {
        #[rustfmt::skip]
        let table = [
            ("20261122-030000F",                   Some((BackupKind::Full,         "20261122-030000F"))),
            ("20261122-030000F_20261123-040000D",  Some((BackupKind::Differential, "20261122-030000F"))),
            ("20261122-030000F_20261123-040000I",  Some((BackupKind::Incremental,  "20261122-030000F"))),
            ("20261122-030000F_20261123-040000F",  None),
            ("20261122-030000",                    None),
            ("20261332-030000F",                   None),
            ("../../etc/passwd",                   None),
            ("20261122-030000F\n",                 None),
            ("",                                   None),
        ];
        for (text, want) in table {
            let got = text.parse::<BackupLabel>().ok();
            let got = got.as_ref().map(|label| (label.kind(), label.full_text()));
            assert_eq!(got, want, "{text:?}");
        }
    }

    #[test]
    fn an_id_is_utc_whatever_the_zone_of_the_unit_that_made_the_backup() {
        let label: BackupLabel = "20261122-043003F".parse().unwrap();
        let started = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        #[rustfmt::skip]
        let table = [
            // started (UTC)          unit's zone   id
            ("2026-11-22T04:30:01Z",  /* UTC    */  "2026-11-22T04:30:03Z"),
            ("2026-11-21T23:00:02Z",  /* +05:30 */  "2026-11-21T23:00:03Z"),
            ("2026-11-22T09:30:03Z",  /* -05:00 */  "2026-11-22T09:30:03Z"),
        ];
        for (start, id) in table {
            assert_eq!(BackupId::of(&label, started(start)).to_string(), id);
        }
    }

    #[test]
    fn backup_ids_have_one_spelling() {
        for bad in
            ["2026-11-22 03:00:00", "2026-11-22T03:00:00", "2026-11-22T03:00:00+00:00", "2026-11-22T3:00:00Z", "x"]
        {
            assert!(bad.parse::<BackupId>().is_err(), "{bad}");
        }
        assert_eq!("2026-11-22T03:00:00Z".parse::<BackupId>().unwrap().to_string(), "2026-11-22T03:00:00Z");
    }

    #[test]
    fn hostile_text_comes_back_short_and_printable() {
        let text = format!("a\nb\x1b{}", "x".repeat(1 << 20));
        let got = shortened(&text);
        assert!(got.len() < 200 && got.starts_with("a\\nb\\u{1b}"), "{got}");
    }
}
