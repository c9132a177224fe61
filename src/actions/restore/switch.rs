//! The cluster stops, its last WAL archived, and the directories change places.

use std::time::Duration;

use crate::agent::Agent;
use crate::cluster::{self, ClusterState, ControlData};
use crate::model::{AgentError, Timeline};
use crate::restore::Record;
use crate::sys::files;

/// How long the repository may take for the last segment.
const SEAL: Duration = Duration::from_secs(90);

/// What can be known before the stop: a store that is away, or a cluster that
/// went to a new timeline, costs no outage.
pub(super) async fn before_stop(agent: &Agent, record: &Record, restored: Timeline) -> Result<(), AgentError> {
    seal(agent, record).await?;
    is_older(&control_data(agent).await?, restored)
}

pub(super) async fn stop(agent: &Agent, restored: Timeline) -> Result<(), AgentError> {
    agent.member.stop_patroni().await.map_err(|error| AgentError::fault("Failed to stop database service", error))?;
    ensure_stopped(agent).await?;
    let old = control_data(agent).await?;
    if old.state != ClusterState::ShutDown {
        return Err(AgentError::fault("Failed to stop database service", format!("its state is {:?}", old.state)));
    }
    is_older(&old, restored)
}

async fn control_data(agent: &Agent) -> Result<ControlData, AgentError> {
    let read = ControlData::read(&agent.runner, &agent.user, &agent.layout().data()).await;
    read.map_err(|error| AgentError::fault("looking at the cluster's control file", error))
}

/// Two histories of one number would bring back rows of an abandoned era.
fn is_older(old: &ControlData, restored: Timeline) -> Result<(), AgentError> {
    if old.timeline < restored {
        return Ok(());
    }
    let why = format!("the cluster is on {} by now, the copy on {restored}; run the restore again", old.timeline);
    Err(AgentError::fault("comparing timelines", why))
}

/// No directory changes its place under a server that runs.
async fn ensure_stopped(agent: &Agent) -> Result<(), AgentError> {
    let stopped = cluster::ensure_stopped(&agent.runner, &agent.user, &agent.layout().data()).await;
    stopped.map_err(|error| AgentError::fault("Failed to stop database service", error))
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
pub(super) async fn change_back(agent: &Agent, record: &Record) -> Result<(), AgentError> {
    let layout = agent.layout();
    let failed = |error| AgentError::fault("putting the old data back", error);
    if !files::exists(&layout.aside(&record.id)) {
        return Ok(());
    }
    ensure_stopped(agent).await?;
    if files::exists(&layout.data()) {
        files::remove_folder(&layout.beside(&record.id)).map_err(failed)?;
        files::rename(&layout.data(), &layout.beside(&record.id)).map_err(failed)?;
    }
    files::rename(&layout.aside(&record.id), &layout.data()).map_err(failed)
}
