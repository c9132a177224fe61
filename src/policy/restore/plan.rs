//! The plan of a restore: everything that can be known is settled before anything is touched.

use std::time::Duration;

use super::asked::Asked;
use super::no_way::NoWay;
use super::question::{Question, Way};
use super::rights::{OtherUnit, RestoreFacts, find, fits_on_disk, fits_on_the_others, is_sound};
use super::search::Around;
use super::space;
use super::world::{Open, World};
use crate::model::{Backup, Catalog, Lsn, RecoveryGoal, RestoreTarget, Timeline, TimelinePath, UnitName};
use crate::policy::Refusal;

/// A restore that may be done.
#[derive(Debug, Clone, PartialEq)]
pub struct RestorePlan {
    pub backup: Backup,
    pub path: TimelinePath,
    /// The cluster's own timeline, which the restore leaves.
    pub present: Option<Timeline>,
    /// As it was asked for.
    pub asked: RecoveryGoal,
    /// As PostgreSQL is told.
    pub goal: RecoveryGoal,
    pub around: Around,
    /// The cluster's last WAL is archived first.
    pub seals: bool,
    pub wal_segments: usize,
    pub fetch_bytes: u64,
    pub needs_bytes: u64,
    pub free_bytes: u64,
    pub unit: UnitName,
    pub others: Vec<OtherUnit>,
    /// What each of the others writes.
    pub copy_bytes: u64,
    pub expected: Duration,
}

impl RestorePlan {
    /// Recovery cannot end before this position, wherever the end of WAL will be.
    pub fn least(&self) -> Option<Lsn> {
        self.around.survives.map(|commit| commit.lsn)
    }
}

/// Asked again with what [`Open`] says it lacks, until there is a plan or a refusal.
pub fn plan_restore(facts: &RestoreFacts, asked: &Asked, world: &World) -> Result<RestorePlan, Open> {
    let catalog = facts.known_catalog()?;
    let asked = &of_a_timeline(catalog, asked, world)?;
    let fixed = asked.backup.as_deref().map(|id| find(catalog, id)).transpose()?;
    if let Some(set) = fixed {
        is_sound(catalog, set)?;
        ends_before_the_target(set, asked)?;
    }
    let Way { set, path, goal, segments, around, more } = Question { catalog, asked, fixed, world }.answer()?;
    let needs = space::needed(&set, &world.timelines, &segments);
    let free_bytes = fits_on_disk(facts, &set, needs)?;
    let copied = space::copied(&set);
    fits_on_the_others(facts, &set, copied)?;
    Ok(RestorePlan {
        others: facts.others.clone(),
        copy_bytes: copied,
        fetch_bytes: space::fetched(catalog, &set, &world.timelines, &segments),
        expected: space::duration(catalog, &set, &segments),
        needs_bytes: needs,
        free_bytes,
        wal_segments: segments.len(),
        present: world.timelines.present,
        unit: world.unit.clone(),
        seals: more,
        asked: RecoveryGoal { target: asked.target.clone(), stop: asked.stop, timeline: path.timeline },
        backup: set,
        path,
        goal,
        around,
    })
}

/// list-backups has rows for timelines, too: their ids ask for the timeline, as in Charmed PostgreSQL.
fn of_a_timeline(catalog: &Catalog, asked: &Asked, world: &World) -> Result<Asked, NoWay> {
    let id = asked.backup.as_deref().and_then(|id| id.parse().ok()).filter(|id| catalog.find(*id).is_none());
    let histories = world.timelines.archive.histories.iter().filter(|history| Some(history.id()) == id);
    let Some(timeline) = histories.map(|history| history.timeline).max() else { return Ok(asked.clone()) };
    let application = world.unit.application.clone();
    match asked.target {
        RestoreTarget::BackupEnd => Err(NoWay::TimelineAlone { timeline, application }),
        _ if asked.timeline.is_some_and(|other| other != timeline) => {
            Err(NoWay::Conflict { first: "backup-id", second: "timeline" })
        }
        _ => Ok(Asked { backup: None, timeline: Some(timeline), ..asked.clone() }),
    }
}

/// A set that was asked for by name leads to nothing older than its end.
fn ends_before_the_target(set: &Backup, asked: &Asked) -> Result<(), Refusal> {
    let is_older = match asked.target {
        RestoreTarget::Time(time) => time < set.finished,
        RestoreTarget::Lsn(lsn) => set.lsn_stop.is_some_and(|stop| lsn < stop),
        _ => false,
    };
    if is_older {
        let (id, finished) = (set.id(), set.finished);
        return Err(NoWay::TooEarly { id, finished, target: asked.target.to_string() }.into());
    }
    Ok(())
}
