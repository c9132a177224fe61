//! The nouns of the field, as types. Pure: nothing here touches the outside.

mod archive;
mod backup;
mod commit;
mod failed_run;
mod failure;
mod history;
mod label;
mod lsn;
mod observed;
mod peer;
mod plan;
mod size;
mod stanza;
mod target;
mod timelines;
mod tls_stage;
mod unit;
mod wal;

pub use archive::{Archive, ArchivedWal, Archives};
pub use backup::{Backup, Catalog, RunningBackup};
pub use commit::{Commit, RestorePoint, WalMarks};
pub use failed_run::FailedRun;
pub use failure::{AgentError, error_chain};
pub use history::{Fork, TimelineHistory};
pub use label::{BackupId, BackupKind, BackupLabel, NotABackupId, NotABackupKind, NotALabel};
pub use lsn::{Lsn, NotAnLsn};
pub use observed::Observed;
pub use peer::Peer;
pub use plan::{BackupPlan, CopyFrom};
pub use size::{Bytes, Span};
pub use stanza::{NotAStanza, Stanza};
pub use target::{Moment, RecoveryGoal, RestoreTarget, Stop};
pub use timelines::{TimelinePath, Timelines};
pub use tls_stage::TlsStage;
pub use unit::{NotAUnitName, Role, UnitName};
pub use wal::{NotAWalSegment, Timeline, WalSegment, WalSegmentSize};
