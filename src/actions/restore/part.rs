//! This unit's part of a restore, whoever drives it: each stage can be done
//! again, from wherever it was left.

use std::time::Duration;

use tokio::time::Instant;

use super::folders::Folders;
use super::part_file;
use crate::agent::{Agent, STORE_PATIENCE};
use crate::cluster::{self, ClusterState, ControlData, Etcd};
use crate::model::{AgentError, Lsn, Role, Timeline};
use crate::restore::{Order, Part, PartRecord, Stage, places};
use crate::sys::clock;

/// How long the repository may take for the last segment.
const SEAL: Duration = Duration::from_secs(90);
/// Shorter than the driver waits for the stage.
const OTHERS_HOLD: Duration = Duration::from_secs(40);
/// What the primary sent last is on its way.
const RECEIVE: Duration = Duration::from_secs(10);
/// PostgreSQL may have to replay what its last shutdown left.
const START: Duration = Duration::from_secs(300);
/// The lock of a Patroni that was killed runs out.
const LEADER_GONE: Duration = Duration::from_secs(60);
/// How long the others wait in one go for the first to be up.
const FIRST_BACK: Duration = Duration::from_secs(120);
/// A database that restarts is back before.
const DOWN: Duration = Duration::from_secs(15);
const ETCD: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(200);

/// Does what the order asks of this unit; the answer says whether it is done.
pub(super) async fn perform(agent: &mut Agent, order: &Order) -> Result<Part, AgentError> {
    let mut record = part_file::load(agent, &order.id)?.unwrap_or_else(|| PartRecord::begin(order));
    record.stage = order.stage.name();
    record.done = false;
    part_file::write(agent, &record)?;
    let outcome = do_it(agent, order, &mut record).await;
    let (said, failed) = match outcome {
        Ok(said) => (said, None),
        Err(error) => (Said::default(), Some(error.explain())),
    };
    if failed.is_none() {
        record.done = true;
        record.ended = (!order.stage.is_open()).then(clock::now);
        part_file::write(agent, &record)?;
    }
    Ok(Part {
        id: order.id.clone(),
        unit: agent.unit.to_string(),
        stage: record.stage,
        was_primary: record.was_primary,
        was_down: record.was_down,
        shut_down_at: said.shut_down_at.map(|lsn| lsn.to_string()),
        timeline: said.timeline,
        whole: record.whole,
        failed,
    })
}

/// What only the primary can say.
#[derive(Default)]
struct Said {
    shut_down_at: Option<Lsn>,
    timeline: Option<Timeline>,
}

async fn do_it(agent: &mut Agent, order: &Order, record: &mut PartRecord) -> Result<Said, AgentError> {
    match &order.stage {
        Stage::Seal => return seal(agent, record).await,
        Stage::Hold => {
            // Of several that are all down this one stands for the primary.
            record.was_primary |= record.was_down && order.primary.as_deref() == Some(&agent.unit.to_string());
            hold(agent, order, record).await?;
        }
        Stage::StopPrimary if record.was_primary => return stop_primary(agent, record).await,
        Stage::StopReplicas { shut_down_at } if !record.was_primary => {
            stop_replica(agent, record, shut_down_at).await?;
        }
        Stage::StopPrimary | Stage::StopReplicas { .. } => (),
        Stage::Aside => aside(agent, order).await?,
        Stage::PutBack { first, .. } => put_back(agent, order, first, record.was_down).await?,
        Stage::Join => join(agent, order, record).await?,
    }
    Ok(Said::default())
}

/// Nothing that was committed until now is only on this disk. The rest is in
/// the old data, which is kept.
async fn seal(agent: &Agent, record: &mut PartRecord) -> Result<Said, AgentError> {
    record.was_primary = agent.member.patroni_runs().await && agent.patroni()?.is_primary().await;
    // A cluster may be restored because its database starts nowhere: what it had not archived is in
    // the old data alone.
    record.was_down = is_down(agent).await;
    if record.was_down {
        record.was_primary |= !agent.has_company();
        let data = control_data(agent).await.ok();
        return Ok(Said {
            timeline: Some(data.as_ref().map_or(Timeline(0), |data| data.timeline)),
            shut_down_at: data.map(|data| data.checkpoint),
        });
    }
    if !record.was_primary {
        return Ok(Said::default());
    }
    let failed = |error| AgentError::fault("archiving the cluster's last WAL", error);
    let session = agent.postgres().await.map_err(failed)?;
    if agent.file.archives {
        session.seal(&format!("before-restore-{}", record.id), SEAL).await.map_err(failed)?;
    }
    let timeline = session.timeline().await.map_err(failed)?;
    Ok(Said { timeline: Some(timeline), ..Said::default() })
}

/// It answers nobody, and not for a moment only.
async fn is_down(agent: &Agent) -> bool {
    let deadline = Instant::now() + DOWN;
    while agent.postgres().await.is_err() {
        if Instant::now() >= deadline {
            return true;
        }
        tokio::time::sleep(POLL).await;
    }
    false
}

async fn timeline_on_disk(agent: &Agent) -> Timeline {
    control_data(agent).await.map_or(Timeline(0), |data| data.timeline)
}

/// The primary is last: its lock keeps every Patroni that still runs from promoting another.
async fn hold(agent: &Agent, order: &Order, record: &PartRecord) -> Result<(), AgentError> {
    // While its Patroni still runs: one that was promoted meanwhile goes on as it is.
    has_its_role(agent, record).await?;
    if record.was_primary && agent.has_company() {
        others_hold(agent, order).await?;
    }
    let ended = agent.member.end_patroni_alone().await;
    ended.map_err(|error| AgentError::fault("holding failovers off", error))?;
    has_its_role(agent, record).await
}

async fn has_its_role(agent: &Agent, record: &PartRecord) -> Result<(), AgentError> {
    let Ok(session) = agent.postgres().await else { return Ok(()) };
    let role = session.role().await.map_err(|error| AgentError::fault("asking for the role", error))?;
    match (role, record.was_primary) {
        (Role::Primary, false) | (Role::Replica, true) => {
            Err(AgentError::fault("holding failovers off", "the primary has changed meanwhile".to_owned()))
        }
        _ => Ok(()),
    }
}

/// All whose service or Patroni has been heard of lately.
async fn others_hold(agent: &Agent, order: &Order) -> Result<(), AgentError> {
    let (keys, own, deadline) = (agent.restore_keys()?.patient(), agent.unit.to_string(), Instant::now() + OTHERS_HOLD);
    loop {
        let (parts, listeners, patronis) = (keys.parts().await?, keys.listeners().await?, keys.patronis().await?);
        let is_there =
            |unit: &String| listeners.iter().any(|one| one.unit == *unit) || patronis.contains(&unit.replace('/', "-"));
        let holds = |unit: &String| parts.iter().any(|part| part.unit == *unit && part.answers(order));
        let missing = order.units.iter().find(|unit| **unit != own && is_there(unit) && !holds(unit));
        let Some(missing) = missing else { return Ok(()) };
        if Instant::now() >= deadline {
            return Err(AgentError::fault("holding failovers off", format!("{missing} did not answer")));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// Its shutdown waits until the replicas have what it wrote.
async fn stop_primary(agent: &Agent, record: &mut PartRecord) -> Result<Said, AgentError> {
    ensure_stopped(agent).await?;
    if record.was_down {
        record.whole = true;
        return Ok(Said { shut_down_at: Some(Lsn(0)), timeline: Some(timeline_on_disk(agent).await) });
    }
    let data = control_data(agent).await?;
    if data.state != ClusterState::ShutDown {
        let why = format!("its state is {:?}", data.state);
        return Err(AgentError::fault("Failed to stop database service", why));
    }
    record.whole = true;
    Ok(Said { shut_down_at: Some(data.checkpoint), timeline: Some(data.timeline) })
}

async fn stop_replica(agent: &Agent, record: &mut PartRecord, shut_down_at: &str) -> Result<(), AgentError> {
    let end: Lsn = shut_down_at.parse().map_err(|error| AgentError::fault("reading where the primary ended", error))?;
    // Asked again it is down, and has what it had.
    record.whole = record.whole || has_received(agent, end).await;
    ensure_stopped(agent).await
}

/// The last record begins at `end`: one that has it is beyond.
async fn has_received(agent: &Agent, end: Lsn) -> bool {
    let Ok(session) = agent.postgres().await else { return false };
    let deadline = Instant::now() + RECEIVE;
    loop {
        match session.received().await {
            Ok(received) if received > end => return true,
            Ok(_) if Instant::now() < deadline => tokio::time::sleep(POLL).await,
            _ => return false,
        }
    }
}

async fn aside(agent: &Agent, order: &Order) -> Result<(), AgentError> {
    ensure_stopped(agent).await?;
    let folders = Folders::of_order(agent, order);
    folders.carry_out("keeping the old data aside", &places::aside(folders.places()))
}

/// A unit that was away for all of it still has its old data in place. One that had all
/// that the primary had before the restore that is undone follows without a copy.
async fn join(agent: &Agent, order: &Order, record: &PartRecord) -> Result<(), AgentError> {
    if order.driver == agent.unit.to_string() {
        return Ok(());
    }
    // One that could not say that it had joined does it again; its old data may have gone since.
    if record.ended.is_none() {
        change_places(agent, order).await?;
    }
    start_patroni(agent).await
}

async fn change_places(agent: &Agent, order: &Order) -> Result<(), AgentError> {
    let folders = Folders::of_order(agent, order);
    if !folders.places().aside {
        aside(agent, order).await?;
    }
    if let Some(undone) = &order.undoes {
        let was_whole = part_file::load(agent, undone)?.is_some_and(|record| record.whole);
        folders.carry_out("bringing the old data back", &places::old_data_again(folders.places(), was_whole))?;
    }
    Ok(())
}

/// What may have to be undone hangs on how far this unit had come.
async fn put_back(agent: &Agent, order: &Order, first: &str, was_down: bool) -> Result<(), AgentError> {
    let folders = Folders::of_order(agent, order);
    if folders.places().aside {
        // Gracefully: a restored primary gives its lock back.
        let stopped = agent.member.stop_patroni().await;
        stopped.map_err(|error| AgentError::fault("stopping the restored cluster", error))?;
        ensure_stopped(agent).await?;
        is_out(agent).await?;
    }
    folders.carry_out("putting the old data back", &places::back(folders.places(), folders.is_undo()))?;
    if agent.member.patroni_runs().await {
        return Ok(());
    }
    if first == agent.unit.to_string() {
        start_first(agent, order, was_down).await
    } else {
        start_after(agent, order, first).await
    }
}

/// Others need not wait until Patroni's word of this member has run out.
async fn is_out(agent: &Agent) -> Result<(), AgentError> {
    let key = format!("/service/{}/members/{}", agent.unit.application, agent.member.name);
    let forgotten = etcd_up(agent).await?.delete(&key).await;
    forgotten.map_err(|error| AgentError::fault("stopping the restored cluster", error))
}

/// Nobody else runs yet: what etcd knows is of the restored cluster, and goes.
async fn start_first(agent: &Agent, order: &Order, was_down: bool) -> Result<(), AgentError> {
    let failed = |error| AgentError::fault("starting the old cluster", error);
    let etcd = etcd_up(agent).await?;
    let (ours, deadline) = (agent.member.name.clone(), Instant::now() + LEADER_GONE);
    // Old data that follows the restored cluster would be rewound to it.
    while !driver_is_out(agent, order).await? {
        if Instant::now() >= deadline {
            let why = format!("{} has not given up the restored data yet", order.driver);
            return Err(AgentError::fault("waiting for the member that is to lead", why));
        }
        tokio::time::sleep(POLL).await;
    }
    let left = deadline.saturating_duration_since(Instant::now());
    if leader(agent, &etcd, left, |leader| leader.is_none_or(|leader| leader == ours)).await.is_err() {
        // The old cluster was never stopped, or came back without us.
        return start_patroni(agent).await;
    }
    let forgotten = agent.member.forget_cluster(&etcd, &agent.unit.application).await;
    forgotten.map_err(|error| AgentError::fault("Failed to remove previous cluster information", error))?;
    agent.write_patroni_conf(&agent.archiving())?;
    agent.member.start_patroni().await.map_err(failed)?;
    // What did not start before is as it was when Patroni tries again.
    if was_down { Ok(()) } else { has_a_primary(agent, &etcd).await }
}

/// Nothing was started on the restored data, or the unit that restored says that its old data is
/// back, or its Patroni has not been heard of lately.
async fn driver_is_out(agent: &Agent, order: &Order) -> Result<bool, AgentError> {
    if !order.adopts || order.driver == agent.unit.to_string() {
        return Ok(true);
    }
    let keys = agent.restore_keys()?.patient();
    let is_back = |part: &Part| part.unit == order.driver && part.answers(order) && part.failed.is_none();
    if keys.parts().await?.iter().any(is_back) {
        return Ok(true);
    }
    Ok(!keys.patronis().await?.contains(&order.driver.replace('/', "-")))
}

/// This member, or another whose data is as whole.
async fn has_a_primary(agent: &Agent, etcd: &Etcd) -> Result<(), AgentError> {
    let (patroni, ours, deadline) = (agent.patroni()?, agent.member.name.clone(), Instant::now() + START);
    while Instant::now() < deadline && agent.member.patroni_runs().await {
        if agent.member.becomes_primary(&patroni, Duration::ZERO).await {
            return Ok(());
        }
        let another = leader(agent, etcd, Duration::ZERO, |leader| leader.is_some_and(|leader| leader != ours)).await;
        if another.is_ok() && patroni.own_state().await.is_ok_and(|state| state.is_up()) {
            return Ok(());
        }
        tokio::time::sleep(POLL).await;
    }
    Err(AgentError::fault("starting the old cluster", see_log(agent)))
}

/// A lock in etcd may be the last one's: the first says itself that it is up.
async fn start_after(agent: &Agent, order: &Order, first: &str) -> Result<(), AgentError> {
    etcd_up(agent).await?;
    let (keys, deadline) = (agent.restore_keys()?.patient(), Instant::now() + FIRST_BACK);
    let is_up = |part: &Part| part.unit == first && part.answers(order) && part.failed.is_none();
    while !keys.parts().await?.iter().any(is_up) {
        if Instant::now() >= deadline {
            return Err(AgentError::fault("starting the old cluster", format!("{first} is not up yet")));
        }
        tokio::time::sleep(POLL).await;
    }
    start_patroni(agent).await
}

async fn start_patroni(agent: &Agent) -> Result<(), AgentError> {
    agent.write_patroni_conf(&agent.archiving())?;
    agent.member.start_patroni().await.map_err(|error| AgentError::fault("starting the member", error))
}

pub(super) async fn becomes_primary(agent: &Agent) -> Result<(), AgentError> {
    if agent.member.becomes_primary(&agent.patroni()?, START).await {
        return Ok(());
    }
    Err(AgentError::fault("starting the member", see_log(agent)))
}

fn see_log(agent: &Agent) -> String {
    format!("it did not become the primary, see {}", agent.layout().log().join("patroni.log").display())
}

/// Waits until the holder of Patroni's lock is as wanted.
async fn leader(
    agent: &Agent,
    etcd: &Etcd,
    patience: Duration,
    wanted: impl Fn(Option<&str>) -> bool,
) -> Result<(), AgentError> {
    let failed = |error| AgentError::fault("asking which member leads", error);
    let deadline = Instant::now() + patience;
    loop {
        let leader = etcd.get(&format!("/service/{}/leader", agent.unit.application)).await.map_err(failed)?;
        if wanted(leader.as_deref().filter(|leader| !leader.is_empty())) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            let why = leader.map_or("none does".to_owned(), |leader| format!("{leader} does"));
            return Err(AgentError::fault("waiting for the member that is to lead", why));
        }
        tokio::time::sleep(POLL).await;
    }
}

/// etcd of this unit, which a restart of the machine may have ended.
pub(super) async fn etcd_up(agent: &Agent) -> Result<Etcd, AgentError> {
    let started = agent.member.start_etcd(&agent.etcd_start()).await;
    started.map_err(|error| AgentError::fault("starting etcd", error))?;
    let etcd = agent.etcd()?.patient(STORE_PATIENCE);
    match agent.member.etcd_ready(&etcd, ETCD).await {
        true => Ok(etcd),
        false => Err(AgentError::fault("starting the member", "etcd does not answer".to_owned())),
    }
}

async fn end_patroni(agent: &Agent) -> Result<(), AgentError> {
    agent.member.end_patroni_alone().await.map_err(|error| AgentError::fault("stopping Patroni", error))
}

/// No directory changes its place under a server that runs.
async fn ensure_stopped(agent: &Agent) -> Result<(), AgentError> {
    end_patroni(agent).await?;
    let stopped = cluster::ensure_stopped(&agent.runner, &agent.user, &agent.layout().data()).await;
    stopped.map_err(|error| AgentError::fault("Failed to stop database service", error))
}

async fn control_data(agent: &Agent) -> Result<ControlData, AgentError> {
    let read = ControlData::read(&agent.runner, &agent.user, &agent.layout().data()).await;
    read.map_err(|error| AgentError::fault("looking at the cluster's control file", error))
}
