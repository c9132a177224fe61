//! restore: plan, fetch and recover beside the running cluster, switch, adopt.
//! Whatever fails before the restored cluster takes writes puts the old one back.

mod adopt;
mod alone;
mod copy;
mod decide;
mod journal;
mod recover;
mod rollback;
mod switch;

use super::{Progress, Results};
use crate::agent::Agent;
use crate::model::{AgentError, error_chain};
use crate::policy::restore::{RestorePlan, Typed};
use crate::policy::status::{Condition, waiting};
use crate::restore::{Event, Record, State};
use crate::sys::{clock, environment};
use crate::{report, repository};

pub use decide::Mode;
use journal::Journal;

/// A restore that was broken off and not yet put right.
pub(super) fn under_way(agent: &Agent) -> Option<String> {
    match journal::unfinished(agent) {
        Ok(open) => open.map(|open| format!("a restore of {} is under way: {}", open.label, open.state.words())),
        // Not knowing is no permission.
        Err(error) => Some(error.explain()),
    }
}

pub async fn restore(
    agent: &mut Agent,
    progress: &Progress,
    asked: &Typed,
    is_leader: bool,
    mode: Mode,
) -> Result<Results, AgentError> {
    match mode {
        Mode::DryRun => planned(agent, progress, asked, is_leader).await,
        Mode::Restore => done(agent, progress, asked, is_leader).await,
    }
}

/// The plan alone: nothing is changed, not even what a crash left.
async fn planned(agent: &Agent, progress: &Progress, asked: &Typed, is_leader: bool) -> Result<Results, AgentError> {
    let plan = decide::decide(agent, asked, is_leader, Mode::DryRun).await?;
    tell(progress, &plan).await;
    Ok(report::plan::results(&plan))
}

async fn tell(progress: &Progress, plan: &RestorePlan) {
    for line in report::plan::lines(plan) {
        progress.say(&line).await;
    }
}

async fn done(agent: &mut Agent, progress: &Progress, asked: &Typed, is_leader: bool) -> Result<Results, AgentError> {
    rollback::settle(agent).await?;
    super::settle_backup(agent).await;
    super::heal(agent, progress).await;
    let plan = decide::decide(agent, asked, is_leader, Mode::Restore).await?;
    tell(progress, &plan).await;
    let mut journal = begin(agent, &plan)?;
    match forward(agent, progress, &plan, &mut journal).await {
        Ok(()) => {
            drop_keys(agent);
            Ok(restored(agent, &plan, &journal.record))
        }
        Err(error) => Err(give_up(agent, progress, &mut journal, error).await),
    }
}

fn begin(agent: &Agent, plan: &RestorePlan) -> Result<Journal, AgentError> {
    let chance = environment::random_hex(4).map_err(|error| AgentError::fault("naming the restore", error))?;
    Journal::open(agent, Record::begin(&plan.backup.label, clock::now(), &chance))
}

async fn forward(
    agent: &mut Agent,
    progress: &Progress,
    plan: &RestorePlan,
    journal: &mut Journal,
) -> Result<(), AgentError> {
    copy::fetch(agent, progress, plan, &journal.record).await?;
    journal.step(Event::Fetched)?;
    progress.say("recovering and verifying the copy; the cluster still runs").await;
    let (timeline, said) = recover::recover(agent, &journal.record, plan).await?;
    journal.step(Event::Recovered { timeline })?;
    progress.say(&said).await;
    progress.say(&format!("the copy is proven, on timeline {timeline}; stopping the cluster")).await;
    let turn = alone::keep_others_out(agent).await?;
    switch::before_stop(agent, &journal.record, timeline).await?;
    journal.step(Event::StopOrdered)?;
    switch::stop(agent, timeline).await?;
    journal.step(Event::Stopped)?;
    switch::change_places(agent, &journal.record)?;
    journal.step(Event::Switched)?;
    adopt::adopt(agent).await?;
    journal.step(Event::Adopted)?;
    turn.give_back().await;
    progress.say("the restored cluster takes writes").await;
    adopt::archive_again(agent).await
}

/// The restore's own configuration holds the store's keys: once is enough.
fn drop_keys(agent: &Agent) {
    if let Err(error) = repository::drop_engine_beside(agent) {
        tracing::warn!("{}", error_chain(&error));
    }
}

/// Rolls back and says how the cluster is now.
async fn give_up(agent: &mut Agent, progress: &Progress, journal: &mut Journal, error: AgentError) -> AgentError {
    let why = error.explain();
    if journal.record.state == State::Committed {
        // Data is whole and served; what is left is for the next hook.
        return AgentError::refused(format!("Restored, but {why}"), "The next hook finishes it: juju status");
    }
    drop_keys(agent);
    progress.say(&format!("failed: {why}; putting everything back")).await;
    match rollback::roll_back(agent, journal, &why).await {
        Ok(()) => {
            AgentError::refused(format!("Failed to restore backup: {why}"), "The cluster is as it was, nothing is lost")
        }
        Err(second) => AgentError::refused(
            format!("Failed to restore backup: {why}; putting the old data back failed too: {}", error_chain(&second)),
            "The old data is kept; the next hook tries again to put it back: juju status",
        ),
    }
}

fn restored(agent: &Agent, plan: &RestorePlan, record: &Record) -> Results {
    let seconds = record.ended.map_or(0, |ended| (ended - record.started).num_seconds());
    let kept = agent.layout().aside(&record.id);
    let app = &agent.unit.application;
    vec![
        // Scripts look for how it begins.
        ("restore-status".to_owned(), "restore started and finished".to_owned()),
        ("backup-id".to_owned(), plan.backup.id().to_string()),
        ("target".to_owned(), plan.asked.to_string()),
        ("timeline".to_owned(), plan.path.timeline.0.to_string()),
        ("duration-seconds".to_owned(), seconds.to_string()),
        ("old-data".to_owned(), kept.display().to_string()),
        ("next".to_owned(), format!("juju run {app}/leader create-backup")),
    ]
}

/// Puts right what a killed restore left, and lets old data go when its time is over.
pub(super) async fn after_crash(agent: &mut Agent) -> Vec<Condition> {
    if let Err(error) = rollback::settle(agent).await {
        return vec![waiting(format!("a restore was broken off; putting the old data back: {}", error.explain()))];
    }
    if let Err(error) = journal::let_old_data_go(agent) {
        tracing::warn!("old data of a restore could not be removed: {}", error_chain(&error));
    }
    Vec::new()
}
