//! Where recovery is to end, as users ask for it and as PostgreSQL is told.

use std::fmt;

use chrono::{DateTime, SecondsFormat, Utc};

use super::{Lsn, Timeline};

/// A moment as parameters take it: `2026-11-22T03:00:00.123456Z`, always UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub DateTime<Utc>);

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RestoreTarget {
    /// The end of a backup, nothing after it.
    BackupEnd,
    /// All that is archived of a timeline.
    Latest,
    Time(DateTime<Utc>),
    Lsn(Lsn),
    /// A transaction, by the 32 bits that WAL has of its number.
    Xid(u32),
    /// A restore point.
    Name(String),
}

/// Is what stands exactly at the target kept?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    After,
    Before,
}

/// What PostgreSQL is told: `recovery_target*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecoveryGoal {
    pub target: RestoreTarget,
    pub stop: Stop,
    /// Followed to its end; of no matter to the end of a backup.
    pub timeline: Timeline,
}

impl fmt::Display for RestoreTarget {
    /// `time 2026-11-22T03:00:00Z`, for programs too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BackupEnd => f.write_str("backup-end"),
            Self::Latest => f.write_str("latest"),
            Self::Time(time) => write!(f, "time {}", Moment(*time)),
            Self::Lsn(lsn) => write!(f, "lsn {lsn}"),
            Self::Xid(xid) => write!(f, "xid {xid}"),
            Self::Name(name) => write!(f, "name {name}"),
        }
    }
}

impl fmt::Display for RecoveryGoal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.stop {
            Stop::After => write!(f, "{}", self.target),
            Stop::Before => write!(f, "{}, exclusive", self.target),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_have_one_spelling_and_times_are_utc() {
        let time = |text: &str| RestoreTarget::Time(text.parse().unwrap());
        #[rustfmt::skip]
        let table = [
            (RestoreTarget::BackupEnd,                 Stop::After,  "backup-end"),
            (RestoreTarget::Latest,                    Stop::After,  "latest"),
            (time("2026-11-22T03:00:00Z"),             Stop::After,  "time 2026-11-22T03:00:00Z"),
            (time("2026-11-22T03:00:00.100+05:30"),    Stop::Before, "time 2026-11-21T21:30:00.100Z, exclusive"),
            (RestoreTarget::Lsn(Lsn(0x300_0028)),      Stop::After,  "lsn 0/3000028"),
            (RestoreTarget::Xid(736),                  Stop::Before, "xid 736, exclusive"),
            (RestoreTarget::Name("before x".into()),   Stop::After,  "name before x"),
        ];
        for (target, stop, text) in table {
            assert_eq!(RecoveryGoal { target, stop, timeline: Timeline(1) }.to_string(), text);
        }
    }
}
