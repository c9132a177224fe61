//! What `list-backups` knows, and in which order it is shown.

use chrono::{DateTime, Utc};

use crate::model::{Backup, BackupId, BackupKind, BackupLabel, FailedRun, Observed, Stanza, TimelineHistory};
use crate::policy::RecoveryWindow;

/// All that the repository and this unit tell about the backups of one stanza.
#[derive(Debug, Clone, PartialEq)]
pub struct Listing {
    pub bucket: String,
    /// Path in the bucket, `/` for its root.
    pub path: String,
    pub stanza: Stanza,
    pub backups: Vec<Backup>,
    pub failed: Vec<FailedRun>,
    pub running: Option<Running>,
    pub histories: Vec<TimelineHistory>,
    pub window: Observed<RecoveryWindow>,
}

/// A backup that is being made now.
#[derive(Debug, Clone, PartialEq)]
pub struct Running {
    pub kind: BackupKind,
    pub started: DateTime<Utc>,
    /// Hundredths of a percent; `None` until copying begins.
    pub percent_hundredths: Option<u32>,
}

/// One row of the list.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Row<'a> {
    Finished(&'a Backup),
    Failed(&'a FailedRun),
    Running(&'a Running),
    Restore(&'a TimelineHistory),
}

impl Row<'_> {
    pub fn id(&self) -> BackupId {
        match self {
            Self::Finished(backup) => backup.id(),
            Self::Failed(run) => run.id(),
            Self::Running(running) => BackupId::at(running.started),
            Self::Restore(history) => history.id(),
        }
    }
}

impl Listing {
    /// Oldest first, by id.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        let mut rows: Vec<_> = self.backups.iter().map(Row::Finished).collect();
        rows.extend(self.failed.iter().map(Row::Failed));
        rows.extend(self.running.iter().map(Row::Running));
        rows.extend(self.histories.iter().map(Row::Restore));
        rows.sort_by_key(Row::id);
        rows
    }

    /// The id of the set that a backup directly stands on.
    pub(super) fn reference(&self, backup: &Backup) -> Option<BackupId> {
        backup.reference.last().map(|label| self.id_of(label))
    }

    /// Labels carry local time; the set itself, while it is there, knows better.
    fn id_of(&self, label: &BackupLabel) -> BackupId {
        let set = self.backups.iter().find(|backup| backup.label == *label);
        set.map_or_else(|| BackupId::at(label.stamp().and_utc()), Backup::id)
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    pub fn full() -> Backup {
        Backup {
            label: "20261122-030000F".parse().unwrap(),
            reference: Vec::new(),
            started: at("2026-11-22T03:00:00Z"),
            finished: at("2026-11-22T03:00:10Z"),
            wal_start: Some("000000010000000000000013".parse().unwrap()),
            wal_stop: Some("000000010000000000000014".parse().unwrap()),
            lsn_start: Some("0/13000028".parse().unwrap()),
            lsn_stop: Some("0/14000100".parse().unwrap()),
            size: 1_695_154_176,
            repository_size: 398_458_880,
            page_errors: false,
            archive_id: "15-1".into(),
            annotations: Default::default(),
        }
    }

    pub fn one_backup() -> Listing {
        Listing {
            bucket: "backups".into(),
            path: "/production".into(),
            stanza: Stanza::parse("prod.postgresql").unwrap(),
            backups: vec![full()],
            failed: Vec::new(),
            running: None,
            histories: Vec::new(),
            window: Observed::Known(RecoveryWindow::default()),
        }
    }

    /// One row of every kind.
    pub fn everything() -> Listing {
        let incremental = Backup {
            label: "20261122-030000F_20261122-050000I".parse().unwrap(),
            reference: vec!["20261122-030000F".parse().unwrap()],
            started: at("2026-11-22T05:00:00Z"),
            finished: at("2026-11-22T05:00:02Z"),
            wal_start: Some("0000000A0000000000000017".parse().unwrap()),
            wal_stop: Some("0000000A0000000000000017".parse().unwrap()),
            lsn_start: Some("0/17000028".parse().unwrap()),
            lsn_stop: Some("0/17000138".parse().unwrap()),
            repository_size: 11_579_236,
            page_errors: true,
            ..full()
        };
        let failed = FailedRun {
            kind: BackupKind::Differential,
            unit: "postgresql/1".into(),
            started: at("2026-11-22T04:00:00Z"),
            finished: at("2026-11-22T04:01:00Z"),
            reason: "[082]: WAL segment was not archived".into(),
        };
        let running =
            Running { kind: BackupKind::Full, started: at("2026-11-22T06:00:00Z"), percent_hundredths: Some(4210) };
        let history = TimelineHistory { timeline: crate::model::Timeline(10), created: at("2026-11-22T04:30:00Z") };
        Listing {
            backups: vec![full(), incremental],
            failed: vec![failed],
            running: Some(running),
            histories: vec![history],
            window: Observed::Known(crate::report::window::tests::everything()),
            ..one_backup()
        }
    }
}
