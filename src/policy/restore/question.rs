//! A question and what all its answers stand on: which sets lie on a timeline,
//! which chain of WAL follows on them. Whatever is not proven is refused.

use super::asked::Asked;
use super::chain::{Chain, chain};
use super::no_way::{Nearest, NoWay};
use super::rights::fault;
use super::search::{Around, marks};
use super::world::{Open, Seal, World};
use crate::model::{Backup, Catalog, Lsn, RecoveryGoal, RestoreTarget, Timeline, TimelinePath, WalSegment};

pub(super) struct Question<'a> {
    pub catalog: &'a Catalog,
    pub asked: &'a Asked,
    /// The set that was asked for.
    pub fixed: Option<&'a Backup>,
    pub world: &'a World,
}

/// The way to a target.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Way {
    pub set: Backup,
    pub path: TimelinePath,
    pub goal: RecoveryGoal,
    /// All WAL that is replayed.
    pub segments: Vec<WalSegment>,
    pub around: Around,
    /// The cluster's last WAL comes to them before the restore.
    pub more: bool,
}

impl Question<'_> {
    /// The cluster's own, unless asked otherwise.
    pub(super) fn timeline(&self) -> Result<Timeline, NoWay> {
        let timelines = &self.world.timelines;
        let newest = || timelines.all().last().copied();
        self.asked.timeline.or(timelines.present).or_else(newest).ok_or(NoWay::NoTarget)
    }

    pub(super) fn is_present(&self, path: &TimelinePath) -> bool {
        self.world.timelines.present == Some(path.timeline)
    }

    /// Is more to come of this timeline before the restore? Asks for it where nothing forbids it.
    pub(super) fn sealed(&self, path: &TimelinePath) -> Result<bool, Open> {
        match &self.world.seal {
            _ if !self.is_present(path) => Ok(false),
            Seal::NotYet => Err(Open::Seal),
            Seal::Promised => Ok(true),
            Seal::Done { .. } => Ok(false),
        }
    }

    pub(super) fn path(&self, asked: Timeline) -> Result<&TimelinePath, NoWay> {
        let timelines = &self.world.timelines;
        timelines.paths.get(&asked).ok_or_else(|| {
            let known = timelines.all();
            match known.contains(&asked) {
                true => NoWay::UnknownHistory { asked, why: "it is not in the archive".to_owned() },
                false => NoWay::UnknownTimeline { asked, known: known.into_iter().collect() },
            }
        })
    }

    /// Sound sets that lie on the path, newest first; or the one that was asked for.
    pub(super) fn sets(&self, path: &TimelinePath) -> Result<Vec<&Backup>, NoWay> {
        let lies_on = |set: &Backup| {
            let stop = set.wal_stop.map(|wal| wal.timeline).zip(set.lsn_stop);
            set.archive_id == self.world.archive_id && stop.is_some_and(|(timeline, lsn)| path.holds(timeline, lsn))
        };
        if let Some(set) = self.fixed {
            return if lies_on(set) { Ok(vec![set]) } else { Err(self.not_on(set, path)) };
        }
        let sets = self.catalog.backups.iter().rev().filter(|set| lies_on(set) && fault(self.catalog, set).is_none());
        let (whole, torn): (Vec<_>, Vec<_>) = sets.partition(|set| self.is_whole(set));
        // A set that lacks WAL of its own is no way; where there is no other, it is named.
        Ok(if whole.is_empty() { torn } else { whole })
    }

    pub(super) fn not_on(&self, set: &Backup, path: &TimelinePath) -> NoWay {
        let own = set.wal_stop.map(|wal| wal.timeline);
        let there = own.map(|own| self.command(&format!("backup-id={} {}", set.id(), self.parameters()), Some(own)));
        NoWay::NotOnTimeline { id: set.id(), timeline: path.timeline, nearest: Nearest(there.into_iter().collect()) }
    }

    pub(super) fn newest_set(
        &self,
        path: &TimelinePath,
        good: impl Fn(&Backup) -> bool,
    ) -> Result<Option<&Backup>, NoWay> {
        Ok(self.sets(path)?.into_iter().find(|set| good(set)))
    }

    /// WAL that the set itself needs, all of it archived.
    pub(super) fn whole(&self, set: &Backup) -> Result<Vec<WalSegment>, NoWay> {
        let range = self.range(set);
        if range.is_empty() {
            return Err(NoWay::NoRange { id: set.id() });
        }
        match range.iter().find(|segment| !self.world.timelines.archive.segments.contains_key(segment)) {
            Some(missing) => Err(NoWay::NotWhole { id: set.id(), missing: *missing, nearest: self.others(set) }),
            None => Ok(range),
        }
    }

    pub(super) fn is_whole(&self, set: &Backup) -> bool {
        let range = self.range(set);
        !range.is_empty() && range.iter().all(|segment| self.world.timelines.archive.segments.contains_key(segment))
    }

    fn range(&self, set: &Backup) -> Vec<WalSegment> {
        let size = self.world.timelines.segment_size;
        set.wal_start.zip(set.wal_stop).map(|(first, last)| first.up_to(last, size)).unwrap_or_default()
    }

    pub(super) fn chain(&self, set: &Backup, path: &TimelinePath) -> Result<Chain, NoWay> {
        let size = self.world.timelines.segment_size;
        let (first, last) = set.wal_start.zip(set.wal_stop).ok_or(NoWay::NoRange { id: set.id() })?;
        let chain = chain(&self.world.timelines, path, first.number(size));
        if chain.segments.last().is_some_and(|end| end.number(size) >= last.number(size)) {
            return Ok(chain);
        }
        let missing = path.segment(first.number(size) + chain.segments.len() as u64, size);
        // The end of a set may lie in a segment that a fork has left to a timeline which still writes it.
        if self.is_present(path) && chain.gap.is_none() && missing.timeline == path.timeline && self.is_whole(set) {
            return Ok(chain);
        }
        Err(NoWay::NotWhole { id: set.id(), missing, nearest: self.others(set) })
    }

    /// The last position of the chain that is known to have a record behind it.
    pub(super) fn end(&self, chain: &Chain) -> Result<Lsn, Open> {
        let Some(last) = chain.segments.last() else { return Ok(Lsn(0)) };
        let size = self.world.timelines.segment_size;
        let start = last.number(size) * size.bytes();
        Ok(marks(self.world, last)?.last.unwrap_or(Lsn(start.saturating_sub(1))))
    }

    /// Up to the segment of this position.
    pub(super) fn cut(&self, chain: Chain, lsn: Lsn) -> Chain {
        let size = self.world.timelines.segment_size;
        let segments = chain.segments.into_iter().filter(|segment| segment.number(size) <= lsn.segment(size));
        Chain { segments: segments.collect(), ..chain }
    }

    pub(super) fn way(
        &self,
        set: &Backup,
        path: &TimelinePath,
        target: RestoreTarget,
        chain: Chain,
        around: Around,
        more: bool,
    ) -> Way {
        let goal = self.goal(target, path.timeline);
        let chain = match around.stops_at {
            Some(stop) => self.cut(chain, stop.lsn),
            None => chain,
        };
        Way { set: set.clone(), path: path.clone(), goal, segments: chain.segments, around, more }
    }

    pub(super) fn goal(&self, target: RestoreTarget, timeline: Timeline) -> RecoveryGoal {
        RecoveryGoal { target, stop: self.asked.stop, timeline }
    }
}

pub(super) fn is_behind(set: &Backup, lsn: Lsn) -> bool {
    set.lsn_stop.is_some_and(|stop| stop <= lsn)
}
