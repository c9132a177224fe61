//! Patroni takes the restored data over: etcd forgets the old cluster, the data
//! on disk decides.

use super::folders::Folders;
use super::part;
use crate::actions::due_backup;
use crate::agent::Agent;
use crate::cluster::Archiving;
use crate::model::{AgentError, Timeline};
use crate::repository;
use crate::restore::{Record, places};

/// The copy takes the place of the data, which stands aside.
pub(super) fn take_place(agent: &Agent, record: &Record) -> Result<(), AgentError> {
    let folders = Folders::of_record(agent, record);
    folders.carry_out("changing places", &places::take_place(folders.places()))
}

/// Two histories of one number would bring back rows of an abandoned era.
pub(super) fn is_older(cluster: Timeline, restored: Timeline) -> Result<(), AgentError> {
    if cluster < restored {
        return Ok(());
    }
    let why = format!("the cluster is on {cluster} by now, the copy on {restored}; run the restore again");
    Err(AgentError::fault("comparing timelines", why))
}

/// The lock of the old primary may not have run out, though its Patroni was killed.
pub(super) async fn forget_old(agent: &Agent) -> Result<(), AgentError> {
    let etcd = part::etcd_up(agent).await?;
    let forgotten = agent.member.forget_cluster(&etcd, &agent.unit.application).await;
    forgotten.map_err(|error| AgentError::fault("Failed to remove previous cluster information", error))
}

/// Nothing is archived until the restored cluster is proven to take writes: a
/// rollback would otherwise meet histories of a timeline that never was.
pub(super) async fn adopt(agent: &Agent) -> Result<(), AgentError> {
    agent.write_patroni_conf(&Archiving::Hold)?;
    agent.member.start_patroni().await.map_err(|error| AgentError::fault("starting the member", error))?;
    part::becomes_primary(agent).await?;
    let failed = |error| AgentError::fault("writing to the restored cluster", error);
    let session = agent.postgres().await.map_err(failed)?;
    session.prove_writable().await.map_err(failed)
}

/// After the commit: WAL goes to the repository again, and a full backup of what is here now is due.
pub(super) async fn archive_again(agent: &mut Agent, record: &Record) -> Result<(), AgentError> {
    due_backup::make_due(agent, record).await;
    agent.file.applied_users = agent.file.users.clone();
    agent.save()?;
    repository::use_archiving(agent, &agent.archiving()).await
}
