//! One member of the cluster: its folders, etcd, Patroni, PostgreSQL. Knows
//! nothing of Juju, repositories or backups.

mod control_data;
mod etcd;
mod isolated;
mod layout;
mod member;
mod patroni;
mod patroni_conf;
mod postgres;
mod roles;
mod seal;
mod shutdown;
pub(crate) mod urls;
mod wal_dump;

pub use control_data::{ClusterState, ControlData, ControlDataError};
pub(crate) use etcd::DEADLINE as ETCD_DEADLINE;
pub use etcd::{Claim, Claimed, Credentials, Etcd, EtcdError, EtcdMember, Own, Revision, Step, next_step};
pub use isolated::{Isolated, IsolatedError, RunningServer};
pub use layout::{Layout, PG_PORT};
pub use member::{EtcdStart, Member};
pub(crate) use patroni::DEADLINE as PATRONI_DEADLINE;
pub use patroni::{MemberState, OwnState, Patroni, PatroniError};
pub use patroni_conf::{Archiving, PatroniConf, RenderError};
pub use postgres::{Archiver, Postgres, SqlError};
pub use shutdown::{StopError, ensure_stopped};
pub use wal_dump::{WalDumpError, dump, own_history};
