//! Brings this unit's etcd into the cluster store and keeps it there: joining,
//! coming back, another address, another stage, members that are gone for good.

use std::time::Duration;

use tokio::time::Instant;

use crate::agent::Agent;
use crate::cluster::{Etcd, EtcdError, EtcdMember, Own, Step, next_step, urls};
use crate::juju::Juju;
use crate::model::AgentError;
use crate::sys::services::ServiceError;

/// etcd refuses changes for some seconds after each.
const CHANGE: Duration = Duration::from_secs(45);
const READY: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(300);
/// Between two units that leave: the others elect a leader at most once in this time.
const PACE: Duration = Duration::from_secs(8);

pub(super) async fn ensure(agent: &mut Agent, juju: &Juju, is_leader: bool) -> Result<(), AgentError> {
    if agent.member.etcd_runs().await {
        look_after(agent, juju, is_leader).await?;
    } else {
        come_up(agent).await?;
    }
    enter(agent).await
}

fn etcd_fault(doing: &'static str) -> impl Fn(EtcdError) -> AgentError {
    move |error| AgentError::fault(doing, error)
}

fn service_fault(error: ServiceError) -> AgentError {
    AgentError::fault("starting etcd", error)
}

fn wanted_peer_url(agent: &Agent) -> String {
    urls::etcd_peer(&agent.member.address, agent.member.stage)
}

async fn come_up(agent: &mut Agent) -> Result<(), AgentError> {
    let others = agent.etcd_of_others()?;
    let seen = match others.has_endpoints() {
        true => others.members_for_sure().await.ok(),
        false => None,
    };
    let peer_urls = urls::etcd_peer_any(&agent.member.address);
    let own = Own {
        name: &agent.member.name.clone(),
        peer_url: &wanted_peer_url(agent),
        peer_urls: &peer_urls,
        has_data: agent.member.etcd_has_data(),
        founder: agent.file.founder == agent.unit.to_string(),
        formed: agent.is_formed(),
    };
    match next_step(&own, seen.as_deref()) {
        Step::Found => found(agent).await,
        Step::Resume => {
            if let Some(member) = seen.iter().flatten().find(|member| member.name == agent.member.name) {
                move_to_present_address(agent, &others, member).await?;
            }
            start(agent).await
        }
        Step::Join { remove } => join(agent, &others, remove.as_deref()).await,
        Step::Start => join(agent, &others, None).await,
        Step::Forget { remove } => join(agent, &others, remove.as_deref()).await,
        Step::Wait { why } => Err(AgentError::fault("entering the cluster store", why.to_owned())),
    }
}

/// Once it has begun, this unit's etcd is one that joined: should its data ever
/// be lost, it must not begin another cluster store by itself.
async fn found(agent: &mut Agent) -> Result<(), AgentError> {
    agent.file.etcd_start = Some(agent.member.founding());
    agent.save()?;
    start(agent).await?;
    if let Some(start) = &mut agent.file.etcd_start {
        start.existing = true;
    }
    agent.save()?;
    agent.member.restart_etcd(&agent.etcd_start()).await.map_err(service_fault)?;
    ready(agent).await
}

/// Starts what has a place in the cluster store.
async fn start(agent: &Agent) -> Result<(), AgentError> {
    agent.member.start_etcd(&agent.etcd_start()).await.map_err(service_fault)?;
    ready(agent).await
}

async fn ready(agent: &Agent) -> Result<(), AgentError> {
    if agent.member.etcd_ready(&agent.etcd()?, READY).await {
        return Ok(());
    }
    let log = agent.layout().log().join("etcd.log");
    let why = format!("it has no quorum: too few of the units answer each other; see {}", log.display());
    Err(AgentError::fault("waiting for etcd", why))
}

async fn move_to_present_address(agent: &Agent, etcd: &Etcd, member: &EtcdMember) -> Result<(), AgentError> {
    let wanted = wanted_peer_url(agent);
    if member.peer_urls == [wanted.clone()] {
        return Ok(());
    }
    let doing = "telling the cluster store where this unit is now";
    retried(doing, async || etcd.set_peer_url(&member.id, &wanted).await).await
}

/// Right after a change etcd refuses the next one for some seconds.
async fn retried(doing: &'static str, change: impl AsyncFn() -> Result<(), EtcdError>) -> Result<(), AgentError> {
    let deadline = Instant::now() + CHANGE;
    loop {
        match change().await {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(etcd_fault(doing)(error)),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

async fn remove(etcd: &Etcd, id: &str) -> Result<(), AgentError> {
    retried("removing a member of the cluster store", async || match etcd.remove(id).await {
        Err(error) if error.says("member not found") => Ok(()),
        other => other,
    })
    .await
}

/// Without a vote first, so that the quorum never hangs on one that may not come.
async fn join(agent: &mut Agent, others: &Etcd, left: Option<&str>) -> Result<(), AgentError> {
    let turn = agent.turn(others).await?;
    let outcome = join_in_turn(agent, others, left).await;
    turn.give_back().await;
    outcome
}

async fn join_in_turn(agent: &mut Agent, others: &Etcd, left: Option<&str>) -> Result<(), AgentError> {
    // A service manager may be starting it again and again.
    agent.member.stop_etcd().await.map_err(service_fault)?;
    if let Some(id) = left {
        remove(others, id).await?;
    }
    let forgotten = agent.member.forget_etcd_data();
    forgotten.map_err(|error| AgentError::fault("removing the data of a member that is no more", error))?;
    let wanted = wanted_peer_url(agent);
    retried("being added to the cluster store", async || add(others, &wanted).await).await?;
    let members = others.members_for_sure().await.map_err(etcd_fault("listing the cluster store's members"))?;
    agent.file.etcd_start = Some(agent.member.joining(&members));
    agent.save()?;
    agent.member.start_etcd(&agent.etcd_start()).await.map_err(service_fault)?;
    promote(agent, others).await
}

/// What is there by our address already must be a learner that never started:
/// another would remember votes that we have forgotten.
async fn add(others: &Etcd, wanted: &str) -> Result<(), EtcdError> {
    match others.add_learner(wanted).await {
        Err(error) if error.says("Peer URLs already exists") => {
            let members = others.members_for_sure().await?;
            match members.iter().find(|member| member.peer_urls.iter().any(|url| url == wanted)) {
                Some(member) if member.name.is_empty() && member.learner => Ok(()),
                Some(member) => others.remove(&member.id).await.and(Err(error)),
                None => Err(error),
            }
        }
        other => other.map(drop),
    }
}

async fn promote(agent: &Agent, others: &Etcd) -> Result<(), AgentError> {
    let ours = urls::etcd_peer_any(&agent.member.address);
    retried("getting a vote in the cluster store", async || {
        let members = others.members_for_sure().await?;
        match members.iter().find(|member| member.peer_urls.iter().any(|url| ours.contains(url))) {
            Some(member) if member.learner => others.promote(&member.id).await,
            Some(_) => Ok(()),
            None => Err(EtcdError::Refused { message: "this unit was removed again".to_owned() }),
        }
    })
    .await
}

/// It runs: is it where, and what, it should be?
async fn look_after(agent: &mut Agent, juju: &Juju, is_leader: bool) -> Result<(), AgentError> {
    let start = agent.etcd_start();
    if is_leader && !agent.etcd()?.healthy().await && most_are_gone_for_good(agent).await {
        go_on_alone(agent).await?;
    }
    // Of another stage it may not listen where we would ask.
    if !agent.member.etcd_runs_as(&start).await {
        restart(agent).await?;
    }
    if agent.member.etcd_ready(&agent.etcd()?, Duration::from_secs(10)).await {
        return settle_membership(agent, juju, is_leader).await;
    }
    let others = agent.etcd_of_others()?;
    if others.has_endpoints()
        && let Ok(members) = others.members_for_sure().await
        && !members.iter().any(|member| member.name == agent.member.name)
    {
        // The others went on without us.
        agent.member.stop_etcd().await.map_err(service_fault)?;
        return come_up(agent).await;
    }
    ready(agent).await
}

async fn go_on_alone(agent: &Agent) -> Result<(), AgentError> {
    tracing::warn!("most members of the cluster store were removed from the model: going on with this unit's data");
    let alone = agent.etcd()?.with_endpoints(vec![urls::etcd_client(&agent.member.address, agent.member.stage)]);
    agent.member.start_etcd_alone(&alone, &agent.etcd_start()).await.map(drop).map_err(service_fault)
}

/// One unit at a time is away, so that the quorum stays. Where there is none,
/// there is none to lose.
async fn restart(agent: &Agent) -> Result<(), AgentError> {
    let start = agent.etcd_start();
    let others = agent.etcd_of_others()?;
    if !others.has_endpoints() || !have_quorum(&others).await {
        return agent.member.restart_etcd(&start).await.map_err(service_fault);
    }
    let turn = agent.turn(&others).await?;
    let restarted = match agent.member.restart_etcd(&start).await {
        Ok(()) => ready(agent).await,
        Err(error) => Err(service_fault(error)),
    };
    turn.give_back().await;
    restarted
}

/// An election takes a moment.
async fn have_quorum(others: &Etcd) -> bool {
    let deadline = Instant::now() + Duration::from_secs(15);
    while others.members_for_sure().await.is_err() {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(POLL).await;
    }
    true
}

/// No quorum can come together any more: those that would make it are no longer
/// units. Juju's leader decides, so that no two units go on each alone; and only
/// when every unit that is left has said that it is of the same members.
async fn most_are_gone_for_good(agent: &Agent) -> bool {
    let Ok(etcd) = agent.etcd() else { return false };
    // As this unit's own member has it.
    let own = etcd.with_endpoints(vec![urls::etcd_client(&agent.member.address, agent.member.stage)]);
    let Ok(members) = own.members().await else { return false };
    let all_spoke = agent.file.peers.len() + 1 >= agent.file.known_units.len();
    let listed = |unit: &str| members.iter().any(|member| member.name == unit.replace('/', "-"));
    let others_are_ours = agent.file.peers.iter().all(|(unit, peer)| !peer.joined || listed(unit));
    let voters: Vec<_> = members.iter().filter(|member| !member.learner).collect();
    let left = voters.iter().filter(|member| is_known(agent, member)).count();
    all_spoke && others_are_ours && voters.len() > 1 && left < voters.len() / 2 + 1
}

fn is_known(agent: &Agent, member: &EtcdMember) -> bool {
    let named = |unit: &String| unit.replace('/', "-") == member.name;
    member.name == agent.member.name || agent.file.known_units.iter().any(named)
}

async fn settle_membership(agent: &mut Agent, juju: &Juju, is_leader: bool) -> Result<(), AgentError> {
    let etcd = agent.etcd()?;
    let list = async || etcd.members().await.map_err(etcd_fault("listing the cluster store's members"));
    let members = list().await?;
    if let Some(member) = members.iter().find(|member| member.name == agent.member.name) {
        if member.learner {
            promote(agent, &agent.etcd_of_others()?).await?;
        }
        move_to_present_address(agent, &etcd, member).await?;
    }
    if !is_leader || !members.iter().any(|member| is_gone(agent, member)) {
        return Ok(());
    }
    let turn = agent.turn(&etcd).await?;
    // Waiting took time: a unit may have come meanwhile.
    let units = juju.units().await.map_err(|error| AgentError::fault("asking Juju for the units", error))?;
    agent.file.known_units.extend(units.into_iter().map(|(unit, _)| unit));
    let mut outcome = Ok(());
    for member in list().await?.iter().filter(|member| is_gone(agent, member)) {
        tracing::info!(member = %member.name, "removing the member of a unit that is gone");
        outcome = outcome.and(remove(&etcd, &member.id).await);
    }
    turn.give_back().await;
    outcome
}

/// Its unit is no longer in the model. One that was added and never started has
/// no name: its address tells.
fn is_gone(agent: &Agent, member: &EtcdMember) -> bool {
    if !member.name.is_empty() {
        return !is_known(agent, member);
    }
    let addresses = agent.file.peers.values().map(|peer| &peer.address).chain([&agent.member.address]);
    let all_spoke = agent.file.peers.len() + 1 >= agent.file.known_units.len();
    all_spoke && !addresses.flat_map(|address| urls::etcd_peer_any(address)).any(|url| member.peer_urls.contains(&url))
}

/// Leaves for good, while the others still count us: their quorum shrinks with us.
pub(super) async fn leave(agent: &Agent) -> Result<(), AgentError> {
    let others = agent.etcd_of_others()?;
    agent.paced_turn(&others, PACE).await?;
    let members = others.members_for_sure().await.map_err(etcd_fault("listing the cluster store's members"))?;
    match members.iter().find(|member| member.name == agent.member.name) {
        Some(member) => remove(&others, &member.id).await,
        None => Ok(()),
    }
}

/// Makes our user if it is not there, and remembers that our services enter by it.
async fn enter(agent: &mut Agent) -> Result<(), AgentError> {
    let etcd = agent.etcd()?;
    let former = agent.former_etcd_credentials();
    etcd.ensure_access(&former).await.map_err(etcd_fault("setting etcd's password"))?;
    // At once: should PostgreSQL not come up, the next change must know this one.
    agent.remember_etcd_password()
}
