//! One file an action: parse the parameters, observe, ask policy, act, report.

mod archive;
mod backup_journal;
mod create_backup;
mod due_backup;
mod list_backups;
mod output;
mod params;
mod restore;
mod watch;

use std::path::PathBuf;

use crate::agent::{Agent, UnitFile, take_lock};
use crate::cluster::Layout;
use crate::juju::{Context, Juju};
use crate::model::AgentError;
use crate::repository;
use crate::sys::environment::Vars;
use crate::sys::files;

pub use create_backup::create_backup;
pub use due_backup::{DueOutcome, due_backup};
pub use list_backups::{ListFormat, list_backups};
pub use output::{Progress, Results};
pub use restore::{Mode, cancel_restore, continue_restore, restore, undo_restore};

/// Every action of actions.yaml.
pub const NAMES: [&str; 6] =
    ["create-backup", "list-backups", "restore", "continue-restore", "cancel-restore", "undo-restore"];

/// Runs one action. Whatever fails becomes the action's message: an error here
/// means that even Juju could not be told.
pub async fn run(vars: &Vars, context: Context, juju: Juju, name: &str) -> Result<(), AgentError> {
    let told = match perform(vars, &context, &juju, name).await {
        Ok(results) => juju.action_set(&results).await,
        Err(error) => {
            // The user reads it in the action's message; the log is for what nobody asked.
            tracing::info!(action = name, "{}", crate::model::error_chain(&error));
            juju.action_fail(&error.explain()).await
        }
    };
    told.map_err(|error| AgentError::fault("telling Juju how the action ended", error))
}

async fn perform(vars: &Vars, context: &Context, juju: &Juju, name: &str) -> Result<Results, AgentError> {
    let given = juju.action_params().await.map_err(|error| AgentError::fault("reading the parameters", error))?;
    let params = params::Params::of(name, given)?;
    let storage = storage(context, juju).await?;
    // Listing changes nothing and may be asked for while a backup runs.
    let _lock = match name {
        "list-backups" => None,
        _ => Some(take_lock(&Layout::below(&storage))?),
    };
    let mut agent = load(vars, context, juju, storage).await?;
    let progress = Progress::to_action_log(juju.clone());
    match name {
        "create-backup" => {
            let kind = params.kind()?;
            while_shown(juju, "creating backup", create_backup(&mut agent, &progress, kind)).await
        }
        "list-backups" => list_backups(&agent, params.format()?).await,
        "restore" => {
            let (asked, mode, is_leader) = (params.target()?, params.mode()?, juju.is_leader().await);
            let is_leader = is_leader.map_err(|error| AgentError::fault("asking Juju who the leader is", error))?;
            let restore = restore(&mut agent, &progress, &asked, is_leader, mode);
            match mode {
                Mode::DryRun => restore.await,
                Mode::Restore | Mode::Hold => while_shown(juju, "restoring backup", restore).await,
            }
        }
        "continue-restore" => while_shown(juju, "restoring backup", continue_restore(&mut agent, &progress)).await,
        "cancel-restore" => while_shown(juju, "cancelling a restore", cancel_restore(&mut agent)).await,
        "undo-restore" => while_shown(juju, "undoing a restore", undo_restore(&mut agent, &progress)).await,
        _ => Err(AgentError::refused(format!("there is no action `{name}`"), format!("Try: {}", NAMES.join(", ")))),
    }
}

/// A repository that was not ready at the last hook may be by now: nobody should
/// have to wait for update-status. What is still in the way is in the refusal.
async fn heal(agent: &mut Agent, progress: &Progress) {
    if agent.file.repository_ready || agent.repository().is_none() {
        return;
    }
    if let Err(error) = repository::ensure(agent, async |step: &str| progress.say(step).await).await {
        tracing::info!("the repository is still not ready: {}", crate::model::error_chain(&error));
    }
}

/// `juju status` says what the unit is at. The status before is put back on
/// every path; a killed action's is put right by the next hook.
async fn while_shown<T>(juju: &Juju, text: &str, body: impl Future<Output = T>) -> T {
    let before = juju.status().await;
    let shown = juju.set_status("maintenance", text).await;
    let outcome = body.await;
    if let (Ok((word @ ("active" | "blocked" | "waiting" | "maintenance"), message)), Ok(())) =
        (before.as_ref().map(|(word, message)| (word.as_str(), message)), shown)
        && let Err(error) = juju.set_status(word, message).await
    {
        tracing::warn!("putting the status back: {error}");
    }
    outcome
}

fn offline(context: &Context) -> AgentError {
    AgentError::refused(
        "Unit cannot perform backups as the database seems to be offline: it was never set up on this unit",
        format!("Wait until it is active: juju status {}", context.unit.application),
    )
}

async fn storage(context: &Context, juju: &Juju) -> Result<PathBuf, AgentError> {
    let storage = juju.storage("pgdata").await.map_err(|error| AgentError::fault("asking Juju", error))?;
    let set_up = storage.filter(|storage| files::exists(&Layout::below(storage).state()));
    set_up.ok_or_else(|| offline(context))
}

async fn load(vars: &Vars, context: &Context, juju: &Juju, storage: PathBuf) -> Result<Agent, AgentError> {
    let mut file = UnitFile::load(&Layout::below(&storage).state())?.ok_or_else(|| offline(context))?;
    file.planned_units = juju.planned_units().await.map_err(|error| AgentError::fault("asking Juju", error))?;
    Agent::new(vars.get("PATH").map(String::as_str).unwrap_or_default(), storage, file)
}

/// A restore that a killed action left is put right by the next hook. What it
/// answers keeps everything else back.
pub async fn settle_restore(agent: &mut Agent) -> Vec<crate::policy::status::Condition> {
    restore::after_crash(agent).await
}

/// This unit's part in a restore that another unit drives.
pub mod parts {
    pub use super::restore::{due, end_held, follow, own_is_open, seal_if_asked, take_over};
}

/// A backup that was broken off is told to the repository.
pub async fn settle_backup(agent: &Agent) {
    backup_journal::after_crash(agent).await;
}
