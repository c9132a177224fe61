//! Gives the running cluster the passwords it should have: nothing is
//! restarted, and at every moment either the old or the new password works.
//! Every step may be repeated by the next hook, on whichever unit.

use chrono::TimeDelta;

use crate::agent::Agent;
use crate::model::{AgentError, Role};
use crate::sys::clock;

/// Patroni takes a new password for etcd over at its next turn; the old one
/// ends long after all units have said that theirs was told.
const OLD_ETCD_USER: TimeDelta = TimeDelta::seconds(30);

pub(super) async fn apply(agent: &mut Agent, role: Role, is_leader: bool) -> Result<(), AgentError> {
    if role == Role::Primary {
        roles(agent).await?;
    }
    let users = agent.users()?;
    // Patroni has been told: its file was written and it was asked to read it.
    agent.file.etcd_user = agent.etcd_credentials(&users).user;
    one_etcd_user(agent, is_leader).await
}

/// The primary has the roles; the replicas get them from it. A new primary may
/// have lost the last change.
async fn roles(agent: &mut Agent) -> Result<(), AgentError> {
    let failed = |error| AgentError::fault("setting the system users' passwords", error);
    let session = agent.postgres().await.map_err(failed)?;
    let timeline = session.timeline().await.map_err(failed)?.0;
    if agent.file.applied_users == agent.file.users && agent.file.applied_timeline == timeline {
        return Ok(());
    }
    session.ensure_roles(&agent.users()?).await.map_err(failed)?;
    agent.file.applied_users = agent.file.users.clone();
    agent.file.applied_timeline = timeline;
    agent.save()
}

/// When every unit enters etcd by the new user, the old ones end.
async fn one_etcd_user(agent: &mut Agent, is_leader: bool) -> Result<(), AgentError> {
    let ours = &agent.file.etcd_user;
    let all_said = agent.file.peers.len() + 1 >= agent.file.known_units.len();
    let uniform = all_said && agent.file.peers.values().all(|peer| peer.etcd_user == *ours);
    let now = clock::now();
    match agent.file.one_etcd_user_since {
        _ if !uniform => agent.file.one_etcd_user_since = None,
        None => agent.file.one_etcd_user_since = Some(now),
        Some(since) if is_leader && agent.file.dropped_for != *ours && now - since >= OLD_ETCD_USER => {
            let dropped = agent.etcd()?.drop_other_users().await;
            dropped.map_err(|error| AgentError::fault("ending old passwords of etcd", error))?;
            agent.file.dropped_for = ours.clone();
        }
        Some(_) => {}
    }
    Ok(())
}
