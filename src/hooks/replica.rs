//! A replica: where one without data gets it from, and one that lost its way.

use chrono::TimeDelta;

use crate::agent::Agent;
use crate::cluster::MemberState;
use crate::model::{AgentError, Role, Timeline, error_chain};
use crate::observe;
use crate::policy::{ReplicaSource, replica_source};
use crate::repository;
use crate::sys::clock;

/// A replica that changes over to a new timeline is behind it for a moment.
const ASTRAY: TimeDelta = TimeDelta::seconds(60);

/// The repository when a set of it leads to where the cluster is now, else the
/// primary: pgBackRest reads what Patroni's other way would take from clients.
pub(super) async fn choose_source(agent: &mut Agent) -> Result<(), AgentError> {
    agent.replica_from_repository = None;
    if agent.repository().is_none() {
        return Ok(());
    }
    // Not there, not ours, not reachable: the primary has the data.
    if let Err(error) = repository::prepare_reading(agent).await {
        tracing::info!("the replica is copied from the primary: {}", error.explain());
        return Ok(());
    }
    let timeline = timeline_of_the_primary(agent).await?;
    let catalog = observe::catalog(agent).await;
    let (Some(timeline), Some(catalog)) = (timeline, catalog.known()) else { return Ok(()) };
    match replica_source(catalog, timeline, &[]) {
        ReplicaSource::Repository { label } => {
            agent.replica_from_repository = Some(agent.engine().replica_restore(&label));
        }
        ReplicaSource::Primary { why } => tracing::info!("the replica is copied from the primary: {why}"),
    }
    Ok(())
}

async fn members(agent: &Agent) -> Result<Vec<MemberState>, AgentError> {
    agent.patroni()?.members().await.map_err(|error| AgentError::fault("asking for the members", error))
}

/// From the cluster store: our own Patroni does not run yet.
async fn timeline_of_the_primary(agent: &Agent) -> Result<Option<Timeline>, AgentError> {
    let failed = |error| AgentError::fault("asking for the primary's timeline", error);
    let (etcd, scope) = (agent.etcd()?, format!("/service/{}", agent.unit.application));
    let Some(leader) = etcd.get(&format!("{scope}/leader")).await.map_err(failed)? else { return Ok(None) };
    let member = etcd.get(&format!("{scope}/members/{leader}")).await.map_err(failed)?;
    let member: Option<serde_json::Value> = member.and_then(|text| serde_json::from_str(&text).ok());
    Ok(member.and_then(|member| Some(Timeline(member["timeline"].as_u64()?.try_into().ok()?))))
}

/// After a failover a replica can wait for ever on the timeline that was: its
/// Patroni calls it running. It is made anew then.
pub(super) async fn rescue(agent: &mut Agent) -> Result<(), AgentError> {
    if !is_astray(agent).await {
        agent.file.astray_since = None;
        return Ok(());
    }
    let replayed = match agent.postgres().await {
        Ok(session) => session.replayed().await.ok().flatten().unwrap_or_default(),
        Err(_) => return Ok(()),
    };
    let now = clock::now();
    // One that catches up from the archive is slow, not astray.
    let known = agent.file.astray_since.take().filter(|(_, before)| *before == replayed);
    let (since, _) = agent.file.astray_since.insert(known.unwrap_or((now, replayed))).clone();
    if now - since < ASTRAY {
        return Ok(());
    }
    tracing::warn!("this replica waits on a timeline that the cluster has left: it is made anew");
    agent.file.astray_since = None;
    agent.patroni()?.reinitialize().await.map_err(|error| AgentError::fault("making this replica anew", error))
}

async fn is_astray(agent: &Agent) -> bool {
    let Ok(members) = members(agent).await else { return false };
    let timeline = |role: Role, name: Option<&str>| {
        let found = members.iter().find(|m| m.role == role && name.is_none_or(|name| m.name == name));
        found.and_then(|member| member.timeline)
    };
    let (ours, theirs) = (timeline(Role::Replica, Some(&agent.member.name)), timeline(Role::Primary, None));
    let behind = ours.zip(theirs).is_some_and(|(ours, theirs)| ours < theirs);
    behind && !streams(agent).await
}

async fn streams(agent: &Agent) -> bool {
    let streaming = match agent.postgres().await {
        Ok(session) => session.is_streaming().await,
        Err(error) => Err(error),
    };
    streaming.unwrap_or_else(|error| {
        tracing::info!("not known whether this replica streams: {}", error_chain(&error));
        true
    })
}
