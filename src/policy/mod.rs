//! Who may do what, and what the unit says about itself. Pure: looks at facts,
//! touches nothing. Texts are those of Charmed PostgreSQL where it has one.

mod backlog;
mod backup;
mod facts;
pub mod ownership;
mod refusal;
mod replica_source;
pub mod restore;
pub mod status;
pub mod tls;
mod window;

pub use crate::model::{BackupPlan, CopyFrom};
pub use backlog::{BACKLOG, Disk, WalFacts, backlog};
pub use backup::{MAX_LAG, plan_backup};
pub use facts::Facts;
pub use ownership::Ownership;
pub use refusal::{CreateBackup, Refusal};
pub use replica_source::{ReplicaSource, replica_source};
pub use restore::{RestoreFacts, RestorePlan};
pub use status::{Condition, Level, UnitStatus, unit_status};
pub use window::{Gap, RecoveryWindow, Until, Window, before_gaps, recovery_window};
