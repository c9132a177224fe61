//! What was decided about a backup before anything is touched.

use super::BackupKind;

/// The member whose files are copied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CopyFrom {
    Primary,
    /// This replica; the primary only starts and stops the backup.
    Standby,
}

/// A backup that may be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackupPlan {
    pub kind: BackupKind,
    pub copy_from: CopyFrom,
}
