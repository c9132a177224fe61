//! The repository at every hook: set up or looked after; what is wrong with it
//! as a condition.

use crate::agent::Agent;
use crate::cluster::Archiving;
use crate::juju::Juju;
use crate::model::{AgentError, Role, error_chain};
use crate::policy::status::{Condition, active, blocked, waiting};
use crate::repository;

pub(super) async fn reconcile(agent: &mut Agent, juju: &Juju, role: Role) -> Vec<Condition> {
    if agent.repository().is_none() {
        return stop_archiving(agent).await;
    }
    let say = async |text: &str| {
        // Only a courtesy: the outcome is told at the end of the hook.
        let _ = juju.set_status("maintenance", text).await;
    };
    match repository::ensure(agent, say).await {
        Ok(()) if role == Role::Replica => Vec::new(),
        Ok(()) => backlog(agent).await,
        Err(error) if error.to_string() == repository::NOT_YET => vec![waiting(error.to_string())],
        Err(error) => {
            tracing::warn!("the repository: {}", error_chain(&error));
            vec![blocked(condition_text(&error))]
        }
    }
}

/// Refusals say what to do; the store's faults say what the store said.
fn condition_text(error: &AgentError) -> String {
    match error {
        AgentError::Refused { .. } => error.explain(),
        error => error_chain(error),
    }
}

/// No repository is related: WAL that nobody keeps must not fill the disk.
async fn stop_archiving(agent: &mut Agent) -> Vec<Condition> {
    match repository::use_archiving(agent, &Archiving::Discard).await {
        Ok(()) => vec![active(format!(
            "no repository: WAL is not kept; juju integrate {} <s3 integrator>",
            agent.unit.application
        ))],
        Err(error) => vec![waiting(error_chain(&error))],
    }
}

/// Is WAL reaching the repository?
async fn backlog(agent: &Agent) -> Vec<Condition> {
    let Some(archiver) = repository::backlog(agent).await else { return Vec::new() };
    let first = archiver.last_failed_wal.unwrap_or_default();
    vec![blocked(format!(
        "WAL does not reach the repository: {} segments wait, the first is {first}; juju exec --unit {} -- tail {}/*",
        archiver.waiting,
        agent.unit,
        agent.layout().log().display()
    ))]
}
