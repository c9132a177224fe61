//! The recovery window: the instants that can be restored to, and the gaps. Told
//! from the listing of the archive, so it costs no reading of WAL; where a window
//! ends at a gap, what was read of its last segment makes its end exact. Pure.

use std::collections::BTreeMap;

use chrono::{DateTime, TimeDelta, Utc};

use super::restore::{chain, fault};
use crate::model::{Backup, Catalog, Observed, Timeline, TimelinePath, Timelines, WalMarks, WalSegment};

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RecoveryWindow {
    pub windows: Vec<Window>,
    pub gaps: Vec<Gap>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    pub timeline: Timeline,
    pub from: DateTime<Utc>,
    pub until: Until,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// The cluster is on it: what is not archived yet can be.
    Now,
    /// The time of its last commit.
    Commit(DateTime<Utc>),
    /// Not after this: then its last WAL came into the repository.
    Archived(DateTime<Utc>),
}

/// WAL that is missing between what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    pub first: WalSegment,
    pub segments: u64,
}

/// Segments of one timeline without a gap, by their numbers.
#[derive(Debug, Clone, Copy)]
struct Run {
    first: u64,
    last: u64,
}

pub fn recovery_window(
    catalog: &Catalog,
    archive_id: &str,
    timelines: &Timelines,
    marks: &BTreeMap<WalSegment, Observed<WalMarks>>,
) -> RecoveryWindow {
    let sound = catalog.backups.iter().filter(|set| set.archive_id == archive_id && fault(catalog, set).is_none());
    let sets: Vec<_> = sound.collect();
    let mut found = RecoveryWindow::default();
    for path in timelines.paths.values() {
        let one = One { timelines, path, sets: &sets, marks };
        found.windows.extend(one.windows());
        found.gaps.extend(one.gaps());
    }
    found
}

/// The segments before gaps: reading them makes ends exact.
pub fn before_gaps(window: &RecoveryWindow, timelines: &Timelines) -> Vec<WalSegment> {
    let size = timelines.segment_size;
    let before = window.gaps.iter().filter_map(|gap| {
        let number = gap.first.number(size).checked_sub(1)?;
        Some(timelines.paths.get(&gap.first.timeline)?.segment(number, size))
    });
    before.filter(|segment| timelines.archive.segments.contains_key(segment)).collect()
}

/// One timeline, as far as it is not another's.
struct One<'a> {
    timelines: &'a Timelines,
    path: &'a TimelinePath,
    sets: &'a [&'a Backup],
    marks: &'a BTreeMap<WalSegment, Observed<WalMarks>>,
}

impl One<'_> {
    fn number(&self, segment: WalSegment) -> u64 {
        segment.number(self.timelines.segment_size)
    }

    /// Where it begins, if another timeline was before it.
    fn begin(&self) -> Option<u64> {
        self.path.begin().map(|at| at.segment(self.timelines.segment_size))
    }

    fn is_present(&self) -> bool {
        self.timelines.present == Some(self.path.timeline)
    }

    fn runs(&self) -> Vec<Run> {
        let own = self.timelines.archive.segments.keys().filter(|segment| segment.timeline == self.path.timeline);
        let mut runs: Vec<Run> = Vec::new();
        for number in own.map(|segment| self.number(*segment)) {
            match runs.last_mut() {
                Some(run) if run.last + 1 == number => run.last = number,
                _ => runs.push(Run { first: number, last: number }),
            }
        }
        runs
    }

    fn windows(&self) -> Vec<Window> {
        let runs = self.runs();
        let last = runs.len().saturating_sub(1);
        let window = |(at, run): (usize, &Run)| {
            let from = self.from(*run)?;
            let until = if at == last && self.is_present() { Until::Now } else { self.until(*run, from) };
            // A timeline that was only passed through on the way to the next.
            let passed = self.begin().is_some() && until == Until::Archived(from);
            (!passed).then_some(Window { timeline: self.path.timeline, from, until })
        };
        match (runs.is_empty(), self.begin()) {
            // It has just begun, nothing of its own is archived yet.
            (true, Some(begin)) if self.is_present() && self.is_reached(begin) => {
                let from = self.timelines.created(self.path.timeline);
                from.map(|from| Window { timeline: self.path.timeline, from, until: Until::Now }).into_iter().collect()
            }
            _ => runs.iter().enumerate().filter_map(window).collect(),
        }
    }

    /// The begin of the timeline when a set on the way leads there, else the end of the first set in the run.
    fn from(&self, run: Run) -> Option<DateTime<Utc>> {
        let created = self.timelines.created(self.path.timeline);
        if self.begin() == Some(run.first) && self.is_reached(run.first) && created.is_some() {
            return created;
        }
        let in_run = |set: &&&Backup| {
            set.wal_start.zip(set.wal_stop).is_some_and(|(first, last)| {
                last.timeline == self.path.timeline && self.number(first) >= run.first && self.number(last) <= run.last
            })
        };
        // It ended somewhere in that second.
        self.sets.iter().filter(in_run).map(|set| set.finished + TimeDelta::seconds(1)).min()
    }

    /// Does WAL from an older timeline's set lead to this segment?
    fn is_reached(&self, number: u64) -> bool {
        let older = self.sets.iter().filter(|set| {
            let stop = set.wal_stop.map(|wal| wal.timeline).zip(set.lsn_stop);
            stop.is_some_and(|(timeline, lsn)| timeline < self.path.timeline && self.path.holds(timeline, lsn))
        });
        older.filter_map(|set| set.wal_start).any(|start| {
            let chain = chain(self.timelines, self.path, self.number(start));
            self.number(start) + chain.segments.len() as u64 >= number
        })
    }

    fn until(&self, run: Run, from: DateTime<Utc>) -> Until {
        let last = WalSegment::at(self.path.timeline, run.last, self.timelines.segment_size);
        let read = self.marks.get(&last).and_then(Observed::known).and_then(|marks| marks.commits.last());
        match (read, self.timelines.archive.segments.get(&last)) {
            (Some(commit), _) => Until::Commit(commit.at.max(from)),
            (None, archived) => Until::Archived(archived.map_or(from, |wal| wal.archived.max(from))),
        }
    }

    fn gaps(&self) -> Vec<Gap> {
        let runs = self.runs();
        let mut gaps: Vec<_> = runs.windows(2).map(|pair| (pair[0].last + 1, pair[1].first)).collect();
        // What lies before the first set of the first timeline has expired.
        if let (Some(begin), Some(first)) = (self.begin(), runs.first()) {
            gaps.extend((begin < first.first).then_some((begin, first.first)));
        }
        let starts = self.sets.iter().filter_map(|set| set.wal_start).map(|start| self.number(start));
        let oldest = starts.min().unwrap_or(u64::MAX);
        let gap = |(first, behind): (u64, u64)| Gap {
            first: WalSegment::at(self.path.timeline, first, self.timelines.segment_size),
            segments: behind - first,
        };
        gaps.into_iter().filter(|(first, _)| *first >= oldest).map(gap).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::restore::tests::{archive, catalog_of, set, timelines};

    fn at(text: &str) -> DateTime<Utc> {
        format!("2026-11-22T{text}Z").parse().unwrap()
    }

    /// Timeline, begin and end.
    type Shown = (u32, DateTime<Utc>, Until);

    fn told(timelines: &Timelines, sets: Vec<Backup>) -> (Vec<Shown>, Vec<(String, u64)>) {
        let found = recovery_window(&catalog_of(sets), "15-1", timelines, &BTreeMap::new());
        (
            found.windows.iter().map(|window| (window.timeline.0, window.from, window.until)).collect(),
            found.gaps.iter().map(|gap| (gap.first.to_string(), gap.segments)).collect(),
        )
    }

    #[test]
    fn a_window_goes_from_the_first_backup_to_now() {
        let timelines = Timelines { present: Some(Timeline(1)), ..timelines(archive(&[(1, 1..=9)]), &[]) };
        let (windows, gaps) = told(&timelines, vec![set("03:00:00", 1, 3)]);
        assert_eq!(windows, [(1, at("03:00:11"), Until::Now)]);
        assert_eq!(gaps, []);
        assert_eq!(told(&timelines, vec![]).0, [], "without a backup there is none");
    }

    #[test]
    fn a_gap_ends_a_window_and_the_next_backup_begins_another() {
        let timelines = Timelines { present: Some(Timeline(1)), ..timelines(archive(&[(1, 1..=4), (1, 7..=12)]), &[]) };
        let (windows, gaps) = told(&timelines, vec![set("03:00:00", 1, 3), set("09:00:00", 1, 9)]);
        assert_eq!(windows, [(1, at("03:00:11"), Until::Archived(at("04:00:00"))), (1, at("09:00:11"), Until::Now)]);
        assert_eq!(gaps, [("000000010000000000000005".to_owned(), 2)]);
    }

    #[test]
    fn a_branch_that_was_left_keeps_its_window_past_timeline_nine() {
        // 9 was left at segment 5 for 10, which was left in the same for 16.
        let histories = [(10, "9\t0/5000138\tx\n"), (16, "9\t0/5000138\tx\n10\t0/50001A0\tx\n")];
        let archive = archive(&[(9, 1..=8), (10, 5..=5), (16, 5..=6)]);
        let timelines = Timelines { present: Some(Timeline(16)), ..timelines(archive, &histories) };
        let (windows, gaps) = told(&timelines, vec![set("03:00:00", 9, 3)]);
        #[rustfmt::skip]
        assert_eq!(windows, [
            (9,  at("03:00:11"), Until::Archived(at("08:00:00"))),
            (16, at("16:00:00"), Until::Now),
        ]);
        assert_eq!(gaps, []);
    }

    #[test]
    fn a_timeline_whose_begin_is_missing_is_not_reached() {
        let histories = [(10, "9\t0/5000138\tx\n")];
        let timelines =
            Timelines { present: Some(Timeline(10)), ..timelines(archive(&[(9, 1..=8), (10, 6..=7)]), &histories) };
        let (windows, gaps) = told(&timelines, vec![set("03:00:00", 9, 3)]);
        assert_eq!(windows, [(9, at("03:00:11"), Until::Archived(at("08:00:00")))]);
        assert_eq!(gaps, [("0000000A0000000000000005".to_owned(), 1)]);
    }

    #[test]
    fn what_was_read_makes_the_end_exact() {
        let timelines = timelines(archive(&[(1, 1..=4), (1, 6..=6)]), &[]);
        let catalog = catalog_of(vec![set("03:00:00", 1, 3)]);
        let window = recovery_window(&catalog, "15-1", &timelines, &BTreeMap::new());
        let ends = before_gaps(&window, &timelines);
        assert_eq!(ends.iter().map(ToString::to_string).collect::<Vec<_>>(), ["000000010000000000000004"]);
        let commit = crate::model::Commit { xid: 7, at: at("03:30:00"), lsn: crate::model::Lsn(1), aborted: false };
        let marks = WalMarks { commits: vec![commit], ..WalMarks::default() };
        let window = recovery_window(&catalog, "15-1", &timelines, &[(ends[0], Observed::Known(marks))].into());
        assert_eq!(window.windows[0].until, Until::Commit(at("03:30:00")));
    }
}
