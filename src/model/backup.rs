//! A backup set in the catalog, and a backup that is being made.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{BackupId, BackupKind, BackupLabel, Lsn, Timeline, WalSegment};

/// One finished backup set, as the engine's catalog tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Backup {
    pub label: BackupLabel,
    /// Labels this set needs, oldest first; empty for a full backup.
    pub reference: Vec<BackupLabel>,
    pub started: DateTime<Utc>,
    pub finished: DateTime<Utc>,
    pub wal_start: Option<WalSegment>,
    pub wal_stop: Option<WalSegment>,
    pub lsn_start: Option<Lsn>,
    pub lsn_stop: Option<Lsn>,
    /// Bytes of the database at the time of the backup.
    pub size: u64,
    /// Bytes this set added to the repository, after compression.
    pub repository_size: u64,
    /// Page checksum errors were found while copying: complete, but not to be trusted.
    pub page_errors: bool,
    /// Archive that holds its WAL, e.g. `15-1`.
    pub archive_id: String,
    pub annotations: BTreeMap<String, String>,
}

impl Backup {
    pub fn id(&self) -> BackupId {
        BackupId::of(&self.label, self.started)
    }

    pub fn kind(&self) -> BackupKind {
        self.label.kind()
    }

    pub fn timeline(&self) -> Option<Timeline> {
        self.wal_start.map(|wal| wal.timeline)
    }
}

/// A backup that an engine process is making now.
#[derive(Debug, Clone, PartialEq)]
pub struct RunningBackup {
    /// Hundredths of a percent copied, as the engine's lock file tells; `None` at first.
    pub percent_hundredths: Option<u32>,
}

/// What the repository holds for one stanza.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Catalog {
    /// False when the repository has no such stanza yet.
    pub stanza_exists: bool,
    /// PostgreSQL system identifier of the newest database history entry.
    pub system_id: Option<u64>,
    /// Archive of the newest database history entry, e.g. `15-2`; sets of others
    /// may be another database's, with timelines of the same numbers.
    pub archive_id: Option<String>,
    /// Finished sets, oldest first.
    pub backups: Vec<Backup>,
    /// A backup or expire process holds the lock on this unit.
    pub lock_held: bool,
}

impl Catalog {
    pub fn has_full_backup(&self) -> bool {
        self.backups.iter().any(|backup| backup.kind() == BackupKind::Full && !backup.page_errors)
    }

    pub fn find(&self, id: BackupId) -> Option<&Backup> {
        self.backups.iter().find(|backup| backup.id() == id)
    }

    pub fn annotated(&self, key: &str, value: &str) -> Option<&Backup> {
        self.backups.iter().rev().find(|backup| backup.annotations.get(key).is_some_and(|have| have == value))
    }
}
