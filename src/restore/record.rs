//! The journal's record: one restore, versioned, written before each step.

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::state::{Event, IllegalStep, State};
use crate::model::BackupLabel;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    version: u32,
    /// Names the folders of this restore: `20261122-030000-1a2b`.
    pub id: String,
    pub label: String,
    /// The restore whose old data this one brings back, instead of a backup.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undoes: Option<String>,
    pub started: DateTime<Utc>,
    /// When it was over.
    pub ended: Option<DateTime<Utc>>,
    #[serde(flatten)]
    pub state: State,
}

impl Record {
    pub fn begin(label: &BackupLabel, now: DateTime<Utc>, chance: &str) -> Self {
        let id = format!("{}-{chance}", now.format("%Y%m%d-%H%M%S"));
        Self {
            version: 1,
            id,
            label: label.to_string(),
            undoes: None,
            started: now,
            ended: None,
            state: State::Fetching,
        }
    }

    /// Brings back what the restore `undone` of backup `label` put aside.
    pub fn undo(undone: &str, label: &str, now: DateTime<Utc>, chance: &str) -> Self {
        let id = format!("{}-{chance}", now.format("%Y%m%d-%H%M%S"));
        let label = label.to_owned();
        let undoes = Some(undone.to_owned());
        Self { version: 1, id, label, undoes, started: now, ended: None, state: State::Fetching }
    }

    pub fn after(&self, event: Event, now: DateTime<Utc>) -> Result<Self, IllegalStep> {
        let state = self.state.clone().next(event)?;
        let ended = state.is_over().then_some(now);
        Ok(Self { state, ended, ..self.clone() })
    }

    /// Old data may go: it was kept as long as was asked for. A clock set back
    /// keeps it longer, never shorter.
    pub fn old_data_expired(&self, keep: std::time::Duration, now: DateTime<Utc>) -> bool {
        let keep = TimeDelta::from_std(keep).unwrap_or(TimeDelta::MAX);
        self.ended.is_some_and(|ended| now.signed_duration_since(ended) >= keep)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let now = "2026-11-22T03:00:00Z".parse().unwrap();
        Record::begin(&"20261122-020000F".parse().unwrap(), now, "1a2b")
    }

    #[test]
    fn the_journal_survives_writing_and_reading() {
        let record = record().after(Event::Fetched, "2026-11-22T03:01:00Z".parse().unwrap()).unwrap();
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(
            text,
            r#"{"version":1,"id":"20261122-030000-1a2b","label":"20261122-020000F","started":"2026-11-22T03:00:00Z","ended":null,"state":"recovering"}"#
        );
        assert_eq!(serde_json::from_str::<Record>(&text).unwrap(), record);
    }

    #[test]
    fn old_data_is_kept_as_long_as_asked_for() {
        let day = std::time::Duration::from_secs(86_400);
        let over = record().after(Event::Failed { why: "x".into() }, record().started).unwrap();
        let over = over.after(Event::PutBack, "2026-11-22T04:00:00Z".parse().unwrap()).unwrap();
        #[rustfmt::skip]
        let table = [
            ("2026-11-22T05:00:00Z", false),
            ("2026-11-23T04:00:00Z", true),
            ("2026-11-20T00:00:00Z", false), // clock set back
        ];
        for (now, want) in table {
            assert_eq!(over.old_data_expired(day, now.parse().unwrap()), want, "{now}");
        }
        assert!(!record().old_data_expired(day, "2027-01-01T00:00:00Z".parse().unwrap()), "not over yet");
    }
}
