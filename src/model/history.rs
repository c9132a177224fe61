//! A timeline that the archive knows by its history file.

use chrono::{DateTime, Utc};

use super::{BackupId, Timeline};

/// `00000002.history` in the archive: a promotion or a restore made this timeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimelineHistory {
    pub timeline: Timeline,
    /// When the file came into the repository.
    pub created: DateTime<Utc>,
}

impl TimelineHistory {
    /// Its row in `list-backups` goes by this id.
    pub fn id(&self) -> BackupId {
        BackupId::at(self.created)
    }
}
