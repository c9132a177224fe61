//! What must be known before a backup is decided. Filled by `observe`.

use crate::model::{Observed, Role, UnitName};

/// One look at the cluster, the repository and this unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Facts {
    pub application: String,
    /// This unit.
    pub unit: UnitName,
    /// Units that Juju means to have, not those that are alive.
    pub planned_units: Observed<u32>,
    pub role: Observed<Role>,
    pub member_running: Observed<bool>,
    pub tls: bool,
    /// WAL that this replica has yet to replay; `None` on the primary.
    pub replica_lag_bytes: Observed<Option<u64>>,
    pub primary_unit: Option<UnitName>,
    /// The running replica that is least behind.
    pub healthiest_replica: Option<UnitName>,
    /// The repository's settings are complete; else which are missing.
    pub settings: Observed<()>,
    pub stanza_ready: Observed<bool>,
    /// A backup that runs, here or elsewhere: `a backup is running on postgresql/1`.
    pub engine_busy: Observed<Option<String>>,
    /// A restore that is not finished: `a restore of … is under way: …`.
    pub restore_under_way: Option<String>,
    pub has_full_backup: Observed<bool>,
    /// This cluster replicates another one.
    pub standby_cluster: bool,
}

#[cfg(test)]
pub(super) fn healthy() -> Facts {
    Facts {
        application: "postgresql".into(),
        unit: "postgresql/0".parse().unwrap(),
        planned_units: Observed::Known(1),
        role: Observed::Known(Role::Primary),
        member_running: Observed::Known(true),
        tls: false,
        replica_lag_bytes: Observed::Known(None),
        primary_unit: Some("postgresql/0".parse().unwrap()),
        healthiest_replica: None,
        settings: Observed::Known(()),
        stanza_ready: Observed::Known(true),
        engine_busy: Observed::Known(None),
        restore_under_way: None,
        has_full_backup: Observed::Known(true),
        standby_cluster: false,
    }
}
