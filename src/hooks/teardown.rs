//! The unit goes: its programs end, its data stays for whoever keeps the storage.

use std::time::Duration;

use crate::agent::{Agent, UnitFile};
use crate::cluster::Layout;
use crate::juju::{Context, Juju};
use crate::model::AgentError;
use crate::sys::environment::Vars;

pub(super) async fn teardown(vars: &Vars, context: &Context, juju: &Juju) -> Result<(), AgentError> {
    let storage = juju.storage("pgdata").await.map_err(|error| AgentError::fault("asking for the storage", error))?;
    let Some(storage) = storage else { return Ok(()) };
    let Some(file) = UnitFile::load(&Layout::below(&storage).state())? else { return Ok(()) };
    tracing::info!(unit = %context.unit, "stopping the unit's services");
    let agent = Agent::new(vars.get("PATH").map(String::as_str).unwrap_or_default(), storage, file)?;
    seal_if_primary(&agent).await;
    agent.member.stop_all().await.map_err(|error| AgentError::fault("stopping the unit's services", error))?;
    agent.engine().end_archiving().await;
    Ok(())
}

/// The last WAL should not die with the unit. A store that is away must not
/// keep the unit from going: Juju asks once.
async fn seal_if_primary(agent: &Agent) {
    if !agent.file.archives {
        return;
    }
    let Ok(session) = agent.postgres().await else { return };
    if let Err(error) = session.seal("unit-removed", Duration::from_secs(30)).await {
        tracing::warn!("the last WAL is not in the repository: {}", crate::model::error_chain(&error));
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
