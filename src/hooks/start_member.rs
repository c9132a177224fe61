//! Brings the member up: Patroni and PostgreSQL, as primary or replica.

use std::time::Duration;

use tokio::time::Instant;

use super::{cluster_store, replica, rotation};
use crate::actions::parts;
use crate::agent::Agent;
use crate::cluster::{ControlData, Patroni};
use crate::juju::Juju;
use crate::model::{AgentError, Role, error_chain};
use crate::policy::status::{Condition, waiting};

/// A first start makes a new cluster; a later one may replay WAL.
const START: Duration = Duration::from_secs(120);
/// A replica of a large cluster takes hours: hooks do not wait for it.
const START_OF_REPLICA: Duration = Duration::from_secs(60);
const COPYING: &str = "a copy of the cluster is being made, juju status follows it";
const POLL: Duration = Duration::from_millis(150);

/// What keeps the member from being up; nothing when it is.
pub(super) async fn start(agent: &mut Agent, juju: &Juju, is_leader: bool) -> Result<Role, Condition> {
    let not_up = |error: AgentError| {
        tracing::warn!("the database is not up: {}", error.explain());
        waiting(format!("the database is not up: {}", error.explain()))
    };
    cluster_store::ensure(agent, juju, is_leader).await.map_err(not_up)?;
    agent.file.joined = true;
    // Data of an era that a restore has left must not be started.
    if let Some(condition) = follow_restore(agent).await.map_err(not_up)? {
        return Err(condition);
    }
    bring_up(agent, juju, is_leader).await.map_err(not_up)
}

/// etcd alone, while a restore keeps everything else back.
pub(super) async fn keep_cluster_store(agent: &mut Agent, juju: &Juju, is_leader: bool) -> Result<(), AgentError> {
    match agent.file.joined {
        true => cluster_store::ensure(agent, juju, is_leader).await,
        false => Ok(()),
    }
}

async fn follow_restore(agent: &mut Agent) -> Result<Option<Condition>, AgentError> {
    if !agent.has_company() {
        return Ok(None);
    }
    let keys = agent.restore_keys()?;
    parts::follow(agent, &keys).await
}

async fn bring_up(agent: &mut Agent, juju: &Juju, is_leader: bool) -> Result<Role, AgentError> {
    let fresh = !agent.has_data();
    if fresh {
        may_begin(agent).await?;
    }
    let ran = run_patroni(agent).await?;
    let role = becomes_part(agent, fresh, ran).await?;
    agent.file.reached = agent.member.stage;
    restart_if_pending(agent).await?;
    learn_system_id(agent).await?;
    rotation::apply(agent, role, is_leader).await?;
    if role == Role::Replica {
        replica::rescue(agent).await?;
    }
    tell_version(agent, juju).await?;
    Ok(role)
}

/// A unit without data must not begin a second cluster: only the founder of one
/// that never was begins it, all others copy.
async fn may_begin(agent: &mut Agent) -> Result<(), AgentError> {
    let etcd = agent.etcd()?;
    let initialized = etcd.get(&format!("/service/{}/initialize", agent.unit.application)).await;
    let initialized = initialized.map_err(|error| AgentError::fault("asking whether there is a cluster", error))?;
    if initialized.is_some_and(|id| !id.is_empty()) {
        return replica::choose_source(agent).await;
    }
    let alone = agent.file.peers.values().all(|peer| peer.system_id.is_none());
    if alone && (agent.file.formed_before || agent.file.system_id.is_some()) {
        return Err(AgentError::refused(
            "the data of this cluster is gone: it was on a storage that this unit no longer has",
            format!("Attach that storage to a new unit, or remove {} and restore a backup", agent.unit),
        ));
    }
    if agent.file.founder == agent.unit.to_string() && !agent.is_formed() {
        agent.begins = true;
        return Ok(());
    }
    Err(AgentError::fault("joining the cluster", "no unit has begun it yet".to_owned()))
}

/// Answers whether it ran before.
async fn run_patroni(agent: &mut Agent) -> Result<bool, AgentError> {
    let failed = |error| AgentError::fault("starting Patroni", error);
    agent.write_patroni_conf(&agent.archiving())?;
    let written = agent.patroni_conf_digest();
    let ran = agent.member.patroni_runs().await;
    if !ran {
        agent.member.start_patroni().await.map_err(failed)?;
    } else if !agent.member.patroni_runs_as_wanted().await {
        agent.member.replace_patroni().await.map_err(failed)?;
    } else if agent.file.patroni_told != written {
        agent.member.reload_patroni().await.map_err(failed)?;
    }
    // Only now: a hook that was killed before must not leave it untold.
    agent.file.patroni_told = written;
    agent.save()?;
    Ok(ran)
}

/// Waits until this member has its place: the primary takes writes, a replica
/// runs in a cluster that has a primary.
async fn becomes_part(agent: &Agent, fresh: bool, ran: bool) -> Result<Role, AgentError> {
    let alone = !agent.has_company();
    let deadline = Instant::now() + if alone || !fresh { START } else { START_OF_REPLICA };
    loop {
        let patroni = agent.patroni()?;
        let why = match place(agent, &patroni).await {
            Ok(role) => return Ok(role),
            Err(why) => why,
        };
        // A copy that was under way before this hook takes longer than this hook.
        let copies = ran && why == COPYING;
        if copies || Instant::now() >= deadline || !agent.member.patroni_runs().await {
            return Err(AgentError::fault("waiting for the member", why));
        }
        tokio::time::sleep(POLL).await;
    }
}

async fn place(agent: &Agent, patroni: &Patroni) -> Result<Role, String> {
    let log = agent.layout().log().join("patroni.log");
    let see = format!("see {}", log.display());
    let state = patroni.own_state().await.map_err(|error| format!("{}; {see}", error_chain(&error)))?;
    if !state.is_up() {
        return Err(match state.state.as_str() {
            "creating replica" => COPYING.to_owned(),
            state => format!("PostgreSQL is {state}; {see}"),
        });
    }
    let session = agent.postgres().await.map_err(|error| error_chain(&error))?;
    match session.role().await.map_err(|error| error_chain(&error))? {
        Role::Primary if patroni.is_primary().await => Ok(Role::Primary),
        Role::Primary => Err(format!("not the primary yet; {see}")),
        Role::Replica => match patroni.members().await {
            Ok(members) if members.iter().any(|member| member.role == Role::Primary) => Ok(Role::Replica),
            Ok(_) => Err(format!("the cluster has no primary yet; {see}")),
            Err(error) => Err(error_chain(&error)),
        },
    }
}

/// Another address is taken over by a restart only.
async fn restart_if_pending(agent: &mut Agent) -> Result<(), AgentError> {
    let patroni = agent.patroni()?;
    let Ok(state) = patroni.own_state().await else { return Ok(()) };
    agent.paused = state.pause;
    if !state.pending_restart || agent.postgres_listens().await {
        // A user's own setting waits for the user's own restart.
        return Ok(());
    }
    patroni.restart_if_pending().await.map_err(|error| AgentError::fault("restarting PostgreSQL", error))
}

async fn learn_system_id(agent: &mut Agent) -> Result<(), AgentError> {
    if agent.file.system_id.is_some() {
        return Ok(());
    }
    let data = ControlData::read(&agent.runner, &agent.user, &agent.layout().data()).await;
    let data = data.map_err(|error| AgentError::fault("looking at the cluster's control file", error))?;
    agent.file.system_id = Some(data.system_id);
    agent.save()
}

async fn tell_version(agent: &mut Agent, juju: &Juju) -> Result<(), AgentError> {
    let session = agent.postgres().await.map_err(|error| AgentError::fault("asking for the version", error))?;
    let version = session.version().await.map_err(|error| AgentError::fault("asking for the version", error))?;
    if version != agent.file.version {
        let told = juju.set_version(&version).await;
        told.map_err(|error| AgentError::fault("telling Juju the version", error_chain(&error)))?;
        agent.file.version = version;
    }
    Ok(())
}
