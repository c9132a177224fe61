//! A timeline that the archive knows by its history file, and what such a file says.

use chrono::{DateTime, Utc};

use super::{BackupId, Lsn, Timeline};

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

/// One line of a history file: the timeline that was left, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fork {
    pub from: Timeline,
    pub at: Lsn,
}

impl Fork {
    /// The whole path to a timeline, oldest first: PostgreSQL's `NNNNNNNN.history`, lines
    /// of `parent`, position and reason with tabs between, empty lines and comments.
    /// `None` when a line is something else: such a file proves nothing.
    pub fn path(history: &str) -> Option<Vec<Self>> {
        let told = history.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        told.map(Self::parse).collect()
    }

    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        // The parent is written in decimal there, unlike in the name of the file.
        Some(Self { from: Timeline(words.next()?.parse().ok()?), at: words.next()?.parse().ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_file_is_the_path_to_its_timeline() {
        let file = "1\t0/5000000\tno recovery target specified\n\n# by hand\n16\t1/A0000D8\tbefore 2026-11-22\n";
        let path = Fork::path(file).unwrap();
        let want = [(1, 0x500_0000), (16, 0x1_0A00_00D8)];
        assert_eq!(path, want.map(|(from, at)| Fork { from: Timeline(from), at: Lsn(at) }));
        assert_eq!(Fork::path("").unwrap(), []);
        assert_eq!(Fork::path("1\tnowhere"), None);
    }
}
