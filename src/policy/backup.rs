//! Who may back up, and whose files are copied. Pure: looks at [`Facts`], touches nothing.

use super::facts::Facts;
use super::refusal::{CreateBackup, Refusal};
use crate::model::{BackupKind, BackupPlan, CopyFrom, Observed, Role, UnitName};

/// A replica that is more than this behind cannot catch up with the start of
/// the backup in time (pgBackRest waits for it, but not for ever).
pub const MAX_LAG: u64 = 256 << 20;

/// The plan of a backup that may be made on this unit now, or why not.
pub fn plan_backup(facts: &Facts, kind: BackupKind) -> Result<BackupPlan, Refusal> {
    not_a_standby_cluster(facts)?;
    no_restore_under_way(facts)?;
    let copy_from = right_to_back_up(facts, kind)?;
    member_runs(facts)?;
    not_too_far_behind(facts, kind, copy_from)?;
    settings_are_complete(facts)?;
    stanza_is_ready(&facts.stanza_ready)?;
    nobody_else_backs_up(facts)?;
    has_something_to_stand_on(facts, kind)?;
    Ok(BackupPlan { kind, copy_from })
}

/// The table of the manual, "TLS on" means between the members of the cluster.
fn right_to_back_up(facts: &Facts, kind: BackupKind) -> Result<CopyFrom, Refusal> {
    use Observed::{Known, Unknown};
    use Role::{Primary, Replica};
    let on = |unit: &Option<UnitName>| unit.clone().map(|unit| CreateBackup { unit, kind });
    match (&facts.role, &facts.planned_units, facts.tls) {
        (Unknown { why }, _, _) => Err(Refusal::RoleUnknown { why: why.clone() }),
        (_, Unknown { why }, _) => Err(Refusal::PlannedUnitsUnknown { why: why.clone() }),
        (Known(Primary), Known(0 | 1), _) => Ok(CopyFrom::Primary),
        (Known(Primary), Known(2..), false) => Ok(CopyFrom::Primary),
        (Known(Primary), Known(2..), true) => {
            Err(Refusal::PrimaryWithReplicas { instead: on(&facts.healthiest_replica) })
        }
        // The others are leaving, the primary with them: it would be gone
        // before the backup could be stopped.
        (Known(Replica), Known(0 | 1), _) => {
            Err(Refusal::LoneReplica { primary: facts.primary_unit.clone(), again: again(facts, kind) })
        }
        (Known(Replica), Known(2..), false) => Err(Refusal::ReplicaWithoutTls { instead: on(&facts.primary_unit) }),
        (Known(Replica), Known(2..), true) => Ok(CopyFrom::Standby),
    }
}

fn not_a_standby_cluster(facts: &Facts) -> Result<(), Refusal> {
    if facts.standby_cluster { Err(Refusal::StandbyCluster) } else { Ok(()) }
}

fn no_restore_under_way(facts: &Facts) -> Result<(), Refusal> {
    match &facts.restore_under_way {
        Some(what) => Err(Refusal::RestoreUnderWay { what: what.clone() }),
        None => Ok(()),
    }
}

fn member_runs(facts: &Facts) -> Result<(), Refusal> {
    let why = match &facts.member_running {
        Observed::Known(true) => return Ok(()),
        Observed::Known(false) => None,
        Observed::Unknown { why } => Some(why.clone()),
    };
    Err(Refusal::MemberNotRunning { why, unit: facts.unit.clone() })
}

fn not_too_far_behind(facts: &Facts, kind: BackupKind, copy_from: CopyFrom) -> Result<(), Refusal> {
    let again = again(facts, kind);
    match (copy_from, &facts.replica_lag_bytes) {
        (CopyFrom::Primary, _) => Ok(()),
        (CopyFrom::Standby, Observed::Known(Some(lag))) if *lag <= MAX_LAG => Ok(()),
        (CopyFrom::Standby, Observed::Known(Some(lag))) => {
            Err(Refusal::TooFarBehind { lag: *lag, limit: MAX_LAG, again })
        }
        (CopyFrom::Standby, Observed::Known(None)) => {
            Err(Refusal::LagUnknown { why: "it does not stream from the primary".to_owned(), again })
        }
        (CopyFrom::Standby, Observed::Unknown { why }) => Err(Refusal::LagUnknown { why: why.clone(), again }),
    }
}

fn settings_are_complete(facts: &Facts) -> Result<(), Refusal> {
    match &facts.settings {
        Observed::Known(()) => Ok(()),
        Observed::Unknown { why } => {
            Err(Refusal::Settings { why: why.clone(), application: facts.application.clone() })
        }
    }
}

pub(super) fn stanza_is_ready(ready: &Observed<bool>) -> Result<(), Refusal> {
    match ready {
        Observed::Known(true) => Ok(()),
        Observed::Known(false) => Err(Refusal::StanzaNotReady { why: None }),
        Observed::Unknown { why } => Err(Refusal::StanzaNotReady { why: Some(why.clone()) }),
    }
}

fn nobody_else_backs_up(facts: &Facts) -> Result<(), Refusal> {
    match &facts.engine_busy {
        Observed::Known(None) => Ok(()),
        Observed::Known(Some(who)) => Err(Refusal::EngineBusy { who: who.clone() }),
        Observed::Unknown { why } => Err(Refusal::BusyUnknown { why: why.clone() }),
    }
}

fn has_something_to_stand_on(facts: &Facts, kind: BackupKind) -> Result<(), Refusal> {
    match (kind, &facts.has_full_backup) {
        (BackupKind::Full, _) | (_, Observed::Known(true)) => Ok(()),
        (_, Observed::Known(false)) => Err(Refusal::NoFullBackup { kind, full: again(facts, BackupKind::Full) }),
        (_, Observed::Unknown { why }) => Err(Refusal::CatalogUnknown { why: why.clone() }),
    }
}

fn again(facts: &Facts, kind: BackupKind) -> CreateBackup {
    CreateBackup { unit: facts.unit.clone(), kind }
}

#[cfg(test)]
mod tests {
    use super::super::facts::healthy;
    use super::*;
    use crate::model::AgentError;

    fn unit(name: &str) -> UnitName {
        name.parse().unwrap()
    }

    /// Three units with TLS; this one is a replica that keeps up.
    fn healthy_replica() -> Facts {
        Facts {
            planned_units: Observed::Known(3),
            role: Observed::Known(Role::Replica),
            tls: true,
            replica_lag_bytes: Observed::Known(Some(0)),
            primary_unit: Some(unit("postgresql/1")),
            healthiest_replica: Some(unit("postgresql/2")),
            ..healthy()
        }
    }

    /// What a user reads.
    fn told(facts: &Facts, kind: BackupKind) -> String {
        AgentError::from(plan_backup(facts, kind).unwrap_err()).explain()
    }

    #[test]
    fn the_table_of_the_manual() {
        const PRIMARY_WITH_REPLICAS: &str = "Unit cannot perform backups as it is the cluster primary. \
             Run it on the healthiest replica: juju run postgresql/2 create-backup";
        const NO_TLS: &str = "Unit cannot perform backups as TLS is not enabled. \
             Run it on the primary: juju run postgresql/1 create-backup \
             (or relate a TLS certificates operator to back up from replicas)";
        const LONE: &str = "Unit cannot perform backups as the database seems to be offline: it is the only planned unit \
             and still a replica of postgresql/1. Wait until this unit has become the primary (juju status shows it), \
             then: juju run postgresql/0 create-backup";
        use CopyFrom::Standby;
        use Role::{Primary, Replica};
        #[rustfmt::skip]
        let table = [
            // planned  unit is   TLS    create-backup
            (1,         Primary,  false, Ok(CopyFrom::Primary)),
            (1,         Primary,  true,  Ok(CopyFrom::Primary)),
            (3,         Primary,  false, Ok(CopyFrom::Primary)),
            (3,         Primary,  true,  Err(PRIMARY_WITH_REPLICAS)),
            (3,         Replica,  false, Err(NO_TLS)),
            (3,         Replica,  true,  Ok(Standby)),
            (1,         Replica,  false, Err(LONE)),
            (1,         Replica,  true,  Err(LONE)),
        ];
        for (planned, role, tls, want) in table {
            let facts = Facts {
                planned_units: Observed::Known(planned),
                role: Observed::Known(role),
                tls,
                ..healthy_replica()
            };
            let got = plan_backup(&facts, BackupKind::Full).map(|plan| plan.copy_from);
            let got = got.map_err(|refusal| AgentError::from(refusal).explain());
            assert_eq!(got, want.map_err(str::to_owned), "{planned} {role:?} {tls}");
        }
    }

    #[test]
    fn what_is_not_known_refuses_and_says_why() {
        let unknown = || "connection refused".to_owned();
        let facts = Facts { role: Observed::unknown(unknown()), ..healthy() };
        assert_eq!(plan_backup(&facts, BackupKind::Full), Err(Refusal::RoleUnknown { why: unknown() }));
        let facts = Facts { planned_units: Observed::unknown(unknown()), ..healthy() };
        assert_eq!(plan_backup(&facts, BackupKind::Full), Err(Refusal::PlannedUnitsUnknown { why: unknown() }));
        let facts = Facts { member_running: Observed::unknown(unknown()), ..healthy() };
        assert!(told(&facts, BackupKind::Full).starts_with(
            "Unit cannot perform backups as it's not in running state (connection refused). Wait until juju status"
        ));
        let facts = Facts { stanza_ready: Observed::unknown(unknown()), ..healthy() };
        assert_eq!(plan_backup(&facts, BackupKind::Full), Err(Refusal::StanzaNotReady { why: Some(unknown()) }));
    }

    #[test]
    fn a_member_that_does_not_run_cannot_back_up() {
        let facts = Facts { member_running: Observed::Known(false), ..healthy() };
        assert_eq!(
            told(&facts, BackupKind::Full),
            "Unit cannot perform backups as it's not in running state. \
             Wait until juju status shows postgresql/0 as active, then try again."
        );
    }

    #[test]
    fn a_replica_that_is_far_behind_is_not_copied_but_a_primary_has_no_lag() {
        let facts = Facts { replica_lag_bytes: Observed::Known(Some(MAX_LAG + 1)), ..healthy_replica() };
        assert_eq!(
            told(&facts, BackupKind::Differential),
            "Unit cannot perform backups as it is 256 MiB behind the primary (at most 256 MiB are allowed). \
             Wait until it has caught up, then: juju run postgresql/0 create-backup type=differential"
        );
        let facts = Facts { replica_lag_bytes: Observed::Known(None), ..healthy_replica() };
        assert!(matches!(plan_backup(&facts, BackupKind::Full), Err(Refusal::LagUnknown { .. })));
        let facts = Facts { replica_lag_bytes: Observed::unknown("no answer"), ..healthy() };
        assert!(plan_backup(&facts, BackupKind::Full).is_ok());
    }

    #[test]
    fn without_settings_the_missing_ones_are_named() {
        let facts = Facts {
            settings: Observed::unknown("Missing S3 parameters: ['bucket']"),
            stanza_ready: Observed::Known(false),
            ..healthy()
        };
        assert_eq!(
            told(&facts, BackupKind::Full),
            "Missing S3 parameters: ['bucket']. Set bucket, access-key and secret-key of the object storage \
             and relate it: juju integrate postgresql s3-integrator"
        );
    }

    #[test]
    fn a_stanza_that_is_not_there_yet_is_told() {
        let facts = Facts { stanza_ready: Observed::Known(false), ..healthy() };
        assert!(told(&facts, BackupKind::Full).starts_with("Stanza was not initialised. "));
    }

    #[test]
    fn two_backups_never_run_at_once() {
        let facts =
            Facts { engine_busy: Observed::Known(Some("a backup is running on postgresql/1".into())), ..healthy() };
        assert_eq!(
            told(&facts, BackupKind::Full),
            "a backup is running on postgresql/1; only one may run at a time. \
             Wait until it is done (list-backups shows its progress), then try again."
        );
    }

    #[test]
    fn a_restore_comes_before_every_backup() {
        let facts = Facts { restore_under_way: Some("recovering".into()), role: Observed::unknown("?"), ..healthy() };
        assert!(matches!(plan_backup(&facts, BackupKind::Full), Err(Refusal::RestoreUnderWay { .. })));
    }

    #[test]
    fn a_standby_cluster_has_no_backups() {
        let facts = Facts { standby_cluster: true, ..healthy() };
        assert!(told(&facts, BackupKind::Full).starts_with(
            "Backups are not supported on a standby cluster. Run create-backup on the primary cluster instead. "
        ));
    }

    #[test]
    fn an_incremental_needs_a_full_backup_first() {
        let facts = Facts { has_full_backup: Observed::Known(false), ..healthy() };
        assert!(plan_backup(&facts, BackupKind::Full).is_ok());
        assert_eq!(
            told(&facts, BackupKind::Incremental),
            "Invalid backup type: incremental. No previous full backup to reference. \
             Create a full backup first: juju run postgresql/0 create-backup"
        );
    }

    #[test]
    fn the_right_to_back_up_comes_before_the_missing_full_backup() {
        let facts = Facts {
            role: Observed::Known(Role::Primary),
            has_full_backup: Observed::Known(false),
            ..healthy_replica()
        };
        assert!(matches!(plan_backup(&facts, BackupKind::Incremental), Err(Refusal::PrimaryWithReplicas { .. })));
    }

    #[test]
    fn a_catalog_that_cannot_be_read_is_not_an_empty_one() {
        let facts = Facts { has_full_backup: Observed::unknown("timeout"), ..healthy() };
        assert!(plan_backup(&facts, BackupKind::Full).is_ok());
        assert_eq!(
            plan_backup(&facts, BackupKind::Differential),
            Err(Refusal::CatalogUnknown { why: "timeout".into() })
        );
    }
}
