//! This unit's parts of restores on disk: one file each, written before each stage.

use std::path::PathBuf;

use crate::agent::Agent;
use crate::model::AgentError;
use crate::restore::{PartRecord, StageName};
use crate::sys::clock;
use crate::sys::files::{self, Access};

const PREFIX: &str = "part-";

fn path(agent: &Agent, id: &str) -> PathBuf {
    agent.layout().state().join(format!("{PREFIX}{id}.json"))
}

/// Durable when it returns.
pub(super) fn write(agent: &Agent, record: &PartRecord) -> Result<(), AgentError> {
    let text = serde_json::to_vec(record).map_err(|error| AgentError::Bug(error.to_string()))?;
    let written = files::write(&path(agent, &record.id), &text, &Access::Private);
    written.map(|_| ()).map_err(|error| AgentError::fault("writing what this unit does in a restore", error))
}

pub(super) fn load(agent: &Agent, id: &str) -> Result<Option<PartRecord>, AgentError> {
    Ok(all(agent)?.into_iter().find(|record| record.id == id))
}

/// Ids begin with the moment: the newest is the last by name.
pub(super) fn newest(agent: &Agent) -> Result<Option<PartRecord>, AgentError> {
    Ok(all(agent)?.into_iter().max_by(|one, other| one.id.cmp(&other.id)))
}

/// The last restore that was done, not taken back.
pub(super) fn newest_done(agent: &Agent) -> Result<Option<PartRecord>, AgentError> {
    let done = all(agent)?.into_iter().filter(|record| record.done && record.stage == StageName::Join);
    Ok(done.max_by(|one, other| one.id.cmp(&other.id)))
}

fn all(agent: &Agent) -> Result<Vec<PartRecord>, AgentError> {
    let failed = |error: std::io::Error| AgentError::fault("reading what this unit did in a restore", error);
    let names = files::names_in(&agent.layout().state()).map_err(failed)?;
    let ours = names.iter().filter(|name| name.starts_with(PREFIX) && name.ends_with(".json"));
    ours.map(|name| {
        let text = files::read(&agent.layout().state().join(name)).map_err(failed)?.unwrap_or_default();
        serde_json::from_str(&text).map_err(|error| AgentError::fault(format!("reading {name}"), error))
    })
    .collect()
}

/// Removes the old data of restores that are over long enough. The newest
/// records stay: they say that this unit followed.
pub(super) fn let_old_data_go(agent: &Agent) -> Result<(), AgentError> {
    let keep = agent.config()?.keep_old_data;
    let failed = |error| AgentError::fault("removing old data", error);
    let kept = [newest(agent)?, newest_done(agent)?].into_iter().flatten().map(|record| record.id);
    let kept: Vec<_> = kept.collect();
    for record in all(agent)? {
        if record.old_data_expired(keep, clock::now()) {
            files::remove_folder(&agent.layout().aside(&record.id)).map_err(failed)?;
            if !kept.contains(&record.id) {
                files::remove_file(&path(agent, &record.id)).map_err(failed)?;
            }
        }
    }
    Ok(())
}
