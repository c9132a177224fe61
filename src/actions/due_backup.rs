//! The backup that is due without anybody's asking: told to the cluster store when
//! a restore is committed, made by the service of the unit that may.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::backup_journal::RunningRecord;
use super::create_backup;
use super::output::{Progress, Results};
use crate::agent::{Agent, DueBackup, RestoreKeys};
use crate::model::{AgentError, error_chain};
use crate::observe;
use crate::restore::Record;
use crate::sys::clock;

/// How often a backup that runs looks whether it is still to be made.
const LOOK: Duration = Duration::from_secs(1);
/// A restore that is asked for waits this long for the end of a backup that nobody asked for.
const PATIENCE: Duration = Duration::from_secs(30);

/// After a restore or its undo: the backups before it do not hold what is written from now on.
/// The restore is done, whatever becomes of this.
pub(super) async fn make_due(agent: &Agent, record: &Record) {
    let wanted = agent.config().is_ok_and(|config| config.backup_after_restore);
    if !wanted || agent.repository().is_none() {
        return;
    }
    let what = if record.undoes.is_some() { "the undo of the restore of" } else { "the restore of" };
    let due = DueBackup::after(format!("{what} {}", record.label), clock::now());
    let told = async { agent.restore_keys()?.make_due(&due).await }.await;
    if let Err(error) = told {
        tracing::warn!("the backup after {} is not made by itself: {}", due.after, error_chain(&error));
    }
}

/// What came of a backup that is due.
pub enum DueOutcome {
    Made(Results),
    /// Not by this unit, or not now.
    NotHere(AgentError),
    Failed(AgentError),
}

/// Makes it if this unit may, now. It ends when a restore is asked for.
pub async fn due_backup(agent: &Agent, keys: &RestoreKeys, due: &DueBackup) -> DueOutcome {
    // Asked for first: most units learn here that it is another unit's business.
    if let Err(refused) = create_backup::may(agent, due.kind).await {
        return DueOutcome::NotHere(refused);
    }
    match create_backup::made(agent, &Progress::Log, due.kind, stands_back(agent, keys)).await {
        Ok(results) => DueOutcome::Made(results),
        Err(error) => DueOutcome::Failed(error),
    }
}

/// What the user of a restore may do next.
pub(super) fn next(agent: &Agent) -> String {
    let app = &agent.unit.application;
    match agent.config() {
        Ok(config) if config.backup_after_restore => {
            format!("a full backup begins by itself: juju run {app}/leader list-backups")
        }
        _ => format!("juju run {app}/leader create-backup"),
    }
}

/// Begins with the engine: the claim of the backup is this unit's by then, and no other says that it makes it.
async fn stands_back(agent: &Agent, keys: &RestoreKeys) -> String {
    // A cluster store that is away for a moment says nothing.
    let begun = loop {
        match keys.begin_due(&agent.unit, clock::now()).await {
            Ok(begun) => break begun,
            Err(error) => tracing::info!("{}", error_chain(&error)),
        }
        sleep(LOOK).await;
    };
    let unit = agent.unit.to_string();
    let is_ours = |due: &Option<DueBackup>| due.as_ref().is_some_and(|due| due.on.as_deref() == Some(&unit));
    while begun {
        sleep(LOOK).await;
        match keys.due_backup().await {
            Ok(due) if !is_ours(&due) => break,
            _ => (),
        }
    }
    "a restore was asked for, or another backup was made".to_owned()
}

/// A restore comes before a backup that nobody asked for.
pub(super) async fn stand_back(agent: &Agent, progress: &Progress) {
    let due = async { agent.restore_keys()?.due_stands_back(clock::now()).await }.await;
    let due = match due {
        Ok(due) => due,
        // Then a backup that runs is in the way, and the user is told so.
        Err(error) => return tracing::info!("{}", error_chain(&error)),
    };
    let Some(DueBackup { on, after, .. }) = due else { return };
    if let Some(unit) = on {
        progress.say(&format!("ending the backup after {after}, which runs on {unit}")).await;
    }
    let deadline = Instant::now() + PATIENCE;
    while observe::engine_is_busy(agent).await && Instant::now() < deadline {
        sleep(LOOK).await;
    }
}

/// A backup was made, by whomever: it may be the one that is due.
pub(super) async fn is_made(agent: &Agent, record: &RunningRecord) {
    let told = async { agent.restore_keys()?.due_is_made(record.kind, record.started).await }.await;
    if let Err(error) = told {
        tracing::info!("a backup that is due may be made once more: {}", error_chain(&error));
    }
}
