//! The restores of this unit on disk: one file each, written before each step.

use std::path::PathBuf;

use crate::agent::Agent;
use crate::model::AgentError;
use crate::restore::{Event, Record, State};
use crate::sys::clock;
use crate::sys::files::{self, Access};

const PREFIX: &str = "restore-";

pub(super) struct Journal {
    path: PathBuf,
    pub record: Record,
}

impl Journal {
    pub fn open(agent: &Agent, record: Record) -> Result<Self, AgentError> {
        let path = agent.layout().state().join(format!("{PREFIX}{}.json", record.id));
        let journal = Self { path, record };
        journal.write()?;
        Ok(journal)
    }

    /// Durable when it returns: the step may be done now.
    pub fn step(&mut self, event: Event) -> Result<(), AgentError> {
        self.record = self.record.after(event, clock::now()).map_err(|error| AgentError::Bug(error.to_string()))?;
        self.write()
    }

    /// Several steps that are one to whoever reads the journal.
    pub fn steps<const N: usize>(&mut self, events: [Event; N]) -> Result<(), AgentError> {
        for event in events {
            self.record = self.record.after(event, clock::now()).map_err(|error| AgentError::Bug(error.to_string()))?;
        }
        self.write()
    }

    fn write(&self) -> Result<(), AgentError> {
        let text = serde_json::to_vec(&self.record).map_err(|error| AgentError::Bug(error.to_string()))?;
        files::write(&self.path, &text, &Access::Private)
            .map(|_| ())
            .map_err(|error| AgentError::fault("writing the journal", error))
    }
}

fn all(agent: &Agent) -> Result<Vec<Record>, AgentError> {
    let failed = |error: std::io::Error| AgentError::fault("reading the journal", error);
    let folder = agent.layout().state();
    let mut records = Vec::new();
    for name in files::names_in(&folder).map_err(failed)? {
        if !(name.starts_with(PREFIX) && name.ends_with(".json")) {
            continue;
        }
        let text = files::read(&folder.join(&name)).map_err(failed)?.unwrap_or_default();
        records.push(
            serde_json::from_str(&text)
                .map_err(|error| AgentError::fault(format!("reading the journal {name}"), error))?,
        );
    }
    Ok(records)
}

/// The restore that is not over and not held, if any: somebody works at it, or did.
pub(super) fn unfinished(agent: &Agent) -> Result<Option<Record>, AgentError> {
    Ok(all(agent)?.into_iter().find(|record| !record.state.is_over() && !record.state.is_held()))
}

/// The restore that waits for a person.
pub(super) fn held(agent: &Agent) -> Result<Option<Record>, AgentError> {
    Ok(all(agent)?.into_iter().find(|record| record.state.is_held()))
}

/// Removes old data (and journals) of restores that are over long enough.
pub(super) fn let_old_data_go(agent: &Agent) -> Result<(), AgentError> {
    let keep = agent.config()?.keep_old_data;
    let failed = |error| AgentError::fault("removing old data", error);
    for record in all(agent)? {
        let rolled_back = matches!(record.state, State::RolledBack { .. });
        if record.old_data_expired(keep, clock::now()) || rolled_back {
            files::remove_folder(&agent.layout().beside(&record.id)).map_err(failed)?;
            if !rolled_back {
                files::remove_folder(&agent.layout().aside(&record.id)).map_err(failed)?;
            }
            files::remove_file(&agent.layout().state().join(format!("{PREFIX}{}.json", record.id))).map_err(failed)?;
        }
    }
    Ok(())
}
