//! Puts everything back as it was before the restore. Every step may be
//! repeated: it is the same for a failure, a crash, and a crash of itself.

use super::journal::{self, Journal};
use super::{adopt, recover, switch};
use crate::agent::Agent;
use crate::model::AgentError;
use crate::restore::{AfterCrash, Event, Record};
use crate::sys::files;

/// Settles a restore that a killed process left, if there is one.
pub(super) async fn settle(agent: &mut Agent) -> Result<(), AgentError> {
    let Some(record) = journal::unfinished(agent)? else { return Ok(()) };
    let mut journal = Journal::open(agent, record)?;
    roll_back(agent, &mut journal, "interrupted: the agent was killed").await
}

pub(super) async fn roll_back(agent: &mut Agent, journal: &mut Journal, why: &str) -> Result<(), AgentError> {
    let what = journal.record.state.after_crash();
    if what == AfterCrash::PutBack && !matches!(journal.record.state, crate::restore::State::RollingBack { .. }) {
        journal.step(Event::Failed { why: why.to_owned() })?;
    }
    match what {
        AfterCrash::Nothing => return Ok(()),
        AfterCrash::DropCopy => {
            drop_copy(agent, &journal.record).await?;
            journal.step(Event::Failed { why: why.to_owned() })?;
        }
        AfterCrash::PutBack => {
            put_back(agent, &journal.record).await?;
            drop_copy(agent, &journal.record).await?;
        }
    }
    journal.step(Event::PutBack)
}

async fn drop_copy(agent: &Agent, record: &Record) -> Result<(), AgentError> {
    let place = recover::place(agent, record);
    place.end_leftover().await.map_err(|error| AgentError::fault("ending the isolated server", error))?;
    let dropped = place.remove_scratch().and_then(|()| files::remove_folder(&agent.layout().beside(&record.id)));
    dropped.map_err(|error| AgentError::fault("removing the copy", error))
}

/// The cluster was stopped, or may have been.
async fn put_back(agent: &Agent, record: &Record) -> Result<(), AgentError> {
    agent.member.stop_patroni().await.map_err(|error| AgentError::fault("stopping the restored cluster", error))?;
    switch::change_back(agent, record)?;
    adopt::start(agent, &agent.archiving()).await
}
