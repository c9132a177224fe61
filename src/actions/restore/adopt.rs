//! Patroni takes a data directory over: etcd forgets the old cluster, the data
//! on disk decides.

use std::time::Duration;

use super::alone;
use crate::agent::Agent;
use crate::cluster::Archiving;
use crate::model::AgentError;
use crate::repository;

/// PostgreSQL may have to replay what its last shutdown left.
const START: Duration = Duration::from_secs(300);

/// Nothing is archived until the restored cluster is proven to take writes: a
/// rollback would otherwise meet histories of a timeline that never was.
pub(super) async fn adopt(agent: &Agent) -> Result<(), AgentError> {
    start(agent, &Archiving::Hold).await?;
    let failed = |error| AgentError::fault("writing to the restored cluster", error);
    let session = agent.postgres().await.map_err(failed)?;
    session.prove_writable().await.map_err(failed)
}

/// Starts the member on what lies in `data`.
pub(super) async fn start(agent: &Agent, archiving: &Archiving) -> Result<(), AgentError> {
    let failed = |error| AgentError::fault("starting the member", error);
    agent.member.start_etcd(&agent.etcd_start()).await.map_err(failed)?;
    let etcd = agent.etcd()?;
    if !agent.member.etcd_ready(&etcd, Duration::from_secs(30)).await {
        return Err(AgentError::fault("starting the member", "etcd does not answer".to_owned()));
    }
    // A unit that has come meanwhile waits for a primary; what it would lose is ours to keep.
    if alone::is_alone(agent).await.is_ok() {
        let forgotten = agent.member.forget_cluster(&etcd, &agent.unit.application).await;
        forgotten.map_err(|error| AgentError::fault("Failed to remove previous cluster information", error))?;
    }
    agent.write_patroni_conf(archiving)?;
    agent.member.start_patroni().await.map_err(failed)?;
    if agent.member.becomes_primary(&agent.patroni()?, START).await {
        return Ok(());
    }
    let log = agent.layout().log().join("patroni.log");
    Err(AgentError::fault("starting the member", format!("it did not become the primary, see {}", log.display())))
}

/// After the commit: WAL goes to the repository again.
pub(super) async fn archive_again(agent: &mut Agent) -> Result<(), AgentError> {
    agent.file.applied_users = agent.file.users.clone();
    agent.save()?;
    repository::use_archiving(agent, &agent.archiving()).await
}
