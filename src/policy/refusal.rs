//! Every "no", with its text and what helps. The text begins with the sentence
//! of Charmed PostgreSQL where there is one, and goes on with the cause.

use std::fmt;

use super::restore::NoWay;
use crate::model::{AgentError, BackupId, BackupKind, BackupLabel, Bytes, UnitName};

/// `juju run postgresql/2 create-backup`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreateBackup {
    pub unit: UnitName,
    pub kind: BackupKind,
}

impl fmt::Display for CreateBackup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "juju run {} create-backup", self.unit)?;
        match self.kind {
            BackupKind::Full => Ok(()),
            kind => write!(f, " type={kind}"),
        }
    }
}

/// Why an action is not done. Nothing was touched.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("Backups are not supported on a standby cluster. Run create-backup on the primary cluster instead")]
    StandbyCluster,
    #[error("Unit cannot perform backups as the database seems to be offline: its role is not known ({why})")]
    RoleUnknown { why: String },
    #[error("Unit cannot perform backups as the number of planned units is not known ({why})")]
    PlannedUnitsUnknown { why: String },
    #[error("Unit cannot perform backups as it is the cluster primary")]
    PrimaryWithReplicas { instead: Option<CreateBackup> },
    #[error("Unit cannot perform backups as TLS is not enabled")]
    ReplicaWithoutTls { instead: Option<CreateBackup> },
    #[error("Unit cannot perform backups as the database seems to be offline: it is the only planned unit and {}",
        .primary.as_ref().map_or("no primary is known".to_owned(), |unit| format!("still a replica of {unit}")))]
    LoneReplica { primary: Option<UnitName>, again: CreateBackup },
    #[error("Unit cannot perform backups as it's not in running state{}", cause(.why))]
    MemberNotRunning { why: Option<String>, unit: UnitName },
    #[error("Unit cannot perform backups as it is {} behind the primary (at most {} are allowed)", Bytes(*.lag), Bytes(*.limit))]
    TooFarBehind { lag: u64, limit: u64, again: CreateBackup },
    #[error("Unit cannot perform backups as it is not known how far it is behind the primary ({why})")]
    LagUnknown { why: String, again: CreateBackup },
    /// `why` is the sentence of the settings: the relation that is missing, or the parameters.
    #[error("{why}")]
    Settings { why: String, application: String },
    #[error("Stanza was not initialised{}", cause(.why))]
    StanzaNotReady { why: Option<String> },
    #[error("{who}; only one may run at a time")]
    EngineBusy { who: String },
    #[error("Unit cannot perform backups as it is not known whether another unit does ({why})")]
    BusyUnknown { why: String },
    #[error("{what}")]
    RestoreUnderWay { what: String },
    #[error("Invalid backup type: {kind}. No previous full backup to reference")]
    NoFullBackup { kind: BackupKind, full: CreateBackup },
    #[error("Failed to list PostgreSQL backups with error: {why}")]
    CatalogUnknown { why: String },

    #[error("Restoring backups is not supported on a standby cluster. Run restore on the primary cluster instead")]
    RestoreOnStandbyCluster,
    #[error(transparent)]
    NoWay(#[from] NoWay),
    #[error("Unit cannot restore backup as it was not elected the leader unit yet")]
    NotLeader { application: String },
    #[error("Failed to retrieve backups list: {why}")]
    RestoreCatalogUnknown { why: String },
    #[error("Invalid backup-id: {asked}")]
    UnknownBackup { asked: String, nearest: Vec<BackupId>, known: usize },
    #[error("Invalid backup-id: {id}. PostgreSQL found page checksum errors while {culprit} was copied")]
    PageErrors { id: BackupId, culprit: BackupLabel, sound: Option<BackupId> },
    #[error("Invalid backup-id: {id}. It stands on backup {missing}, which is no longer in the repository")]
    BrokenChain { id: BackupId, missing: BackupLabel, sound: Option<BackupId> },
    #[error("Not enough disk space to restore backup {id}: it needs {}, {} are free", Bytes(*.needs), Bytes(*.free))]
    DiskTooSmall { id: BackupId, needs: u64, free: u64 },
    #[error("Not enough disk space on {unit} to restore backup {id}: it needs {}, {} are free", Bytes(*.needs), Bytes(*.free))]
    OtherDiskTooSmall { id: BackupId, unit: UnitName, needs: u64, free: u64 },
    #[error("Unit cannot restore backup as the free disk space is not known ({why})")]
    DiskUnknown { why: String },
}

fn cause(why: &Option<String>) -> String {
    why.as_ref().map(|why| format!(" ({why})")).unwrap_or_default()
}

impl Refusal {
    /// What helps, with the command to type where there is one.
    pub fn hint(&self) -> String {
        use Refusal::*;
        match self {
            StandbyCluster => "Use the juju model of the primary cluster.".to_owned(),
            RoleUnknown { .. } | PlannedUnitsUnknown { .. } | BusyUnknown { .. } => {
                "See juju status for the state of the unit, and run the action again once it is active.".to_owned()
            }
            PrimaryWithReplicas { instead: Some(command) } => format!("Run it on the healthiest replica: {command}"),
            PrimaryWithReplicas { instead: None } => {
                "Run create-backup on a replica; none is healthy now, see juju status.".to_owned()
            }
            ReplicaWithoutTls { instead: Some(command) } => {
                format!(
                    "Run it on the primary: {command} (or relate a TLS certificates operator to back up from replicas)"
                )
            }
            ReplicaWithoutTls { instead: None } => {
                "Run create-backup on the primary (juju status shows which unit it is), or relate a TLS certificates \
                 operator to back up from replicas."
                    .to_owned()
            }
            LoneReplica { again, .. } => {
                format!("Wait until this unit has become the primary (juju status shows it), then: {again}")
            }
            MemberNotRunning { unit, .. } => format!("Wait until juju status shows {unit} as active, then try again."),
            TooFarBehind { again, .. } => format!("Wait until it has caught up, then: {again}"),
            LagUnknown { again, .. } => format!("Wait until it streams from the primary, then: {again}"),
            Settings { application, .. } => format!(
                "Set bucket, access-key and secret-key of the object storage and relate it: \
                 juju integrate {application} s3-integrator"
            ),
            StanzaNotReady { .. } => {
                "The charm tries again at every update-status; juju status says what is in its way.".to_owned()
            }
            EngineBusy { .. } => "Wait until it is done (list-backups shows its progress), then try again.".to_owned(),
            RestoreUnderWay { .. } => "Wait until juju status shows that the restore is done.".to_owned(),
            NoFullBackup { full, .. } => format!("Create a full backup first: {full}"),
            CatalogUnknown { .. } | RestoreCatalogUnknown { .. } => {
                "Check the settings of the object storage and that its endpoint answers from this unit.".to_owned()
            }
            RestoreOnStandbyCluster => "Use the juju model of the primary cluster.".to_owned(),
            NoWay(no_way) => no_way.hint(),
            DiskUnknown { .. } => "See juju debug-log of this unit, then run the action again.".to_owned(),
            NotLeader { application } => format!("Run it on the leader: juju run {application}/leader restore"),
            UnknownBackup { nearest, known: 0, .. } if nearest.is_empty() => {
                "The repository holds no backup yet: see list-backups.".to_owned()
            }
            UnknownBackup { nearest, known, .. } => {
                format!("Nearest of {known} known: {} (see list-backups)", listed(nearest))
            }
            PageErrors { sound, .. } | BrokenChain { sound, .. } => match sound {
                Some(id) => format!("The newest sound backup is backup-id={id}"),
                None => "No sound backup is known: see list-backups.".to_owned(),
            },
            DiskTooSmall { needs, free, .. } => format!(
                "The old data is kept until the restore is proven: enlarge the storage `pgdata` by at least {}, or free as much.",
                Bytes(needs.saturating_sub(*free))
            ),
            OtherDiskTooSmall { needs, free, .. } => format!(
                "Every unit keeps its old data and copies the restored cluster beside it: enlarge its storage `pgdata` by \
                 at least {}, or free as much.",
                Bytes(needs.saturating_sub(*free))
            ),
        }
    }
}

fn listed(ids: &[BackupId]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

impl From<Refusal> for AgentError {
    fn from(refusal: Refusal) -> Self {
        Self::refused(refusal.to_string(), refusal.hint())
    }
}
