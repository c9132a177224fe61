//! What WAL tells at which recovery can stop: ends of transactions, restore points.

use chrono::{DateTime, Utc};

use super::Lsn;

/// The end of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commit {
    pub xid: u32,
    pub at: DateTime<Utc>,
    /// Where its record begins.
    pub lsn: Lsn,
    /// It ended, but nothing of it was kept. Recovery stops at these too.
    pub aborted: bool,
}

/// `pg_create_restore_point`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestorePoint {
    pub name: String,
    pub lsn: Lsn,
}

/// What was found in one WAL segment, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WalMarks {
    pub commits: Vec<Commit>,
    pub restore_points: Vec<RestorePoint>,
    /// The last record that was seen. Others may follow it, of kinds that were not looked for.
    pub last: Option<Lsn>,
}
