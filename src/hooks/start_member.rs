//! Brings the member up: etcd, Patroni, PostgreSQL, the system users' roles.

use std::time::Duration;

use crate::agent::Agent;
use crate::cluster::EtcdError;
use crate::juju::Juju;
use crate::model::{AgentError, error_chain};
use crate::policy::status::{Condition, waiting};
use crate::secrets::SecretString;

/// Key of the cluster store's password.
const RAFT: &str = "raft-password";

/// A first start makes a new cluster; a later one may replay WAL.
const START: Duration = Duration::from_secs(120);

/// What keeps the member from being up; nothing when it is.
pub(super) async fn start(agent: &mut Agent, juju: &Juju) -> Vec<Condition> {
    match bring_up(agent, juju).await {
        Ok(()) => Vec::new(),
        Err(error) => vec![waiting(format!("the database is not up: {}", error.explain()))],
    }
}

async fn bring_up(agent: &mut Agent, juju: &Juju) -> Result<(), AgentError> {
    start_etcd(agent).await?;
    let changed = agent.write_patroni_conf(&agent.archiving())?;
    let ran = agent.member.patroni_runs().await;
    let failed = |error| AgentError::fault("starting Patroni", error);
    if !ran {
        agent.member.start_patroni().await.map_err(failed)?;
    } else if changed {
        agent.member.reload_patroni().await.map_err(failed)?;
    }
    if !agent.member.becomes_primary(&agent.patroni()?, START).await {
        let log = agent.layout().log().join("patroni.log");
        return Err(AgentError::fault("waiting for the primary", format!("not there yet, see {}", log.display())));
    }
    apply_users(agent).await?;
    tell_version(agent, juju).await
}

async fn start_etcd(agent: &mut Agent) -> Result<(), AgentError> {
    let failed = |error: EtcdError| AgentError::fault("setting etcd's password", error);
    agent.member.start_etcd().await.map_err(|error| AgentError::fault("starting etcd", error))?;
    let etcd = agent.etcd()?;
    if !agent.member.etcd_ready(&etcd, Duration::from_secs(30)).await {
        return Err(AgentError::fault("waiting for etcd", "it does not answer".to_owned()));
    }
    let old = agent.file.applied_users.get(RAFT).map(|text| SecretString::from(text.clone()));
    etcd.ensure_password(old.as_ref()).await.map_err(failed)?;
    // At once: should PostgreSQL not come up, the next change must know this one.
    let (old, new) = (agent.file.applied_users.get(RAFT), agent.file.users.get(RAFT));
    if let Some(new) = new.filter(|_| old != new).cloned() {
        agent.file.applied_users.insert(RAFT.to_owned(), new);
        agent.save()?;
    }
    Ok(())
}

/// Gives the running cluster the passwords it should have.
async fn apply_users(agent: &mut Agent) -> Result<(), AgentError> {
    if agent.file.applied_users == agent.file.users {
        return Ok(());
    }
    let users = agent.users()?;
    let failed = |error| AgentError::fault("setting the system users' passwords", error);
    agent.postgres().await.map_err(failed)?.ensure_roles(&users).await.map_err(failed)?;
    agent.file.applied_users = agent.file.users.clone();
    agent.save()
}

async fn tell_version(agent: &mut Agent, juju: &Juju) -> Result<(), AgentError> {
    let session = agent.postgres().await.map_err(|error| AgentError::fault("asking for the version", error))?;
    let version = session.version().await.map_err(|error| AgentError::fault("asking for the version", error))?;
    if version != agent.file.version {
        let told = juju.set_version(&version).await;
        told.map_err(|error| AgentError::fault("telling Juju the version", error_chain(&error)))?;
        agent.file.version = version;
    }
    Ok(())
}
