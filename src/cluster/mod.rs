//! One member of the cluster: its folders, etcd, Patroni, PostgreSQL. Knows
//! nothing of Juju, repositories or backups.

mod control_data;
mod etcd;
mod etcd_auth;
mod isolated;
mod layout;
mod member;
mod patroni;
mod patroni_conf;
mod postgres;
mod roles;
mod seal;
mod shutdown;

pub use control_data::{ClusterState, ControlData, ControlDataError};
pub use etcd::{Etcd, EtcdError};
pub use isolated::{Isolated, IsolatedError, RunningServer};
pub use layout::{Layout, PG_PORT};
pub use member::Member;
pub use patroni::{MemberState, Patroni, PatroniError};
pub use patroni_conf::{Archiving, PatroniConf, RenderError};
pub use postgres::{Archiver, Postgres, SqlError};
pub use shutdown::{StopError, ensure_stopped};
