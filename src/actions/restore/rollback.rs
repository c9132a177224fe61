//! Puts everything back as it was before the restore. Every step may be
//! repeated: it is the same for a failure, a crash, and a crash of itself.

use std::time::Duration;

use super::journal::{self, Journal};
use super::{adopt, recover, switch};
use crate::agent::Agent;
use crate::model::AgentError;
use crate::repository;
use crate::restore::{AfterCrash, Event, Record, State};

use crate::sys::files;

/// A restored cluster that Patroni is starting may need a moment to promote.
const SETTLE: Duration = Duration::from_secs(30);

/// Settles a restore that a killed process left, if there is one.
pub(super) async fn settle(agent: &mut Agent) -> Result<(), AgentError> {
    let Some(record) = journal::unfinished(agent)? else { return Ok(()) };
    let mut journal = Journal::open(agent, record)?;
    if journal.record.state == State::Adopting && serves(agent).await {
        // Patroni outlived the agent and the restored cluster has taken writes
        // since: going back would lose them.
        journal.step(Event::Adopted)?;
        return adopt::archive_again(agent).await;
    }
    roll_back(agent, &mut journal, "interrupted: the agent was killed").await
}

async fn serves(agent: &Agent) -> bool {
    let Ok(patroni) = agent.patroni() else { return false };
    let primary = agent.member.patroni_runs().await && agent.member.becomes_primary(&patroni, SETTLE).await;
    match agent.postgres().await {
        Ok(session) => primary && session.prove_writable().await.is_ok(),
        Err(_) => false,
    }
}

pub(super) async fn roll_back(agent: &mut Agent, journal: &mut Journal, why: &str) -> Result<(), AgentError> {
    match journal.record.state.after_crash() {
        AfterCrash::Nothing => Ok(()),
        AfterCrash::DropCopy => {
            drop_copy(agent, &journal.record).await?;
            // In one write: a state between would have the cluster stopped for nothing.
            journal.steps([Event::Failed { why: why.to_owned() }, Event::PutBack])
        }
        AfterCrash::PutBack => {
            if !matches!(journal.record.state, State::RollingBack { .. }) {
                journal.step(Event::Failed { why: why.to_owned() })?;
            }
            put_back(agent, &journal.record).await?;
            drop_copy(agent, &journal.record).await?;
            journal.step(Event::PutBack)
        }
    }
}

async fn drop_copy(agent: &Agent, record: &Record) -> Result<(), AgentError> {
    repository::end_leftovers_beside(agent).await;
    let place = recover::place(agent, record);
    place.end_leftover().await.map_err(|error| AgentError::fault("ending the isolated server", error))?;
    let dropped = place.remove_scratch().and_then(|()| files::remove_folder(&agent.layout().beside(&record.id)));
    dropped.map_err(|error| AgentError::fault("removing the copy", error))
}

/// The cluster was stopped, or may have been.
async fn put_back(agent: &Agent, record: &Record) -> Result<(), AgentError> {
    agent.member.stop_patroni().await.map_err(|error| AgentError::fault("stopping the restored cluster", error))?;
    switch::change_back(agent, record).await?;
    let place = recover::place(agent, record);
    place.end_leftover().await.map_err(|error| AgentError::fault("ending the isolated server", error))?;
    adopt::start(agent, &agent.archiving()).await
}
