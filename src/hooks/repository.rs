//! The repository at every hook: set up or looked after; what is wrong with it
//! as a condition.

use super::wal;
use crate::agent::Agent;
use crate::cluster::Archiving;
use crate::juju::Juju;
use crate::model::{AgentError, Role, error_chain};
use crate::policy::status::{Condition, active, blocked, waiting};
use crate::repository;

pub(super) async fn reconcile(agent: &mut Agent, juju: &Juju, role: Role) -> Vec<Condition> {
    if agent.repository().is_none() {
        let mut conditions = stop_archiving(agent).await;
        conditions.extend(wal::condition(agent, role, None).await);
        return conditions;
    }
    let say = async |text: &str| {
        // Only a courtesy: the outcome is told at the end of the hook.
        let _ = juju.set_status("maintenance", text).await;
    };
    let outcome = repository::ensure(agent, say).await;
    if let Err(error) = &outcome {
        tracing::warn!("the repository: {}", error_chain(error));
    }
    let says = outcome.as_ref().err().map(condition_text);
    match (wal::condition(agent, role, says.clone()).await, outcome) {
        (Some(condition), _) => vec![condition],
        (None, Ok(())) => Vec::new(),
        (None, Err(error)) if error.to_string() == repository::NOT_YET => vec![waiting(error.to_string())],
        (None, Err(error)) => vec![blocked(condition_text(&error))],
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
