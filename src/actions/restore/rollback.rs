//! Settles a restore that failed or was broken off: it is committed when the
//! restored cluster has taken writes, else everything is as it was before.
//! Every step may be repeated: it is the same for a failure, a crash, and a crash of itself.

use std::time::Duration;

use super::folders::Folders;
use super::journal::{self, Journal};
use super::orders::Orders;
use super::{adopt, orders, part, recover};
use crate::agent::Agent;
use crate::model::{AgentError, error_chain};
use crate::repository;
use crate::restore::{AfterCrash, Event, Found, Record, State, found, places};

/// A restored cluster that Patroni is starting may need a moment to promote.
const SETTLE: Duration = Duration::from_secs(30);

/// Settles a restore of this unit that a killed process left, if there is one.
pub(super) async fn settle(agent: &mut Agent) -> Result<(), AgentError> {
    let Some(record) = journal::unfinished(agent)? else { return Ok(()) };
    let mut journal = Journal::open(agent, record)?;
    let settled = if journal.record.state == State::Adopting && is_committed(agent, &journal.record).await? {
        commit(agent, &mut journal).await
    } else {
        roll_back(agent, &mut journal, "interrupted: the agent was killed").await
    };
    // Its keys of the store need not lie about, however it ended.
    if let Err(error) = repository::drop_engine_beside(agent) {
        tracing::warn!("{}", error_chain(&error));
    }
    settled
}

async fn commit(agent: &mut Agent, journal: &mut Journal) -> Result<(), AgentError> {
    journal.step(Event::Adopted)?;
    adopt::archive_again(agent, &journal.record).await
}

/// While the order is open, a restored cluster that serves is committed: Patroni outlived
/// the agent, and going back would lose what clients wrote.
async fn is_committed(agent: &mut Agent, record: &Record) -> Result<bool, AgentError> {
    if !agent.has_company() {
        return Ok(serves(agent).await);
    }
    part::etcd_up(agent).await?;
    let told = agent.restore_keys()?.patient().order().await?.filter(|told| told.order.id == record.id);
    match (found(&record.state, told.as_ref().map(|told| &told.order)), told) {
        (Found::Commit, _) => Ok(true),
        (Found::CommitIfItServes, Some(told)) if serves(agent).await => {
            orders::commit_for(agent, told).await.map(|()| true)
        }
        _ => Ok(false),
    }
}

async fn serves(agent: &Agent) -> bool {
    let Ok(patroni) = agent.patroni() else { return false };
    let primary = agent.member.patroni_runs().await && agent.member.becomes_primary(&patroni, SETTLE).await;
    match agent.postgres().await {
        Ok(session) => primary && session.prove_writable().await.is_ok(),
        Err(_) => false,
    }
}

/// It is committed all the same when the others know of the commit.
pub(super) async fn roll_back(agent: &mut Agent, journal: &mut Journal, why: &str) -> Result<(), AgentError> {
    match journal.record.state.after_crash() {
        // What was held and does not go on stays held: a person decides.
        AfterCrash::Nothing => Ok(()),
        AfterCrash::DropCopy => drop(agent, journal, why).await,
        AfterCrash::PutBack => {
            part::etcd_up(agent).await?;
            // Claimed first: from then on nobody else commits it.
            let mut orders = orders::of_own(agent, &journal.record).await?;
            let settled = take_back(agent, journal, &mut orders, why).await;
            orders.end().await;
            settled
        }
    }
}

async fn take_back(agent: &mut Agent, journal: &mut Journal, orders: &mut Orders, why: &str) -> Result<(), AgentError> {
    if journal.record.state == State::Adopting && orders.is_committed() {
        return commit(agent, journal).await;
    }
    if !matches!(journal.record.state, State::RollingBack { .. }) {
        journal.step(Event::Failed { why: why.to_owned() })?;
    }
    orders.take_back(agent, why).await?;
    drop_copy(agent, &journal.record).await?;
    journal.step(Event::PutBack)
}

/// Of a cluster that was never stopped.
pub(super) async fn drop(agent: &Agent, journal: &mut Journal, why: &str) -> Result<(), AgentError> {
    drop_copy(agent, &journal.record).await?;
    // In one write: a state between would have the cluster stopped for nothing.
    journal.steps([Event::Failed { why: why.to_owned() }, Event::PutBack])
}

async fn drop_copy(agent: &Agent, record: &Record) -> Result<(), AgentError> {
    repository::end_leftovers_beside(agent).await;
    let place = recover::place(agent, record);
    place.end_leftover().await.map_err(|error| AgentError::fault("ending the isolated server", error))?;
    let removed = place.remove_scratch();
    removed.map_err(|error| AgentError::fault("removing the copy's settings", error))?;
    let folders = Folders::of_record(agent, record);
    folders.carry_out("removing the copy", &places::drop_brought(folders.places(), folders.is_undo()))
}
