//! Why there is no way to a target, and which instants near it can be restored to.

use chrono::{DateTime, Utc};

use crate::model::{BackupId, Lsn, Moment, Timeline, WalSegment};

/// Commands that work, nearest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Nearest(pub Vec<String>);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoWay {
    #[error("Either backup-id or restore-to-time parameters need to be provided to be able to do restore")]
    NoTarget,
    #[error("Conflicting parameters: {first} and {second}")]
    Conflict { first: &'static str, second: &'static str },
    #[error("Bad restore-to-time format: {text}")]
    BadTime { text: String },
    #[error("Invalid {name}: {text}")]
    BadTarget { name: &'static str, text: String },
    #[error("Invalid exclusive: it goes with restore-to-time, restore-to-lsn or restore-to-xid")]
    ExclusiveOfNothing,
    #[error("Cannot restore to the timeline without restore-to-time parameter: the id is of timeline {}, not of a backup", .timeline.spelled())]
    TimelineAlone { timeline: Timeline, application: String },
    #[error("Invalid timeline: {}. {}", .asked.spelled(), exist(.known))]
    UnknownTimeline { asked: Timeline, known: Vec<Timeline> },
    #[error("Invalid timeline: {}. Its history could not be read: {why}", .asked.spelled())]
    UnknownHistory { asked: Timeline, why: String },
    #[error("Invalid backup-id: {id}. It does not lie on timeline {}", .timeline.spelled())]
    NotOnTimeline { id: BackupId, timeline: Timeline, nearest: Nearest },
    #[error("Invalid backup-id: {id}. It ended at {}, behind the target {target}", Moment(*.finished))]
    TooEarly { id: BackupId, finished: DateTime<Utc>, target: String },
    #[error("There is no base backup created from the latest timeline: none lies on timeline {}", .timeline.spelled())]
    NoBaseBackup { timeline: Timeline, nearest: Nearest },
    #[error("Can't find the nearest timeline before timestamp {} to restore: no backup on timeline {} had ended by then",
        Moment(*.time), .timeline.spelled())]
    NoBackupBefore { time: DateTime<Utc>, timeline: Timeline, nearest: Nearest },
    #[error("Invalid restore-to-lsn: {lsn}. No backup on timeline {} had ended by then", .timeline.spelled())]
    NoBackupBeforeLsn { lsn: Lsn, timeline: Timeline, nearest: Nearest },
    #[error("Invalid restore-to-time: {} lies in the future, it is {} now", Moment(*.time), Moment(*.now))]
    Future { time: DateTime<Utc>, now: DateTime<Utc>, nearest: Nearest },
    #[error("Invalid restore-to-time: {}. Timeline {} is archived {}, nothing behind the time is known of it",
        Moment(*.time), .timeline.spelled(), until(.last))]
    BehindTheEnd { time: DateTime<Utc>, timeline: Timeline, last: Option<DateTime<Utc>>, nearest: Nearest },
    #[error("Invalid restore-to-lsn: {lsn}. Timeline {} is archived up to {end}", .timeline.spelled())]
    LsnBehindTheEnd { lsn: Lsn, timeline: Timeline, end: Lsn, nearest: Nearest },
    #[error("Invalid {name}: {text}. It is not in the WAL that is archived of timeline {}", .timeline.spelled())]
    NotFound { name: &'static str, text: String, timeline: Timeline, sealed: bool, nearest: Nearest },
    #[error("Invalid restore-to-name: {name}. There are {} restore points of that name", .nearest.0.len())]
    Ambiguous { name: String, nearest: Nearest },
    #[error(
        "Unit cannot restore backup to {target}: WAL segment {missing} is missing in the repository, between the backup and the target"
    )]
    Gap { target: String, missing: WalSegment, nearest: Nearest },
    #[error("Invalid backup-id: {id}. WAL segment {missing}, which it needs, is missing in the repository")]
    NotWhole { id: BackupId, missing: WalSegment, nearest: Nearest },
    #[error("Invalid backup-id: {id}. Which WAL it needs is not known")]
    NoRange { id: BackupId },
    #[error("Unit cannot restore backup as what is archived is not known ({why})")]
    ArchiveUnknown { why: String },
    #[error("Unit cannot restore backup as the target was not found in the {read} WAL segments that were read")]
    TooFar { read: usize },
    #[error("Unit cannot restore backup as the cluster's last WAL could not be archived ({why})")]
    NotSealed { why: String },
    #[error("Unit cannot restore backup as WAL segment {segment} could not be read ({why})")]
    Unreadable { segment: WalSegment, why: String },
}

fn exist(known: &[Timeline]) -> String {
    match known {
        [] => "The archive knows none".to_owned(),
        known => format!("These exist: {}", known.iter().map(|t| t.spelled()).collect::<Vec<_>>().join(", ")),
    }
}

fn until(last: &Option<DateTime<Utc>>) -> String {
    last.map_or("without a commit".to_owned(), |last| format!("up to a commit at {}", Moment(last)))
}

impl NoWay {
    pub fn hint(&self) -> String {
        use NoWay::*;
        match self {
            NoTarget => "For example: backup-id=2026-11-22T03:00:00Z, with an id that list-backups shows, or restore-to-time=latest.".to_owned(),
            Conflict { first: "backup-id", .. } => {
                "A backup alone is restored to its own end; add restore-to-time=latest to go on along a timeline.".to_owned()
            }
            Conflict { .. } => "Give one of them; backup-id may go with any.".to_owned(),
            BadTime { .. } => {
                "Give latest, or a time such as 2026-11-22T03:00:00Z or \"2026-11-22 03:00:00+00\"; without an offset it is UTC.".to_owned()
            }
            BadTarget { name, .. } => example(name).to_owned(),
            ExclusiveOfNothing => "Leave it out, or give one of them.".to_owned(),
            TimelineAlone { timeline, application } => {
                format!("To its end: juju run {application}/leader restore restore-to-time=latest timeline={}", timeline.0)
            }
            TooFar { .. } => "Give its position: restore-to-lsn, as pg_create_restore_point() or pg_current_wal_lsn() told it, reads one.".to_owned(),
            NotSealed { .. } => "juju status says what is in its way. What was archived before can be restored: a time before it, or backup-id.".to_owned(),
            TooEarly { .. } => "Leave backup-id out: the newest backup that ended before the target is taken.".to_owned(),
            UnknownTimeline { .. } => "list-backups shows what can be restored of each.".to_owned(),
            UnknownHistory { .. } | NoRange { .. } => "Choose another backup: see list-backups.".to_owned(),
            ArchiveUnknown { .. } | Unreadable { .. } => {
                "Check that the object storage answers from this unit, then run the action again.".to_owned()
            }
            NotFound { sealed: false, nearest, .. } => format!(
                "The cluster's last WAL is not archived yet: without dry-run it is, before the search. {}",
                listed(nearest)
            ),
            NotOnTimeline { nearest, .. }
            | NoBaseBackup { nearest, .. }
            | NoBackupBefore { nearest, .. }
            | NoBackupBeforeLsn { nearest, .. }
            | Future { nearest, .. }
            | BehindTheEnd { nearest, .. }
            | LsnBehindTheEnd { nearest, .. }
            | NotFound { nearest, .. }
            | Ambiguous { nearest, .. }
            | Gap { nearest, .. }
            | NotWhole { nearest, .. } => listed(nearest),
        }
    }
}

fn listed(nearest: &Nearest) -> String {
    match nearest.0.as_slice() {
        [] => "list-backups shows the instants that can be restored to.".to_owned(),
        commands => format!("Nearest that can be restored: {}", commands.join("; or ")),
    }
}

fn example(name: &str) -> &'static str {
    match name {
        "restore-to-lsn" => "It is a log position such as 0/3000028.",
        "restore-to-xid" => "It is the number of a transaction, in decimal, as pg_current_xact_id() tells it.",
        "restore-to-name" => {
            "It has up to 63 characters, no quote and no backslash, as pg_create_restore_point took it."
        }
        _ => "It is a number in decimal, or in hexadecimal with 0x in front, as list-backups shows it (A is 0xA).",
    }
}
