//! One target, one answer: the set, the timeline, the chain that leads there, and
//! what stands around its end. Whatever is not proven is refused, with the
//! instants near it that are.

use chrono::{DateTime, Utc};

use super::asked::Asked;
use super::chain::{Chain, chain};
use super::no_way::{Nearest, NoWay};
use super::rights::fault;
use super::search::{Around, around, end_of, last_commit, marks, named};
use super::world::{Open, Seal, World};
use crate::model::{
    Backup, Catalog, Commit, Lsn, RecoveryGoal, RestorePoint, RestoreTarget, Stop, Timeline, TimelinePath, WalSegment,
};

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
    pub fn answer(&self) -> Result<Way, Open> {
        match &self.asked.target {
            RestoreTarget::BackupEnd => self.backup_end(),
            RestoreTarget::Latest => self.latest(),
            RestoreTarget::Time(time) => self.time(*time),
            RestoreTarget::Lsn(lsn) => self.lsn(*lsn),
            RestoreTarget::Xid(xid) => self.xid(*xid),
            RestoreTarget::Name(name) => self.name(name),
        }
    }

    fn backup_end(&self) -> Result<Way, Open> {
        let set = self.fixed.ok_or(NoWay::NoTarget)?;
        let segments = self.whole(set)?;
        let stop = set.lsn_stop.unwrap_or(Lsn(u64::MAX));
        let timeline = set.wal_stop.map_or(Timeline(1), |wal| wal.timeline);
        let path = self.world.timelines.paths.get(&timeline).cloned();
        let path = path.unwrap_or(TimelinePath { timeline, forks: Vec::new() });
        let around = self.around_the_end(&segments, &path, stop)?;
        Ok(Way {
            set: set.clone(),
            path,
            goal: self.goal(RestoreTarget::BackupEnd, timeline),
            segments,
            around,
            more: false,
        })
    }

    /// Only told, nothing hangs on it: what cannot be read is left out.
    fn around_the_end(&self, segments: &[WalSegment], path: &TimelinePath, stop: Lsn) -> Result<Around, Open> {
        const BEHIND: usize = 2;
        let size = self.world.timelines.segment_size;
        let last = segments[segments.len() - 1].number(size);
        let behind = chain(&self.world.timelines, path, last + 1).segments;
        let mut commits = Vec::<Commit>::new();
        for segment in segments[segments.len() - 1..].iter().chain(behind.iter().take(BEHIND)) {
            match marks(self.world, segment) {
                Ok(marks) => commits.extend(marks.commits.iter().filter(|commit| !commit.aborted)),
                Err(Open::Look(segment)) => return Err(Open::Look(segment)),
                Err(_) => {}
            }
        }
        let survives = commits.iter().rev().find(|commit| commit.lsn < stop).copied();
        let lost = commits.iter().find(|commit| commit.lsn >= stop).copied();
        Ok(Around { survives, stops_at: lost, lost })
    }

    fn latest(&self) -> Result<Way, Open> {
        let path = self.path(self.timeline()?)?;
        let set = self.newest_set(path, |_| true)?.ok_or_else(|| self.no_base_backup(path))?;
        let more = self.sealed(path)?;
        let chain = self.chain(set, path)?;
        if let Some(missing) = chain.gap {
            return Err(self.gap(missing, path, set, &chain)?);
        }
        let around = Around { survives: last_commit(self.world, &chain.segments)?, ..Around::default() };
        Ok(self.way(set, path, RestoreTarget::Latest, chain, around, more))
    }

    fn time(&self, time: DateTime<Utc>) -> Result<Way, Open> {
        let now = self.world.now;
        if time > now {
            return Err(NoWay::Future {
                time,
                now,
                nearest: Nearest(vec![self.command("restore-to-time=latest", None)]),
            }
            .into());
        }
        let known = self.world.timelines.current_at(time);
        let mut timeline = self.asked.timeline.or(known).ok_or(NoWay::NoTarget)?;
        // A failover leaves the end of a timeline to the next one: each step goes to a newer one.
        loop {
            match self.time_on(time, timeline)? {
                Ok(way) => return Ok(way),
                Err(next) => timeline = next,
            }
        }
    }

    /// Along this timeline, or the one to look at instead.
    fn time_on(&self, time: DateTime<Utc>, timeline: Timeline) -> Result<Result<Way, Timeline>, Open> {
        let path = self.path(timeline)?;
        let Some(set) = self.newest_set(path, |set| set.finished <= time)? else {
            let nearest = self.oldest_of(path);
            return Err(NoWay::NoBackupBefore { time, timeline, nearest }.into());
        };
        let chain = self.chain(set, path)?;
        let past = |commit: &Commit| match self.asked.stop {
            Stop::After => commit.at > time,
            Stop::Before => commit.at >= time,
        };
        let around = around(self.world, &chain.segments, past)?;
        if around.stops_at.is_some() {
            return Ok(Ok(self.way(set, path, RestoreTarget::Time(time), chain, around, false)));
        }
        if let Some(missing) = chain.gap {
            return Err(self.gap(missing, path, set, &chain)?);
        }
        if self.is_present(path) {
            return self.idle_since(time, set, path, chain, around).map(Ok);
        }
        let behind = around.survives.map(|commit| Lsn(commit.lsn.0 + 1)).or(set.lsn_stop);
        match self.world.timelines.successor(timeline, behind).filter(|_| self.asked.timeline.is_none()) {
            Some(next) if next > timeline => Ok(Err(next)),
            _ => {
                let nearest = self.before(path, set, &chain)?;
                let last = around.survives.map(|commit| commit.at);
                Err(NoWay::BehindTheEnd { time, timeline, last, nearest }.into())
            }
        }
    }

    /// Nothing was committed since that time: all that is archived up to now is
    /// the answer. The restore point bounds it, the cluster goes on meanwhile.
    fn idle_since(
        &self,
        time: DateTime<Utc>,
        set: &Backup,
        path: &TimelinePath,
        chain: Chain,
        around: Around,
    ) -> Result<Way, Open> {
        let (target, more) = match &self.world.seal {
            Seal::NotYet => return Err(Open::Seal),
            Seal::Promised => (RestoreTarget::Time(time), true),
            Seal::Done { name } => (RestoreTarget::Name(name.clone()), false),
        };
        Ok(Way {
            goal: RecoveryGoal { target, stop: Stop::After, timeline: path.timeline },
            ..self.way(set, path, RestoreTarget::Latest, chain, around, more)
        })
    }

    fn lsn(&self, lsn: Lsn) -> Result<Way, Open> {
        let path = self.path(self.timeline()?)?;
        let Some(set) = self.newest_set(path, |set| set.lsn_stop.is_some_and(|stop| stop <= lsn))? else {
            let nearest = self.oldest_of(path);
            return Err(NoWay::NoBackupBeforeLsn { lsn, timeline: path.timeline, nearest }.into());
        };
        let chain = self.chain(set, path)?;
        let past = |commit: &Commit| match self.asked.stop {
            Stop::After => commit.lsn > lsn,
            Stop::Before => commit.lsn >= lsn,
        };
        let more = if lsn <= self.end(&chain)? {
            false
        } else if let Some(missing) = chain.gap {
            return Err(self.gap(missing, path, set, &chain)?);
        } else if self.is_present(path) && self.world.wal_lsn.is_some_and(|written| lsn <= written) {
            self.sealed(path)?
        } else {
            let (end, nearest) = (self.end(&chain)?, self.before(path, set, &chain)?);
            return Err(NoWay::LsnBehindTheEnd { lsn, timeline: path.timeline, end, nearest }.into());
        };
        let around = around(self.world, &chain.segments, past)?;
        Ok(self.way(set, path, RestoreTarget::Lsn(lsn), chain, around, more))
    }

    fn xid(&self, xid: u32) -> Result<Way, Open> {
        let target = RestoreTarget::Xid(xid);
        self.search("restore-to-xid", &xid.to_string(), |set, path| {
            let chain = self.chain(set, path)?;
            let Some(end) = end_of(self.world, &chain.segments, xid)?.filter(|end| is_behind(set, end.lsn)) else {
                return Ok(None);
            };
            let past = |commit: &Commit| match self.asked.stop {
                Stop::After => commit.lsn > end.lsn,
                Stop::Before => commit.lsn >= end.lsn,
            };
            let around = around(self.world, &chain.segments, past)?;
            Ok(Some(self.way(set, path, target.clone(), self.cut(chain, end.lsn), around, false)))
        })
    }

    fn name(&self, name: &str) -> Result<Way, Open> {
        let target = RestoreTarget::Name(name.to_owned());
        self.search("restore-to-name", name, |set, path| {
            let chain = self.chain(set, path)?;
            let points = named(self.world, &chain.segments, name)?;
            let Some(point) = self.the_one(name, &points)?.filter(|point| is_behind(set, point.lsn)) else {
                return Ok(None);
            };
            let around = around(self.world, &chain.segments, |commit| commit.lsn > point.lsn)?;
            Ok(Some(self.way(set, path, target.clone(), self.cut(chain, point.lsn), around, false)))
        })
    }

    /// PostgreSQL would stop at the first of them.
    fn the_one<'p>(&self, name: &str, points: &'p [RestorePoint]) -> Result<Option<&'p RestorePoint>, NoWay> {
        if points.len() > 1 {
            let command =
                |point: &RestorePoint| self.command(&format!("restore-to-lsn={}", point.lsn), self.asked.timeline);
            return Err(NoWay::Ambiguous {
                name: name.to_owned(),
                nearest: Nearest(points.iter().map(command).collect()),
            });
        }
        Ok(points.first())
    }

    /// Where nothing but reading WAL tells where it is: from the newest set back.
    fn search(
        &self,
        name: &'static str,
        text: &str,
        find: impl Fn(&Backup, &TimelinePath) -> Result<Option<Way>, Open>,
    ) -> Result<Way, Open> {
        let path = self.path(self.timeline()?)?;
        let sets = self.sets(path)?;
        if sets.is_empty() {
            return Err(self.no_base_backup(path).into());
        }
        for set in sets {
            match find(set, path) {
                Ok(None) => {}
                // A set that lacks WAL of its own is no way; another may be.
                Err(Open::Refused(crate::policy::Refusal::NoWay(NoWay::NotWhole { .. }))) if self.fixed.is_none() => {}
                Ok(Some(way)) => return Ok(way),
                Err(open) => return Err(open),
            }
        }
        let unsealed = self.is_present(path) && self.sealed(path)?;
        let nearest = Nearest(vec![self.command("restore-to-time=latest", self.asked.timeline)]);
        Err(NoWay::NotFound { name, text: text.to_owned(), timeline: path.timeline, sealed: !unsealed, nearest }.into())
    }

    /// The cluster's own, unless asked otherwise.
    fn timeline(&self) -> Result<Timeline, NoWay> {
        let timelines = &self.world.timelines;
        let newest = || timelines.all().last().copied();
        self.asked.timeline.or(timelines.present).or_else(newest).ok_or(NoWay::NoTarget)
    }

    pub(super) fn is_present(&self, path: &TimelinePath) -> bool {
        self.world.timelines.present == Some(path.timeline)
    }

    /// Is more to come of this timeline before the restore? Asks for it where nothing forbids it.
    fn sealed(&self, path: &TimelinePath) -> Result<bool, Open> {
        match &self.world.seal {
            _ if !self.is_present(path) => Ok(false),
            Seal::NotYet => Err(Open::Seal),
            Seal::Promised => Ok(true),
            Seal::Done { .. } => Ok(false),
        }
    }

    fn path(&self, asked: Timeline) -> Result<&TimelinePath, NoWay> {
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
        Ok(sets.collect())
    }

    fn not_on(&self, set: &Backup, path: &TimelinePath) -> NoWay {
        let own = set.wal_stop.map(|wal| wal.timeline);
        let there =
            own.map(|timeline| self.command(&format!("backup-id={} restore-to-time=latest", set.id()), Some(timeline)));
        NoWay::NotOnTimeline { id: set.id(), timeline: path.timeline, nearest: Nearest(there.into_iter().collect()) }
    }

    fn newest_set(&self, path: &TimelinePath, good: impl Fn(&Backup) -> bool) -> Result<Option<&Backup>, NoWay> {
        Ok(self.sets(path)?.into_iter().find(|set| good(set)))
    }

    /// WAL that the set itself needs, all of it archived.
    fn whole(&self, set: &Backup) -> Result<Vec<WalSegment>, NoWay> {
        let size = self.world.timelines.segment_size;
        let range = set.wal_start.zip(set.wal_stop).map(|(first, last)| first.up_to(last, size)).unwrap_or_default();
        if range.is_empty() {
            return Err(NoWay::NoRange { id: set.id() });
        }
        match range.iter().find(|segment| !self.world.timelines.archive.segments.contains_key(segment)) {
            Some(missing) => Err(NoWay::NotWhole { id: set.id(), missing: *missing, nearest: self.others(set) }),
            None => Ok(range),
        }
    }

    fn chain(&self, set: &Backup, path: &TimelinePath) -> Result<Chain, NoWay> {
        let size = self.world.timelines.segment_size;
        let (first, last) = set.wal_start.zip(set.wal_stop).ok_or(NoWay::NoRange { id: set.id() })?;
        let chain = chain(&self.world.timelines, path, first.number(size));
        if chain.segments.last().is_some_and(|end| end.number(size) >= last.number(size)) {
            return Ok(chain);
        }
        let missing = path.segment(first.number(size) + chain.segments.len() as u64, size);
        // The end of a set may lie in a segment that a fork has left to a timeline which still writes it.
        if self.is_present(path) && chain.gap.is_none() && missing.timeline == path.timeline && self.whole(set).is_ok()
        {
            return Ok(chain);
        }
        Err(NoWay::NotWhole { id: set.id(), missing, nearest: self.others(set) })
    }

    /// The last position of the chain that is known to have a record behind it.
    fn end(&self, chain: &Chain) -> Result<Lsn, Open> {
        let Some(last) = chain.segments.last() else { return Ok(Lsn(0)) };
        let size = self.world.timelines.segment_size;
        let start = last.number(size) * size.bytes();
        Ok(marks(self.world, last)?.last.unwrap_or(Lsn(start.saturating_sub(1))))
    }

    /// Up to the segment of this position.
    fn cut(&self, chain: Chain, lsn: Lsn) -> Chain {
        let size = self.world.timelines.segment_size;
        let segments = chain.segments.into_iter().filter(|segment| segment.number(size) <= lsn.segment(size));
        Chain { segments: segments.collect(), ..chain }
    }

    fn way(
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

    fn goal(&self, target: RestoreTarget, timeline: Timeline) -> RecoveryGoal {
        RecoveryGoal { target, stop: self.asked.stop, timeline }
    }
}

pub(super) fn is_behind(set: &Backup, lsn: Lsn) -> bool {
    set.lsn_stop.is_some_and(|stop| stop <= lsn)
}
