//! Asks the adapters and fills the facts that decisions are made of. What does
//! not answer becomes Unknown, with its why.

use crate::agent::Agent;
use crate::cluster::{MemberState, PatroniError, SqlError};
use crate::engine::pgbackrest::EngineError;
use crate::model::{Catalog, Observed, Role, TlsStage, UnitName, error_chain};
use crate::policy::{Facts, MAX_LAG};

/// Everything the right to back up hangs on. The catalog is asked for only when
/// the caller has it: it costs a look into the repository.
pub async fn facts(agent: &Agent, restore_under_way: Option<String>, catalog: &Observed<Catalog>) -> Facts {
    let members = members(agent).await;
    let own = own(agent, &members);
    Facts {
        unit: agent.unit.clone(),
        application: agent.unit.application.clone(),
        planned_units: Observed::Known(agent.file.planned_units),
        role: map(&own, |member| member.role),
        member_running: map(&own, |member| member.running),
        tls: tls(agent),
        replica_lag_bytes: lag(agent, &own).await,
        primary_unit: find(agent, &members, |member| member.role == Role::Primary),
        healthiest_replica: healthiest_replica(agent, &members),
        settings: settings(agent),
        stanza_ready: stanza_ready(agent),
        engine_busy: engine_busy(agent, catalog).await,
        restore_under_way,
        has_full_backup: map(catalog, Catalog::has_full_backup),
        standby_cluster: false,
    }
}

/// Finished sets of the stanza.
pub async fn catalog(agent: &Agent) -> Observed<Catalog> {
    if agent.repository().is_none() {
        return Observed::unknown(agent.no_repository());
    }
    // The store's own words, before pgBackRest's about them.
    match agent.store() {
        Err(error) => return Observed::unknown(error.explain()),
        Ok(store) => {
            if let Err(error) = store.look().await {
                return Observed::unknown(error_chain(&error));
            }
        }
    }
    Observed::<Catalog>::from_result::<EngineError>(agent.engine().catalog().await)
}

fn map<T, U>(observed: &Observed<T>, pick: impl FnOnce(&T) -> U) -> Observed<U> {
    match observed {
        Observed::Known(value) => Observed::Known(pick(value)),
        Observed::Unknown { why } => Observed::Unknown { why: why.clone() },
    }
}

async fn members(agent: &Agent) -> Observed<Vec<MemberState>> {
    match agent.patroni() {
        Ok(patroni) => Observed::<Vec<MemberState>>::from_result::<PatroniError>(patroni.members().await),
        Err(error) => Observed::unknown(error.explain()),
    }
}

fn own(agent: &Agent, members: &Observed<Vec<MemberState>>) -> Observed<MemberState> {
    let found = map(members, |members| members.iter().find(|member| member.name == agent.member.name).cloned());
    match found {
        Observed::Known(Some(member)) => Observed::Known(member),
        Observed::Known(None) => Observed::unknown(format!("Patroni does not know member {}", agent.member.name)),
        Observed::Unknown { why } => Observed::Unknown { why },
    }
}

fn find(
    agent: &Agent,
    members: &Observed<Vec<MemberState>>,
    wanted: impl Fn(&MemberState) -> bool,
) -> Option<UnitName> {
    members.known()?.iter().find(|member| wanted(member)).and_then(|member| unit_of(agent, member))
}

/// Units change over one by one: until all of them take TLS alone, the primary backs up.
fn tls(agent: &Agent) -> bool {
    let peers = agent.file.peers.values().filter(|peer| peer.joined);
    agent.file.reached == TlsStage::Only && peers.into_iter().all(|peer| peer.stage == Some(TlsStage::Only))
}

/// One that could be backed up from: it runs, keeps up, and is on the timeline
/// of the primary (after a failover one can wait on another, and seem well).
fn healthiest_replica(agent: &Agent, members: &Observed<Vec<MemberState>>) -> Option<UnitName> {
    let members = members.known()?;
    let timeline = members.iter().find(|member| member.role == Role::Primary)?.timeline;
    let well = |member: &&MemberState| member.role == Role::Replica && member.running && member.timeline == timeline;
    let keeping_up =
        members.iter().filter(well).filter_map(|member| Some((member.lag.filter(|lag| *lag <= MAX_LAG)?, member)));
    keeping_up.min_by_key(|(lag, _)| *lag).and_then(|(_, member)| unit_of(agent, member))
}

/// Patroni counts what has been received; a backup waits for what is replayed.
async fn lag(agent: &Agent, own: &Observed<MemberState>) -> Observed<Option<u64>> {
    let received = map(own, |member| member.lag);
    let Observed::Known(Some(received_lag)) = received else { return received };
    if own.known().is_some_and(|own| own.role == Role::Primary) {
        return received;
    }
    match replay(agent).await {
        Ok((true, unreplayed)) => Observed::Known(Some(received_lag.saturating_add(unreplayed))),
        Ok((false, _)) => Observed::Known(None),
        Err(error) => Observed::unknown(error_chain(&error)),
    }
}

/// Does it stream, and what has it yet to replay?
async fn replay(agent: &Agent) -> Result<(bool, u64), SqlError> {
    let session = agent.postgres().await?;
    Ok((session.is_streaming().await?, session.unreplayed().await?))
}

/// Members are named after their units: `postgresql-0` is `postgresql/0`.
fn unit_of(agent: &Agent, member: &MemberState) -> Option<UnitName> {
    let number = member.name.strip_prefix(&agent.unit.application)?.strip_prefix('-')?;
    Some(UnitName { application: agent.unit.application.clone(), number: number.parse().ok()? })
}

fn settings(agent: &Agent) -> Observed<()> {
    match agent.repository() {
        Some(Ok(_)) => Observed::Known(()),
        Some(Err(error)) => Observed::unknown(error.explain()),
        None => Observed::unknown(agent.no_repository()),
    }
}

/// What stands in its way was found out by the last try.
fn stanza_ready(agent: &Agent) -> Observed<bool> {
    match (agent.file.repository_ready, &agent.file.repository_problem) {
        (true, _) => Observed::Known(true),
        (false, Some(why)) => Observed::unknown(why),
        (false, None) => Observed::Known(false),
    }
}

/// The claim knows best: the engine of a backup elsewhere holds a lock on every
/// unit that it reads from.
async fn engine_busy(agent: &Agent, catalog: &Observed<Catalog>) -> Observed<Option<String>> {
    let claimed = agent.claimed_backup().await;
    // Our own claim is of an action that was killed.
    let elsewhere = claimed.as_ref().ok().and_then(Option::as_ref).filter(|note| note.unit != agent.unit.to_string());
    if let Some(note) = elsewhere {
        return Observed::Known(Some(format!("a backup is running on {}", note.unit)));
    }
    if agent.engine().running_backup().await.ok().flatten().is_some() {
        return Observed::Known(Some(format!("a backup is running on {}", agent.unit)));
    }
    if let Err(error) = claimed {
        return Observed::unknown(error.explain());
    }
    Observed::Known(catalog.known().filter(|catalog| catalog.lock_held).map(|_| "a backup is running".to_owned()))
}

/// Not knowing counts as busy.
pub async fn engine_is_busy(agent: &Agent) -> bool {
    !matches!(engine_busy(agent, &Observed::unknown("not asked for")).await, Observed::Known(None))
}
