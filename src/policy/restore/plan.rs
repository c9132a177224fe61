//! The plan of a restore: everything that can be known is settled before anything is touched.

use std::time::Duration;

use super::asked::Asked;
use super::no_way::NoWay;
use super::question::{Question, Way};
use super::rights::{RestoreFacts, find, fits_on_disk, is_sound};
use super::search::Around;
use super::space;
use super::world::{Open, World};
use crate::model::{Backup, Lsn, RecoveryGoal, Timeline, TimelinePath, UnitName};
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
    let fixed = asked.backup.as_deref().map(|id| find(catalog, id)).transpose()?;
    if let Some(set) = fixed {
        is_sound(catalog, set)?;
        ends_before_the_target(set, asked)?;
    }
    let Way { set, path, goal, segments, around, more } = Question { catalog, asked, fixed, world }.answer()?;
    let needs = space::needed(&set, &world.timelines, &segments);
    let free_bytes = fits_on_disk(facts, &set, needs)?;
    Ok(RestorePlan {
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

/// A set that was asked for by name leads to nothing older than its end.
fn ends_before_the_target(set: &Backup, asked: &Asked) -> Result<(), Refusal> {
    match asked.target {
        crate::model::RestoreTarget::Time(time) if time < set.finished => {
            Err(NoWay::TooEarly { id: set.id(), finished: set.finished, target: asked.target.to_string() }.into())
        }
        crate::model::RestoreTarget::Lsn(lsn) if set.lsn_stop.is_some_and(|stop| lsn < stop) => {
            Err(NoWay::TooEarly { id: set.id(), finished: set.finished, target: asked.target.to_string() }.into())
        }
        _ => Ok(()),
    }
}
