//! Brings this unit's etcd into the cluster store and keeps it there: joining,
//! coming back, another address, another stage, members that are gone for good.

use std::time::Duration;

use tokio::time::Instant;

use crate::agent::Agent;
use crate::cluster::{Claim, Claimed, Etcd, EtcdError, EtcdMember, Own, Step, next_step, urls};
use crate::model::AgentError;
use crate::sys::services::ServiceError;

/// One unit at a time changes the membership, or is away for a moment.
const CLAIM: &str = "/pg-backup-agent/membership";
/// A unit that is killed meanwhile lets the others go on after this.
const CLAIM_LIFE: Duration = Duration::from_secs(60);
/// How long a hook waits for another unit's turn to be over.
const TURN: Duration = Duration::from_secs(120);
/// etcd refuses changes for some seconds after each.
const CHANGE: Duration = Duration::from_secs(45);
const READY: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(300);

pub(super) async fn ensure(agent: &mut Agent, is_leader: bool) -> Result<(), AgentError> {
    if agent.member.etcd_runs().await {
        look_after(agent, is_leader).await?;
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
        peer_urls: &peer_urls,
        has_data: agent.member.etcd_has_data(),
        founder: agent.file.founder == agent.unit.to_string(),
        formed: agent.is_formed(),
    };
    match next_step(&own, seen.as_deref()) {
        Step::Found => {
            agent.file.etcd_start = Some(agent.member.founding());
            agent.save()?;
            start(agent).await
        }
        Step::Resume => {
            if let Some(member) = seen.iter().flatten().find(|member| member.name == agent.member.name) {
                move_to_present_address(agent, &others, member).await?;
            }
            start(agent).await
        }
        Step::Join { remove } => join(agent, &others, remove.as_deref()).await,
        Step::Start => join(agent, &others, None).await,
        Step::Forget => {
            forget(agent)?;
            join(agent, &others, None).await
        }
        Step::Wait { why } => Err(AgentError::fault("entering the cluster store", why.to_owned())),
    }
}

fn forget(agent: &Agent) -> Result<(), AgentError> {
    let forgotten = agent.member.forget_etcd_data();
    forgotten.map_err(|error| AgentError::fault("removing the data of a member that is no more", error))
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

/// Without a vote first, so that the quorum never hangs on one that may not come.
async fn join(agent: &mut Agent, others: &Etcd, remove: Option<&str>) -> Result<(), AgentError> {
    let claim = in_turn(agent, others).await?;
    let outcome = join_in_turn(agent, others, remove).await;
    release(others, claim).await;
    outcome
}

async fn join_in_turn(agent: &mut Agent, others: &Etcd, remove: Option<&str>) -> Result<(), AgentError> {
    if let Some(id) = remove {
        retried("removing what was left of this unit in the cluster store", async || match others.remove(id).await {
            Err(error) if error.says("member not found") => Ok(()),
            other => other,
        })
        .await?;
    }
    if !agent.member.etcd_has_data() {
        forget(agent)?;
    }
    let wanted = wanted_peer_url(agent);
    retried("being added to the cluster store", async || match others.add_learner(&wanted).await {
        Err(error) if error.says("Peer URLs already exists") => Ok(()),
        other => other.map(drop),
    })
    .await?;
    let members = others.members_for_sure().await.map_err(etcd_fault("listing the cluster store's members"))?;
    agent.file.etcd_start = Some(agent.member.joining(&members));
    agent.save()?;
    agent.member.start_etcd(&agent.etcd_start()).await.map_err(service_fault)?;
    promote(agent, others).await
}

async fn promote(agent: &Agent, others: &Etcd) -> Result<(), AgentError> {
    let ours = urls::etcd_peer_any(&agent.member.address);
    let deadline = Instant::now() + CHANGE;
    loop {
        let members = others.members().await.map_err(etcd_fault("listing the cluster store's members"))?;
        let mine = members.iter().find(|member| member.peer_urls.iter().any(|url| ours.contains(url)));
        let outcome = match mine {
            Some(member) if member.learner => others.promote(&member.id).await,
            Some(_) => return Ok(()),
            None => Err(EtcdError::Refused { message: "this unit was removed again".to_owned() }),
        };
        match outcome {
            Ok(()) => return Ok(()),
            Err(error) if Instant::now() >= deadline => return Err(etcd_fault("getting a vote")(error)),
            Err(_) => tokio::time::sleep(POLL).await,
        }
    }
}

/// Waits until no other unit changes the membership. `None`: the turn is ours
/// from a hook that was killed.
async fn in_turn(agent: &Agent, etcd: &Etcd) -> Result<Option<Claim>, AgentError> {
    in_turn_for(agent, etcd, CLAIM_LIFE).await
}

async fn in_turn_for(agent: &Agent, etcd: &Etcd, life: Duration) -> Result<Option<Claim>, AgentError> {
    let own = agent.unit.to_string();
    let deadline = Instant::now() + TURN;
    loop {
        let why = match etcd.claim(CLAIM, &own, life).await {
            Ok(Claimed::Ours(claim)) => return Ok(Some(claim)),
            Ok(Claimed::Theirs(unit)) if unit == own => return Ok(None),
            Ok(Claimed::Theirs(unit)) => format!("{unit} is being changed"),
            Err(error) => crate::model::error_chain(&error),
        };
        if Instant::now() >= deadline {
            return Err(AgentError::fault("waiting for a turn in the cluster store", why));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// It ends by itself where this does not reach etcd.
async fn release(etcd: &Etcd, claim: Option<Claim>) {
    let Some(claim) = claim else { return };
    if let Err(error) = etcd.release(&claim).await {
        tracing::info!("a claim was not released, it runs out: {}", crate::model::error_chain(&error));
    }
}

/// It runs: is it where, and what, it should be?
async fn look_after(agent: &mut Agent, is_leader: bool) -> Result<(), AgentError> {
    if agent.member.etcd_ready(&agent.etcd()?, Duration::from_secs(10)).await {
        restart_if_changed(agent).await?;
        return settle_membership(agent, is_leader).await;
    }
    let others = agent.etcd_of_others()?;
    let seen = match others.has_endpoints() {
        true => others.members_for_sure().await.ok(),
        false => None,
    };
    if seen.iter().any(|members| !members.iter().any(|member| member.name == agent.member.name)) {
        // The others went on without us.
        agent.member.stop_etcd().await.map_err(service_fault)?;
        return come_up(agent).await;
    }
    if is_leader && most_are_gone_for_good(agent).await {
        tracing::warn!("most members of the cluster store were removed from the model: going on with this unit's data");
        let alone = agent.etcd()?.with_endpoints(vec![urls::etcd_client(&agent.member.address, agent.member.stage)]);
        agent.member.start_etcd_alone(&alone, &agent.etcd_start()).await.map_err(service_fault)?;
        return ready(agent).await;
    }
    match seen {
        Some(_) => restart_if_changed(agent).await?,
        // Nobody answers us: there is no quorum that a turn would keep, and none that would give us one.
        None if !agent.member.etcd_runs_as(&agent.etcd_start()).await => {
            agent.member.restart_etcd(&agent.etcd_start()).await.map_err(service_fault)?;
        }
        None => {}
    }
    ready(agent).await
}

/// No quorum can come together any more: those that would make it are no longer
/// units. Juju's leader decides, so that no two units go on each alone.
async fn most_are_gone_for_good(agent: &Agent) -> bool {
    let Ok(etcd) = agent.etcd() else { return false };
    let Ok(members) = etcd.members().await else { return false };
    let voters: Vec<_> = members.iter().filter(|member| !member.learner).collect();
    let left = voters.iter().filter(|member| is_known(agent, member)).count();
    voters.len() > 1 && left < voters.len() / 2 + 1
}

fn is_known(agent: &Agent, member: &EtcdMember) -> bool {
    let named = |unit: &String| unit.replace('/', "-") == member.name;
    member.name == agent.member.name || agent.file.known_units.iter().any(named)
}

/// One unit at a time is away: the quorum stays.
async fn restart_if_changed(agent: &Agent) -> Result<(), AgentError> {
    let start = agent.etcd_start();
    if agent.member.etcd_runs_as(&start).await {
        return Ok(());
    }
    let others = agent.etcd_of_others()?;
    if !others.has_endpoints() {
        agent.member.restart_etcd(&start).await.map_err(service_fault)?;
        return ready(agent).await;
    }
    let claim = in_turn(agent, &others).await?;
    let restarted = match agent.member.restart_etcd(&start).await {
        Ok(()) => ready(agent).await,
        Err(error) => Err(service_fault(error)),
    };
    release(&others, claim).await;
    restarted
}

async fn settle_membership(agent: &Agent, is_leader: bool) -> Result<(), AgentError> {
    let etcd = agent.etcd()?;
    let members = etcd.members().await.map_err(etcd_fault("listing the cluster store's members"))?;
    if let Some(member) = members.iter().find(|member| member.name == agent.member.name) {
        if member.learner {
            promote(agent, &agent.etcd_of_others()?).await?;
        }
        move_to_present_address(agent, &etcd, member).await?;
    }
    let gone: Vec<_> = members.iter().filter(|member| is_gone(agent, member)).collect();
    if gone.is_empty() || !is_leader {
        return Ok(());
    }
    let claim = in_turn(agent, &etcd).await?;
    for member in gone {
        tracing::info!(member = %member.name, "removing the member of a unit that is gone");
        retried("removing the member of a unit that is gone", async || match etcd.remove(&member.id).await {
            Err(error) if error.says("member not found") => Ok(()),
            other => other,
        })
        .await?;
    }
    release(&etcd, claim).await;
    Ok(())
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

/// Leaves for good, while the others still count us: their quorum shrinks with
/// us. The turn is not given back: it runs out, so that two units that leave do
/// not cost the cluster one election after the other.
pub(super) async fn leave(agent: &Agent) -> Result<(), AgentError> {
    const PACE: Duration = Duration::from_secs(8);
    let others = agent.etcd_of_others()?;
    in_turn_for(agent, &others, PACE).await?;
    let members = others.members_for_sure().await.map_err(etcd_fault("listing the cluster store's members"))?;
    let Some(member) = members.into_iter().find(|member| member.name == agent.member.name) else { return Ok(()) };
    retried("leaving the cluster store", async || match others.remove(&member.id).await {
        Err(error) if error.says("member not found") => Ok(()),
        other => other,
    })
    .await
}

/// Makes our user if it is not there, and remembers that our services enter by it.
async fn enter(agent: &mut Agent) -> Result<(), AgentError> {
    let etcd = agent.etcd()?;
    let former = agent.former_etcd_credentials();
    etcd.ensure_access(&former).await.map_err(etcd_fault("setting etcd's password"))?;
    // At once: should PostgreSQL not come up, the next change must know this one.
    agent.remember_etcd_password()
}
