//! Fetches the backup into a folder beside the running cluster's data.

use std::time::Duration;

use crate::actions::{Progress, watch};
use crate::agent::Agent;
use crate::engine::pgbackrest::RestoreRequest;
use crate::model::AgentError;
use crate::policy::restore::RestorePlan;
use crate::report;
use crate::repository;
use crate::restore::Record;
use crate::sys::{clock, environment, files};

const TELL: Duration = Duration::from_secs(5);

pub(super) async fn fetch(
    agent: &Agent,
    progress: &Progress,
    plan: &RestorePlan,
    record: &Record,
) -> Result<(), AgentError> {
    let beside = agent.layout().beside(&record.id);
    let prepared = files::remove_folder(&beside).and_then(|()| files::make_fresh_folder(&beside, &agent.user, 0o700));
    prepared.map_err(|error| AgentError::fault("making room beside the cluster", error))?;
    let engine = repository::engine_beside(agent)?;
    let failed = |error| AgentError::fault("fetching the backup", error);
    let request = RestoreRequest {
        label: plan.backup.label.clone(),
        data_dir: beside.clone(),
        // Restores are short of time: all cores.
        process_max: environment::cores().max(1),
        goal: plan.goal.clone(),
    };
    let process = engine.start_restore(&request).await.map_err(failed)?;
    let tell = async || {
        let have = files::used_bytes(&beside).unwrap_or_default();
        let hundredths = (have.saturating_mul(10_000) / plan.backup.size.max(1)).min(10_000) as u32;
        let elapsed = (clock::now() - record.started).to_std().unwrap_or_default();
        progress.say(&report::progress::line(hundredths, Some(plan.backup.size), elapsed)).await;
    };
    let ended = watch::to_the_end(&engine, &agent.store()?, process, TELL, watch::never(), tell).await;
    let outcome = ended.map_err(|error| AgentError::fault("fetching the backup", error))?.outcome;
    // What an engine that was killed leaves is ended with the copy.
    outcome.map_err(failed)
}
