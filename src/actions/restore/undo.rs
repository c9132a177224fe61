//! undo-restore: the data from before the last restore comes back, on a timeline
//! of its own. It goes the way of a restore, with old data in the place of a
//! backup; what it replaces is kept, so that an undo can be undone.

use std::time::Duration;

use super::folders::Folders;
use super::{part_file, recover};
use crate::actions::{Progress, Results, due_backup};
use crate::agent::Agent;
use crate::model::{AgentError, Observed, Timeline};
use crate::observe;
use crate::policy::Refusal;
use crate::restore::{PartRecord, Record, places};
use crate::sys::{clock, environment, files};

/// What there is to undo, and that it can be: nothing is touched yet.
pub(super) async fn decide(agent: &Agent) -> Result<PartRecord, AgentError> {
    if let Some(what) = super::in_the_way(agent).await {
        return Err(AgentError::refused(what, "Wait for it to end: juju status"));
    }
    let catalog = Observed::unknown("not asked for");
    let busy = super::decide::busy(observe::facts(agent, None, &catalog).await.engine_busy);
    let last = part_file::newest_done(agent)?.ok_or_else(|| {
        AgentError::refused("There is no restore to undo", "list-backups shows what can be restored instead")
    })?;
    if !files::exists(&agent.layout().aside(&last.id)) {
        return Err(AgentError::refused(
            format!("The data from before the restore of {} is no longer kept on {}", last.label, agent.unit),
            "It is kept for `keep-old-data` hours; what was archived until that restore is still in the repository: list-backups",
        ));
    }
    if let Some(who) = busy {
        return Err(Refusal::EngineBusy { who }.into());
    }
    if !last.whole {
        return Err(not_whole(agent, &last).await);
    }
    Ok(last)
}

/// This unit lagged when the cluster was stopped; another has everything.
async fn not_whole(agent: &Agent, last: &PartRecord) -> AgentError {
    let parts = match agent.restore_keys() {
        Ok(keys) => keys.parts().await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let other = parts.into_iter().find(|part| part.id == last.id && part.whole).map(|part| part.unit);
    AgentError::refused(
        format!("The old data of {} lacks the newest rows: it lagged when the cluster was stopped", agent.unit),
        match other {
            Some(unit) => format!("Run it where they are all there: juju run {unit} undo-restore"),
            None => {
                "Run it on the unit that was the primary before the restore: juju run <unit> undo-restore".to_owned()
            }
        },
    )
}

pub(super) fn record(undone: &PartRecord) -> Result<Record, AgentError> {
    let chance = environment::random_hex(4).map_err(|error| AgentError::fault("naming the undo", error))?;
    Ok(Record::undo(&undone.id, &undone.label, clock::now(), &chance))
}

/// Old data in the place where a restore has its copy.
pub(super) fn take(agent: &Agent, record: &Record) -> Result<(), AgentError> {
    let folders = Folders::of_record(agent, record);
    folders.carry_out("preparing the old data", &places::take_old(folders.places()))
}

/// A timeline beyond all that the archive knows: else the era that is left would
/// be replayed on top of the old data (docs/restore.md, "Undo").
pub(super) async fn open_beyond(agent: &Agent, record: &Record) -> Result<Timeline, AgentError> {
    let failed = |error| AgentError::fault("opening the old data", error);
    let (place, users) = (recover::place(agent, record), agent.users()?);
    let command = match agent.file.archives {
        true => agent.engine().history_command(),
        false => "/bin/false".to_owned(),
    };
    place.learn_histories(&agent.layout().data()).await.map_err(failed)?;
    let (server, session) = place.start_beyond(&command).await.map_err(failed)?;
    recover::verify(&server, &session).await.map_err(failed)?;
    session.ensure_roles(&users).await.map_err(|error| failed(error.into()))?;
    session.checkpoint().await.map_err(|error| failed(error.into()))?;
    drop(session);
    let data = server.stop(Duration::from_secs(300)).await.map_err(failed)?;
    place.tidy().await.map_err(failed)?;
    place.forget_old_histories(data.timeline).await.map_err(failed)?;
    place.remove_scratch().map_err(|error| AgentError::fault("tidying the old data", error))?;
    Ok(data.timeline)
}

pub(super) async fn say(progress: &Progress, undone: &PartRecord) {
    let since = undone.ended.map(|ended| ended.format("%Y-%m-%dT%H:%M:%SZ").to_string()).unwrap_or_default();
    let what = format!("bringing back the data from before the restore of {} (it ended {since})", undone.label);
    progress.say(&format!("{what}; what was written since is kept aside")).await;
}

pub(super) fn results(agent: &Agent, record: &Record) -> Results {
    let seconds = record.ended.map_or(0, |ended| (ended - record.started).num_seconds());
    vec![
        ("undo-status".to_owned(), "undo started and finished".to_owned()),
        ("duration-seconds".to_owned(), seconds.to_string()),
        ("old-data".to_owned(), agent.layout().aside(&record.id).display().to_string()),
        ("next".to_owned(), due_backup::next(agent)),
    ]
}
