//! Decides a restore: gathers the facts, and goes on looking until policy has a
//! plan or a refusal. Touches nothing but the end of the cluster's WAL, and that
//! not for a plan alone.

use std::time::Duration;

use crate::actions::archive::{self, Reader};
use crate::agent::Agent;
use crate::cluster::{ControlData, SqlError};
use crate::model::{AgentError, Catalog, Lsn, Observed, RestoreTarget, Role, Timeline, WalSegmentSize, error_chain};
use crate::observe;
use crate::policy::Refusal;
use crate::policy::restore::{
    Asked, NoWay, Open, OtherUnit, RestoreFacts, RestorePlan, Seal, Typed, World, may_restore, plan_restore,
};
use crate::sys::{clock, environment, files};

/// Is it for a restore, or for its plan alone?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    Restore,
    /// It stops before the switch.
    Hold,
    DryRun,
}

/// Segments that are read for one plan; a name may stand anywhere.
const SEGMENTS: usize = 64;
const SEGMENTS_FOR_A_NAME: usize = 256;

/// How long the repository may take for the last segment.
const SEAL: Duration = Duration::from_secs(90);

pub(super) async fn decide(
    agent: &Agent,
    typed: &Typed,
    is_leader: bool,
    mode: Mode,
) -> Result<RestorePlan, AgentError> {
    let facts = facts(agent, is_leader).await;
    let asked = may_restore(&facts, typed)?;
    no_tablespaces(agent).await?;
    let mut world = look(agent, &facts, &asked, mode).await?;
    plan(agent, &facts, &asked, &mut world).await
}

async fn facts(agent: &Agent, is_leader: bool) -> RestoreFacts {
    let catalog = observe::catalog(agent).await;
    let facts = observe::facts(agent, super::in_the_way(agent).await, &catalog).await;
    let free = files::free_bytes(&agent.layout().databases());
    RestoreFacts {
        application: facts.application,
        is_leader,
        settings: facts.settings,
        stanza_ready: facts.stanza_ready,
        catalog,
        restore_under_way: facts.restore_under_way,
        engine_busy: busy(facts.engine_busy),
        free_bytes: free.map_or_else(Observed::unknown, Observed::Known),
        others: others(agent).await,
        standby_cluster: false,
    }
}

/// Units that take part, and their room as their services told it last.
async fn others(agent: &Agent) -> Vec<OtherUnit> {
    if !agent.has_company() {
        return Vec::new();
    }
    let listeners = match agent.restore_keys() {
        Ok(keys) => keys.listeners().await.unwrap_or_default(),
        Err(_) => Vec::new(),
    };
    let joined = agent.file.peers.iter().filter(|(_, peer)| peer.joined);
    joined
        .filter_map(|(unit, _)| {
            let free_bytes = listeners.iter().find(|one| one.unit == *unit).and_then(|one| one.free_bytes);
            Some(OtherUnit { unit: unit.parse().ok()?, free_bytes })
        })
        .collect()
}

/// Not knowing whether a backup runs is as good as one.
pub(super) fn busy(observed: Observed<Option<String>>) -> Option<String> {
    match observed {
        Observed::Known(who) => who,
        Observed::Unknown { why } => Some(format!("it is not known whether a backup is running ({why})")),
    }
}

/// pgBackRest would put them where the running cluster has them. A database
/// that is down is what has to be restored: the disk is asked, which knows numbers.
async fn no_tablespaces(agent: &Agent) -> Result<(), AgentError> {
    let failed = |error| AgentError::fault("asking for tablespaces", error);
    let names = match agent.postgres().await {
        Ok(session) => session.tablespaces().await.map_err(failed)?,
        Err(_) => files::names_in(&agent.layout().data().join("pg_tblspc"))
            .map_err(|error| AgentError::fault("looking for tablespaces", error))?,
    };
    if names.is_empty() {
        return Ok(());
    }
    Err(AgentError::refused(
        format!("Unit cannot restore backup as the cluster has tablespaces: {}", names.join(", ")),
        "This release keeps old data aside only where all of it lies below the storage; move the tables to pg_default \
         and drop the tablespaces first",
    ))
}

async fn look(agent: &Agent, facts: &RestoreFacts, asked: &Asked, mode: Mode) -> Result<World, AgentError> {
    let Present { timeline, segment_size, written } = present(agent).await?;
    let catalog = facts.catalog.known();
    let own = catalog.and_then(|catalog| catalog.archive_id.clone()).unwrap_or_default();
    // A set of another database has its WAL in another archive.
    let archive_id = catalog.and_then(|catalog| archive_of(catalog, asked)).unwrap_or_else(|| own.clone());
    let is_ours = archive_id == own;
    let archive = archive::archives(agent).await.map_err(|error| NoWay::ArchiveUnknown { why: error.explain() });
    let archive = archive.map_err(Refusal::from)?.remove(&archive_id).unwrap_or_default();
    let present = is_ours.then_some(timeline);
    let timelines = archive::timelines(agent, &archive_id, archive, present, segment_size).await;
    Ok(World {
        unit: agent.unit.clone(),
        archive_id,
        timelines,
        marks: Default::default(),
        wal_lsn: written.filter(|_| is_ours),
        seal: if mode == Mode::DryRun { Seal::Promised } else { Seal::NotYet },
        now: clock::now(),
    })
}

/// Where the cluster is now.
struct Present {
    timeline: Timeline,
    segment_size: WalSegmentSize,
    /// How far it has written; not known of a database that is down.
    written: Option<Lsn>,
}

/// A database that does not start is what a restore is for: its control file is read then.
async fn present(agent: &Agent) -> Result<Present, AgentError> {
    let failed = |error| AgentError::fault("asking how far WAL is", error);
    let Ok(session) = agent.postgres().await else {
        let data = ControlData::read(&agent.runner, &agent.user, &agent.layout().data()).await;
        let data = data
            .map_err(|error| AgentError::fault("looking at the control file of the database, which is down", error))?;
        return Ok(Present { timeline: data.timeline, segment_size: data.wal_segment_size, written: None });
    };
    let (timeline, segment_size) = archive::present(agent).await.map_err(failed)?;
    let written = match session.role().await.map_err(failed)? {
        Role::Primary => session.wal_lsn().await.map_err(failed)?,
        Role::Replica => session.received().await.map_err(failed)?,
    };
    Ok(Present { timeline, segment_size, written: Some(written) })
}

fn archive_of(catalog: &Catalog, asked: &Asked) -> Option<String> {
    let id = asked.backup.as_ref()?.parse().ok()?;
    catalog.find(id).map(|set| set.archive_id.clone())
}

async fn plan(
    agent: &Agent,
    facts: &RestoreFacts,
    asked: &Asked,
    world: &mut World,
) -> Result<RestorePlan, AgentError> {
    let most = if matches!(asked.target, RestoreTarget::Name(_)) { SEGMENTS_FOR_A_NAME } else { SEGMENTS };
    archive::sweep(agent);
    let reader = Reader::new(agent)?;
    loop {
        match plan_restore(facts, asked, world) {
            Ok(plan) => return Ok(plan),
            Err(Open::Refused(refusal)) => return Err(refusal.into()),
            Err(Open::Seal) => seal(agent, world).await?,
            Err(Open::Look(_)) if world.marks.len() >= most => {
                return Err(Refusal::from(NoWay::TooFar { read: most }).into());
            }
            Err(Open::Look(segment)) => drop(world.marks.insert(segment, reader.read(segment).await)),
        }
    }
}

/// All that is committed by now is in the archive, and is looked at again.
async fn seal(agent: &Agent, world: &mut World) -> Result<(), AgentError> {
    let failed = |error: SqlError| Refusal::from(NoWay::NotSealed { why: error_chain(&error) });
    let chance = environment::random_hex(4).map_err(|error| AgentError::fault("naming a restore point", error))?;
    let name = format!("restore-plan-{}-{chance}", clock::now().format("%Y%m%d-%H%M%S"));
    let session = agent.postgres().await.map_err(failed)?;
    match session.role().await.map_err(failed)? {
        Role::Primary => drop(session.seal(&name, SEAL).await.map_err(failed)?),
        Role::Replica => agent.restore_keys()?.ask_for_seal(&name, SEAL).await?,
    }
    let archive = archive::archives(agent).await?.remove(&world.archive_id).unwrap_or_default();
    let (present, size) = (world.timelines.present, world.timelines.segment_size);
    world.timelines = archive::timelines(agent, &world.archive_id, archive, present, size).await;
    world.seal = Seal::Done { name };
    Ok(())
}
