//! WAL in the repository, as its listing tells.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use super::{TimelineHistory, WalSegment};

/// The archives of a stanza by their id, e.g. `15-1`: one for every database it has had.
pub type Archives = BTreeMap<String, Archive>;

/// The WAL of one database.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Archive {
    /// Whole segments; the partial one at the end of a timeline stands for nothing.
    pub segments: BTreeMap<WalSegment, ArchivedWal>,
    pub histories: Vec<TimelineHistory>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchivedWal {
    /// When it came into the repository.
    pub archived: DateTime<Utc>,
    /// Bytes in the repository, after compression.
    pub bytes: u64,
}
