//! A restore of a cluster of one unit: no other unit may be part of it, whatever
//! Juju plans. One that still runs would take over from the one that stops.

use std::time::Duration;

use tokio::time::Instant;

use crate::agent::{Agent, Turn};
use crate::cluster::EtcdError;
use crate::model::AgentError;

/// A unit that has left is known to Patroni until its key runs out.
const LEAVING: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(500);

/// Refuses while others are there; waits a moment for those that are leaving.
pub(super) async fn is_alone(agent: &Agent) -> Result<(), AgentError> {
    let deadline = Instant::now() + LEAVING;
    loop {
        let others = others(agent).await?;
        if others.is_empty() {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(AgentError::refused(
                format!(
                    "Unit cannot restore backup as other units are still part of the cluster: {}",
                    others.join(", ")
                ),
                "Wait until juju status no longer shows them, then run the restore again; juju remove-unit those that are to go",
            ));
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn others(agent: &Agent) -> Result<Vec<String>, AgentError> {
    let failed = |error: EtcdError| AgentError::fault("asking the cluster store for its members", error);
    let members = agent.etcd()?.members().await.map_err(failed)?;
    let mut others: Vec<_> = members.into_iter().map(|member| member.name).collect();
    // Patroni may be what has to be restored: without it etcd decides.
    let patroni = agent.patroni()?.members().await.unwrap_or_default();
    others.extend(patroni.into_iter().filter(|member| member.running).map(|member| member.name));
    others.retain(|name| *name != agent.member.name);
    others.sort();
    others.dedup();
    Ok(others)
}

/// From here on no unit joins until the restored cluster stands, or the old one.
pub(super) async fn keep_others_out(agent: &Agent) -> Result<Turn, AgentError> {
    let turn = agent.turn(&agent.etcd()?).await?;
    is_alone(agent).await?;
    Ok(turn)
}
