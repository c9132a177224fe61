//! A backup run that ended without a backup: what the agent remembers of it.

use chrono::{DateTime, Utc};

use super::{BackupId, BackupKind};

/// Kept in the repository by the agent, because pgBackRest never lists failed runs.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct FailedRun {
    pub kind: BackupKind,
    /// `postgresql/0`
    pub unit: String,
    pub started: DateTime<Utc>,
    pub finished: DateTime<Utc>,
    /// One line: pgBackRest's ERROR and HINT, or what ended the run.
    pub reason: String,
}

impl FailedRun {
    pub fn id(&self) -> BackupId {
        BackupId::at(self.started)
    }
}
