//! restore: plan, fetch and recover beside the running cluster, switch, adopt.
//! Whatever fails before the restored cluster takes writes puts the old one back.

mod adopt;
mod cancel;
mod copy;
mod decide;
mod folders;
mod follow;
mod held;
mod journal;
mod orders;
mod part;
mod part_file;
mod recover;
mod rollback;
mod undo;

use std::path::PathBuf;
use std::time::Duration;

use chrono::TimeDelta;

use super::{Progress, Results, due_backup};
use crate::agent::{Agent, STORE_PATIENCE};
use crate::model::{AgentError, Timeline, error_chain};
use crate::policy::restore::{RestorePlan, Typed};
use crate::policy::status::{Condition, waiting};
use crate::restore::{Event, Record, State};
use crate::sys::{clock, environment};
use crate::{report, repository};

pub use cancel::cancel_restore;
pub use decide::Mode;
use journal::Journal;
use orders::Orders;

pub use follow::{due, follow, seal_if_asked, take_over};

/// Is there a restore of this unit that is not over?
pub fn own_is_open(agent: &Agent) -> Result<bool, AgentError> {
    Ok(journal::unfinished(agent)?.is_some())
}

/// The unit goes: what it holds open ends, the copy stays with the storage.
pub async fn end_held(agent: &Agent) -> Result<(), AgentError> {
    match journal::held(agent)? {
        Some(record) => held::close(agent, &record).await,
        None => Ok(()),
    }
}

/// How long the action waits for the other units beyond what the restore itself took.
const FOLLOW: Duration = Duration::from_secs(120);

/// A restore that was broken off and not yet put right, or that another unit drives.
pub(super) async fn under_way(agent: &Agent) -> Option<String> {
    match open_restore(agent).await {
        Ok(open) => open,
        // Not knowing is no permission.
        Err(error) => Some(error.explain()),
    }
}

/// The same, and a restore that is held: it keeps another one away, but no backup.
async fn in_the_way(agent: &Agent) -> Option<String> {
    match journal::held(agent) {
        Ok(None) => under_way(agent).await,
        Ok(Some(record)) => Some(held::words(agent, &record)),
        Err(error) => Some(error.explain()),
    }
}

async fn open_restore(agent: &Agent) -> Result<Option<String>, AgentError> {
    if let Some(open) = journal::unfinished(agent)? {
        return Ok(Some(format!("a restore of {} is under way: {}", open.label, open.state.words())));
    }
    if !agent.has_company() {
        return Ok(None);
    }
    // A cluster store that does not answer refuses all the same, as the question whether a
    // backup runs is put to it, too; what stands in the way then is no restore.
    Ok(elsewhere(agent).await.unwrap_or_else(|error| {
        tracing::info!("{}", error_chain(&error));
        None
    }))
}

async fn elsewhere(agent: &Agent) -> Result<Option<String>, AgentError> {
    let keys = agent.restore_keys()?;
    if let Some(told) = keys.order().await?.filter(|told| told.order.stage.is_open()) {
        let (order, words) = (&told.order, told.order.stage.words());
        return Ok(Some(format!("a restore of {} is under way on {}: {words}", order.label, order.driver)));
    }
    let elsewhere = keys.driver().await?.filter(|driver| *driver != agent.unit.to_string());
    Ok(elsewhere.map(|driver| format!("a restore is under way on {driver}")))
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
        Mode::Restore | Mode::Hold => done(agent, progress, asked, is_leader, mode).await,
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

async fn done(
    agent: &mut Agent,
    progress: &Progress,
    asked: &Typed,
    is_leader: bool,
    mode: Mode,
) -> Result<Results, AgentError> {
    rollback::settle(agent).await?;
    due_backup::stand_back(agent, progress).await;
    super::settle_backup(agent).await;
    super::heal(agent, progress).await;
    let plan = decide::decide(agent, asked, is_leader, mode).await?;
    tell(progress, &plan).await;
    let what = if mode == Mode::Hold { What::Inspected(&plan) } else { What::Backup(&plan) };
    match drive(agent, progress, begin(&plan)?, what).await? {
        Ended::Held { record, socket } => Ok(inspected(agent, &record, &socket)),
        Ended::Done { record, behind } => Ok(restored(agent, &plan, &record, &behind)),
    }
}

/// The switch that a held restore waits for.
pub async fn continue_restore(agent: &mut Agent, progress: &Progress) -> Result<Results, AgentError> {
    rollback::settle(agent).await?;
    due_backup::stand_back(agent, progress).await;
    let record = held::required(agent)?;
    match drive(agent, progress, record, What::Held).await? {
        Ended::Done { record, behind } => Ok(with_behind(held::continued(agent, &record), &behind)),
        Ended::Held { .. } => Err(AgentError::Bug("a restore that goes on is held".to_owned())),
    }
}

/// Brings back what the last restore put aside.
pub async fn undo_restore(agent: &mut Agent, progress: &Progress) -> Result<Results, AgentError> {
    rollback::settle(agent).await?;
    due_backup::stand_back(agent, progress).await;
    super::settle_backup(agent).await;
    let undone = undo::decide(agent).await?;
    undo::say(progress, &undone).await;
    match drive(agent, progress, undo::record(&undone)?, What::OldData).await? {
        Ended::Done { record, behind } => Ok(with_behind(undo::results(agent, &record), &behind)),
        Ended::Held { .. } => Err(AgentError::Bug("an undo is held".to_owned())),
    }
}

/// What takes the place of the cluster's data.
#[derive(Clone, Copy)]
enum What<'a> {
    Backup(&'a RestorePlan),
    /// A backup that a person looks at before it takes the place.
    Inspected(&'a RestorePlan),
    /// Such a one, after that.
    Held,
    OldData,
}

enum Ended {
    /// `behind`: units that do not follow the cluster yet.
    Done { record: Record, behind: Vec<String> },
    /// `socket`: the folder in which the copy listens.
    Held { record: Record, socket: PathBuf },
}

async fn drive(agent: &mut Agent, progress: &Progress, record: Record, what: What<'_>) -> Result<Ended, AgentError> {
    let mut orders = Orders::begin(agent, &record).await?;
    let begun = match orders.muster(agent).await {
        Ok(away) => Journal::open(agent, record).map(|journal| (away, journal)),
        Err(error) => Err(error),
    };
    let (away, mut journal) = match begun {
        Ok(begun) => begun,
        Err(error) => {
            orders.end().await;
            return Err(error);
        }
    };
    for unit in away {
        progress.say(&format!("{unit} is away: it follows when it is back")).await;
    }
    match forward(agent, progress, what, &mut journal, &mut orders).await {
        Ok(Some(socket)) => {
            orders.end().await;
            drop_keys(agent);
            Ok(Ended::Held { record: journal.record, socket })
        }
        Ok(None) => {
            drop_keys(agent);
            let behind = orders.followed(agent, progress, patience(&journal.record)).await;
            orders.end().await;
            Ok(Ended::Done { record: journal.record, behind })
        }
        Err(error) => {
            // The claim is kept meanwhile: no other unit decides how it ends.
            let error = give_up(agent, progress, &mut journal, error).await;
            orders.end().await;
            Err(error)
        }
    }
}

/// The others copy as much as was restored, all at once.
fn patience(record: &Record) -> Duration {
    let took = record.ended.map_or(TimeDelta::zero(), |ended| ended - record.started);
    FOLLOW + took.to_std().unwrap_or_default() * 4
}

fn begin(plan: &RestorePlan) -> Result<Record, AgentError> {
    let chance = environment::random_hex(4).map_err(|error| AgentError::fault("naming the restore", error))?;
    Ok(Record::begin(&plan.backup.label, clock::now(), &chance))
}

async fn forward(
    agent: &mut Agent,
    progress: &Progress,
    what: What<'_>,
    journal: &mut Journal,
    orders: &mut Orders,
) -> Result<Option<PathBuf>, AgentError> {
    let timeline = match what {
        What::Held => held::resume(agent, &journal.record).await?,
        What::Backup(plan) | What::Inspected(plan) => {
            copy::fetch(agent, progress, plan, &journal.record).await?;
            journal.step(Event::Fetched)?;
            progress.say("recovering and verifying the copy; the cluster still runs").await;
            let (timeline, said) = recover::recover(agent, &journal.record, plan).await?;
            progress.say(&said).await;
            timeline
        }
        What::OldData => {
            undo::take(agent, &journal.record)?;
            journal.step(Event::Fetched)?;
            progress.say("opening and verifying the old data; the cluster still runs").await;
            undo::open_beyond(agent, &journal.record).await?
        }
    };
    match what {
        What::Held => journal.step(Event::Resumed { timeline })?,
        _ => journal.step(Event::Recovered { timeline })?,
    }
    if matches!(what, What::Inspected(_)) {
        journal.step(Event::Held)?;
        progress
            .say(&format!("the copy is proven, on timeline {timeline}, and open for reading; the cluster runs on"))
            .await;
        return held::open(agent, &journal.record).await.map(Some);
    }
    progress.say(&format!("the copy is proven, on timeline {timeline}; stopping the cluster")).await;
    // From here on no unit joins or leaves until the restored cluster stands, or the old one.
    let turn = agent.turn(&agent.etcd()?.patient(STORE_PATIENCE)).await?;
    let switched = switch(agent, progress, journal, orders, timeline).await;
    turn.give_back().await;
    switched?;
    adopt::archive_again(agent, &journal.record).await.map(|()| None)
}

/// The outage: everything before it was done beside the cluster.
async fn switch(
    agent: &mut Agent,
    progress: &Progress,
    journal: &mut Journal,
    orders: &mut Orders,
    restored: Timeline,
) -> Result<(), AgentError> {
    // Long after it was begun: a unit may have come or gone.
    orders.muster(agent).await?;
    journal.step(Event::StopOrdered)?;
    // What can be known before the stop costs no outage: a store that is away, a cluster on a new timeline.
    adopt::is_older(orders.seal(agent).await?.timeline, restored)?;
    adopt::is_older(orders.stop_all(agent).await?.timeline, restored)?;
    journal.step(Event::Stopped)?;
    orders.aside(agent).await?;
    adopt::take_place(agent, &journal.record)?;
    journal.step(Event::Switched)?;
    orders.is_ours_still().await?;
    adopt::forget_old(agent).await?;
    orders.adopts().await?;
    adopt::adopt(agent).await?;
    orders.commit(agent).await?;
    journal.step(Event::Adopted)?;
    progress.say("the cluster takes writes again").await;
    Ok(())
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
    let (failed, again) = match journal.record.undoes {
        None => ("Failed to restore backup", "restored"),
        Some(_) => ("Failed to undo the restore", "undone"),
    };
    match rollback::roll_back(agent, journal, &why).await {
        Ok(()) if journal.record.state == State::Committed => {
            AgentError::refused(format!("It is {again}, but {why}"), "The next hook finishes it: juju status")
        }
        Ok(()) if journal.record.state.is_held() => AgentError::refused(
            format!("{failed}: {why}"),
            format!("The cluster is as it was, and {}", held::words(agent, &journal.record)),
        ),
        Ok(()) => AgentError::refused(format!("{failed}: {why}"), "The cluster is as it was, nothing is lost"),
        Err(second) => AgentError::refused(
            format!("{failed}: {why}; putting the old data back failed too: {}", error_chain(&second)),
            "The old data is kept; the next hook tries again to put it back: juju status",
        ),
    }
}

fn inspected(agent: &Agent, record: &Record, socket: &std::path::Path) -> Results {
    let unit = &agent.unit;
    let psql = format!("psql -h {} -U operator -d postgres", socket.display());
    vec![
        ("restore-status".to_owned(), "restore held before the switch".to_owned()),
        ("backup-id".to_owned(), record.label.clone()),
        ("inspect".to_owned(), format!("juju ssh {unit} sudo {psql}")),
        ("next".to_owned(), format!("juju run {unit} continue-restore, or juju run {unit} cancel-restore")),
    ]
}

fn restored(agent: &Agent, plan: &RestorePlan, record: &Record, behind: &[String]) -> Results {
    let seconds = record.ended.map_or(0, |ended| (ended - record.started).num_seconds());
    let kept = agent.layout().aside(&record.id);
    let results = vec![
        // Scripts look for how it begins.
        ("restore-status".to_owned(), "restore started and finished".to_owned()),
        ("backup-id".to_owned(), plan.backup.id().to_string()),
        ("target".to_owned(), plan.asked.to_string()),
        ("timeline".to_owned(), plan.path.timeline.0.to_string()),
        ("duration-seconds".to_owned(), seconds.to_string()),
        ("old-data".to_owned(), kept.display().to_string()),
        ("next".to_owned(), due_backup::next(agent)),
    ];
    with_behind(results, behind)
}

fn with_behind(mut results: Results, behind: &[String]) -> Results {
    if !behind.is_empty() {
        let who = behind.join(", ");
        results.push(("still-copying".to_owned(), format!("{who} (juju status follows it)")));
    }
    results
}

/// Puts right what a killed restore left, and lets old data go when its time is over.
pub(super) async fn after_crash(agent: &mut Agent) -> Vec<Condition> {
    if let Err(error) = rollback::settle(agent).await {
        return vec![waiting(format!("a restore was broken off; putting the old data back: {}", error.explain()))];
    }
    match go_on(agent).await {
        Ok(None) => (),
        Ok(Some(condition)) => return vec![condition],
        Err(error) => return vec![waiting(format!("in the middle of a restore: {}", error.explain()))],
    }
    let held = match held::look_after(agent).await {
        Ok(held) => held,
        Err(error) => Some(waiting(error.explain())),
    };
    agent.held_restore = held;
    let gone = journal::let_old_data_go(agent).and_then(|()| part_file::let_old_data_go(agent));
    if let Err(error) = gone {
        tracing::warn!("old data of a restore could not be removed: {}", error_chain(&error));
    }
    Vec::new()
}

/// A unit in the middle of a restore hears first how that went on.
async fn go_on(agent: &mut Agent) -> Result<Option<Condition>, AgentError> {
    if !follow::is_open(agent)? {
        return Ok(None);
    }
    part::etcd_up(agent).await?;
    let keys = agent.restore_keys()?;
    follow(agent, &keys).await
}
