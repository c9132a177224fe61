//! Where WAL goes, and whether it arrives.

use std::time::Duration;

use tokio::time::Instant;

use crate::agent::Agent;
use crate::cluster::Archiving;
use crate::model::AgentError;
use crate::policy::BACKLOG;

/// How long Patroni may take to hand a setting on to PostgreSQL.
const TAKE_OVER: Duration = Duration::from_secs(60);
const TELL_AGAIN: Duration = Duration::from_secs(3);

/// Makes PostgreSQL archive so. Patroni reads its file at its own pace, and
/// loses a signal that comes while it makes a new cluster: it is told until
/// PostgreSQL has it.
pub async fn use_archiving(agent: &Agent, archiving: &Archiving) -> Result<(), AgentError> {
    agent.write_patroni_conf(archiving)?;
    let want = archiving.command(agent.layout());
    let deadline = Instant::now() + TAKE_OVER;
    while Instant::now() < deadline {
        if archives_by(agent, &want).await {
            return Ok(());
        }
        agent.member.reload_patroni().await.map_err(|error| AgentError::fault("reloading Patroni", error))?;
        let told = Instant::now();
        while told.elapsed() < TELL_AGAIN && !archives_by(agent, &want).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Err(AgentError::fault(
        "changing where WAL goes",
        format!("PostgreSQL has not taken it over within {} s", TAKE_OVER.as_secs()),
    ))
}

async fn archives_by(agent: &Agent, command: &str) -> bool {
    match agent.postgres().await {
        Ok(session) => session.archive_command().await.is_ok_and(|have| have == command),
        Err(_) => false,
    }
}

/// Does WAL wait that should have reached the repository?
pub(super) async fn is_behind(agent: &Agent) -> bool {
    let archiver = match agent.postgres().await {
        Ok(session) => session.archiver().await,
        Err(error) => Err(error),
    };
    archiver.is_ok_and(|archiver| archiver.failing && archiver.waiting >= BACKLOG as i64)
}
