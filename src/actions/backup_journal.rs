//! A backup that runs is written down before it starts, so that the next hook
//! can tell of one whose agent was killed.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::agent::{Agent, take_backup_lock};
use crate::model::{AgentError, BackupKind, FailedRun, error_chain};
use crate::store;
use crate::sys::clock;
use crate::sys::files::{self, Access};

const NAME: &str = "backup.json";

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct RunningRecord {
    /// Annotation that the backup carries in the catalog.
    pub request: String,
    pub kind: BackupKind,
    pub started: DateTime<Utc>,
    /// It ended without a backup, and the repository does not know yet.
    #[serde(default)]
    pub failed: Option<FailedNote>,
}

/// What the repository is to be told of a run that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FailedNote {
    pub run: FailedRun,
    pub log: String,
}

fn path(agent: &Agent) -> std::path::PathBuf {
    agent.layout().state().join(NAME)
}

pub(super) fn open(agent: &Agent, record: &RunningRecord) -> Result<(), AgentError> {
    let text = serde_json::to_vec(record).map_err(|error| AgentError::Bug(error.to_string()))?;
    files::write(&path(agent), &text, &Access::Private)
        .map(|_| ())
        .map_err(|error| AgentError::fault("writing the journal", error))
}

pub(super) fn close(agent: &Agent) -> Result<(), AgentError> {
    files::remove_file(&path(agent)).map_err(|error| AgentError::fault("clearing the journal", error))
}

pub(super) fn read(agent: &Agent) -> Result<Option<RunningRecord>, AgentError> {
    let text = files::read(&path(agent)).map_err(|error| AgentError::fault("reading the journal", error))?;
    text.map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(|error| AgentError::fault("reading the journal", error))
}

/// Tells the repository of a run that failed, or whose agent was killed (the
/// engine's processes died with it), unless somebody is at work. While the
/// repository is away the journal waits.
pub(super) async fn after_crash(agent: &Agent) {
    match take_backup_lock(agent.layout()) {
        Ok(Some(_lock)) => settled(agent).await,
        Ok(None) => (),
        Err(error) => tracing::warn!("{}", error_chain(&error)),
    }
}

/// The same; the caller holds the lock of backups.
pub(super) async fn settled(agent: &Agent) {
    let Ok(Some(record)) = read(agent) else { return };
    if let Err(error) = settle(agent, &record).await {
        tracing::warn!("a backup was broken off; its record waits for the repository: {}", error_chain(&error));
    }
}

async fn settle(agent: &Agent, record: &RunningRecord) -> Result<(), AgentError> {
    let note = match &record.failed {
        Some(note) => Some(note.clone()),
        None => killed(agent, record).await?,
    };
    if let Some(FailedNote { run, log }) = note {
        let kept = store::record_failed(&agent.store()?, &agent.stanza, &run, &log).await;
        kept.map_err(|error| AgentError::fault("keeping the record of a broken backup", error))?;
    }
    close(agent)
}

/// The agent died while the engine ran; the backup may have been finished all the same.
async fn killed(agent: &Agent, record: &RunningRecord) -> Result<Option<FailedNote>, AgentError> {
    agent.engine().end_leftovers().await;
    let catalog = agent.engine().catalog().await.map_err(|error| AgentError::fault("reading the catalog", error))?;
    if catalog.annotated(crate::engine::pgbackrest::REQUEST_ANNOTATION, &record.request).is_some() {
        return Ok(None);
    }
    let run = FailedRun {
        kind: record.kind,
        unit: agent.unit.to_string(),
        started: record.started,
        finished: clock::now(),
        reason: "interrupted: the agent was killed while the backup ran".to_owned(),
    };
    Ok(Some(FailedNote { run, log: "The agent was killed; the engine's output went with it.\n".to_owned() }))
}
