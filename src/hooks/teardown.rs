//! The unit goes: its programs end, its data stays for whoever keeps the storage.

use std::time::Duration;

use super::{cluster_store, engine_server, unit_service};
use crate::actions::parts;
use crate::agent::{Agent, TlsFile, UnitFile};
use crate::cluster::Layout;
use crate::juju::{Context, Juju};
use crate::model::{AgentError, error_chain};
use crate::sys::environment::Vars;

pub(super) async fn teardown(vars: &Vars, context: &Context, juju: &Juju) -> Result<(), AgentError> {
    let storage = juju.storage("pgdata").await.map_err(|error| AgentError::fault("asking for the storage", error))?;
    let Some(storage) = storage else { return Ok(()) };
    let Some(file) = UnitFile::load(&Layout::below(&storage).state())? else { return Ok(()) };
    tracing::info!(unit = %context.unit, "stopping the unit's services");
    let mut agent = Agent::new(vars.get("PATH").map(String::as_str).unwrap_or_default(), storage, file)?;
    unit_service::stop(&agent).await?;
    parts::end_held(&agent).await?;
    if agent.has_company() {
        leave(&agent).await;
    } else {
        seal_if_primary(&agent).await;
    }
    agent.member.stop_all().await.map_err(|error| AgentError::fault("stopping the unit's services", error))?;
    engine_server::stop(&agent).await?;
    agent.engine().end_archiving().await;
    // What is left of its etcd belongs to a member that is no more.
    let forgotten = agent.member.forget_etcd_data().and_then(|()| TlsFile::forget(agent.layout()));
    forgotten.map_err(|error| AgentError::fault("removing the unit's place in the cluster", error))?;
    agent.file.begin_as(context.unit.to_string());
    agent.save()
}

/// Hands the cluster over, as far as the others can be reached: a unit goes
/// whether they answer or not, and the leader removes what it could not.
async fn leave(agent: &Agent) {
    if let Err(error) = hand_over(agent).await {
        tracing::warn!("the primary was not handed over: {}", error_chain(&error));
        seal_if_primary(agent).await;
    }
    if let Err(error) = agent.member.stop_patroni().await {
        tracing::warn!("Patroni does not end: {}", error_chain(&error));
    }
    if let Err(error) = cluster_store::leave(agent).await {
        tracing::warn!("the others remove this unit's etcd later: {}", error_chain(&error));
    }
}

/// A planned change costs clients a moment, a primary that vanishes the time
/// until its lock runs out.
async fn hand_over(agent: &Agent) -> Result<(), AgentError> {
    let patroni = agent.patroni()?;
    if !patroni.is_primary().await {
        return Ok(());
    }
    patroni
        .switchover(&agent.member.name, None)
        .await
        .map_err(|error| AgentError::fault("handing the primary over", error))
}

/// The last WAL should not die with the unit. A store that is away must not
/// keep the unit from going: Juju asks once.
async fn seal_if_primary(agent: &Agent) {
    if !agent.file.archives {
        return;
    }
    let Ok(session) = agent.postgres().await else { return };
    if let Err(error) = session.seal("unit-removed", Duration::from_secs(30)).await {
        tracing::warn!("the last WAL is not in the repository: {}", error_chain(&error));
    }
}

/// Our own secret has a newer revision that everybody reads.
pub(super) async fn remove_obsolete_secret(vars: &Vars, juju: &Juju) -> Result<(), AgentError> {
    let (Some(uri), Some(revision)) = (vars.get("JUJU_SECRET_ID"), vars.get("JUJU_SECRET_REVISION")) else {
        return Ok(());
    };
    juju.remove_secret_revision(uri, revision)
        .await
        .map_err(|error| AgentError::fault("removing an obsolete secret", error))
}
