//! One target, one answer: the set, the timeline, the chain that leads there, and
//! what stands around its end; or a refusal, with the instants near it that are proven.

use chrono::{DateTime, Utc};

use super::chain::{Chain, chain};
use super::no_way::{Nearest, NoWay};
use super::question::{Question, Way, is_behind};
use super::search::{Around, around, end_of, last_commit, marks, named};
use super::world::{Open, Seal};
use crate::model::{
    Backup, Commit, Lsn, RecoveryGoal, RestorePoint, RestoreTarget, Stop, Timeline, TimelinePath, WalSegment,
};

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
        let past = |commit: &Commit| match self.asked.stop {
            Stop::After => commit.at > time,
            Stop::Before => commit.at >= time,
        };
        for set in self.sets(path)?.into_iter().filter(|set| set.finished <= time) {
            let chain = self.chain(set, path)?;
            let around = around(self.world, &chain.segments, past)?;
            return match (around.stops_at, chain.gap) {
                // Backups end in whole seconds: within that one the position decides.
                (Some(stop), _) if !is_behind(set, stop.lsn) => continue,
                (Some(_), _) => Ok(Ok(self.way(set, path, RestoreTarget::Time(time), chain, around, false))),
                (None, Some(missing)) => Err(self.gap(missing, path, set, &chain)?),
                (None, None) if self.is_present(path) => self.idle_since(time, set, path, chain, around).map(Ok),
                (None, None) => self.goes_on(time, set, path, &chain, around).map(Err),
            };
        }
        Err(NoWay::NoBackupBefore { time, timeline, nearest: self.oldest_of(path) }.into())
    }

    /// The timeline that goes on from the end of this one.
    fn goes_on(
        &self,
        time: DateTime<Utc>,
        set: &Backup,
        path: &TimelinePath,
        chain: &Chain,
        around: Around,
    ) -> Result<Timeline, Open> {
        let timeline = path.timeline;
        let behind = around.survives.map(|commit| Lsn(commit.lsn.0 + 1)).or(set.lsn_stop);
        let next = self.world.timelines.successor(timeline, behind).filter(|_| self.asked.timeline.is_none());
        if let Some(next) = next.filter(|next| *next > timeline) {
            return Ok(next);
        }
        let mut nearest = self.before(path, set, chain)?;
        nearest.0.insert(0, self.command("restore-to-time=latest", Some(timeline)));
        Err(NoWay::BehindTheEnd { time, timeline, last: around.survives.map(|commit| commit.at), nearest }.into())
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
        let more = if lsn <= self.end(&chain)? {
            false
        } else if let Some(missing) = chain.gap {
            return Err(self.gap(missing, path, set, &chain)?);
        } else if self.is_still_written(path, lsn) {
            self.sealed(path)?
        } else {
            let (end, nearest) = (self.end(&chain)?, self.before(path, set, &chain)?);
            return Err(NoWay::LsnBehindTheEnd { lsn, timeline: path.timeline, end, nearest }.into());
        };
        let around = around(self.world, &chain.segments, |commit| self.is_past(commit, lsn))?;
        Ok(self.way(set, path, RestoreTarget::Lsn(lsn), chain, around, more))
    }

    /// Has the cluster got there, and only the archive not?
    fn is_still_written(&self, path: &TimelinePath, lsn: Lsn) -> bool {
        let sealed = matches!(self.world.seal, Seal::Done { .. });
        !sealed && self.is_present(path) && self.world.wal_lsn.is_some_and(|written| lsn <= written)
    }

    fn is_past(&self, commit: &Commit, lsn: Lsn) -> bool {
        match self.asked.stop {
            Stop::After => commit.lsn > lsn,
            Stop::Before => commit.lsn >= lsn,
        }
    }

    fn xid(&self, xid: u32) -> Result<Way, Open> {
        let target = RestoreTarget::Xid(xid);
        self.search("restore-to-xid", &xid.to_string(), |set, path| {
            let chain = self.chain(set, path)?;
            let Some(end) = end_of(self.world, &chain.segments, xid)?.filter(|end| is_behind(set, end.lsn)) else {
                return Ok(None);
            };
            let around = around(self.world, &chain.segments, |commit| self.is_past(commit, end.lsn))?;
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
                Ok(Some(way)) => return Ok(way),
                Err(open) => return Err(open),
            }
        }
        let unsealed = self.is_present(path) && self.sealed(path)?;
        let nearest = Nearest(vec![self.command("restore-to-time=latest", self.asked.timeline)]);
        Err(NoWay::NotFound { name, text: text.to_owned(), timeline: path.timeline, sealed: !unsealed, nearest }.into())
    }
}
