//! The cluster stops, its last WAL archived, and the directories change places.

use std::time::Duration;

use crate::agent::Agent;
use crate::cluster::{ClusterState, ControlData};
use crate::model::{AgentError, Timeline};
use crate::restore::Record;
use crate::sys::files;

/// How long the repository may take for the last segment.
const SEAL: Duration = Duration::from_secs(90);

pub(super) async fn stop(agent: &Agent, record: &Record, restored: Timeline) -> Result<(), AgentError> {
    seal(agent, record).await?;
    agent.member.stop_patroni().await.map_err(|error| AgentError::fault("Failed to stop database service", error))?;
    let failed = |error| AgentError::fault("looking at the stopped cluster", error);
    let old = ControlData::read(&agent.runner, &agent.user, &agent.layout().data()).await.map_err(failed)?;
    if old.state != ClusterState::ShutDown {
        return Err(AgentError::fault("Failed to stop database service", format!("its state is {:?}", old.state)));
    }
    if old.timeline >= restored {
        // The cluster changed its timeline meanwhile: two histories of one
        // number would bring back rows of an abandoned era.
        return Err(AgentError::fault(
            "comparing timelines",
            format!("the cluster is on {} by now, the copy on {restored}", old.timeline),
        ));
    }
    Ok(())
}

/// Nothing that was committed is only on this disk.
async fn seal(agent: &Agent, record: &Record) -> Result<(), AgentError> {
    let failed = |error| AgentError::fault("archiving the cluster's last WAL", error);
    let session = agent.postgres().await.map_err(failed)?;
    session.seal(&format!("before-restore-{}", record.id), SEAL).await.map(|_| ()).map_err(failed)
}

/// Two renames in one filesystem; either may have happened when we are killed.
pub(super) fn change_places(agent: &Agent, record: &Record) -> Result<(), AgentError> {
    let layout = agent.layout();
    let failed = |error| AgentError::fault("changing places", error);
    files::rename(&layout.data(), &layout.aside(&record.id)).map_err(failed)?;
    files::rename(&layout.beside(&record.id), &layout.data()).map_err(failed)
}

/// The way back, from wherever it was left. Old data stands aside exactly when
/// `data` is the copy or missing.
pub(super) fn change_back(agent: &Agent, record: &Record) -> Result<(), AgentError> {
    let layout = agent.layout();
    let failed = |error| AgentError::fault("putting the old data back", error);
    if !files::exists(&layout.aside(&record.id)) {
        return Ok(());
    }
    if files::exists(&layout.data()) {
        files::remove_folder(&layout.beside(&record.id)).map_err(failed)?;
        files::rename(&layout.data(), &layout.beside(&record.id)).map_err(failed)?;
    }
    files::rename(&layout.aside(&record.id), &layout.data()).map_err(failed)
}
