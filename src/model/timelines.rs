//! The timelines of a database: how each came to be, which was in force when,
//! and whose file PostgreSQL reads for a segment (`XLogFileReadAnyTLI`).

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};

use super::{Archive, Fork, Lsn, Timeline, WalSegment, WalSegmentSize};

/// The way to a timeline from the first one that is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelinePath {
    pub timeline: Timeline,
    /// Oldest first.
    pub forks: Vec<Fork>,
}

impl TimelinePath {
    /// `None` when the file is no history, or not of this timeline.
    pub fn parse(timeline: Timeline, history: &str) -> Option<Self> {
        let forks = Fork::path(history)?;
        let grows = forks.windows(2).all(|pair| pair[0].from < pair[1].from && pair[0].at <= pair[1].at);
        let is_older = forks.last().is_none_or(|fork| fork.from < timeline);
        (grows && is_older).then_some(Self { timeline, forks })
    }

    pub fn timelines(&self) -> impl Iterator<Item = Timeline> {
        self.forks.iter().map(|fork| fork.from).chain([self.timeline])
    }

    /// The timeline whose file holds the segment of this number: the newest that
    /// had begun by its end.
    pub fn owner(&self, number: u64, size: WalSegmentSize) -> Timeline {
        let left = self.forks.iter().find(|fork| number < fork.at.segment(size));
        left.map_or(self.timeline, |fork| fork.from)
    }

    pub fn segment(&self, number: u64, size: WalSegmentSize) -> WalSegment {
        WalSegment::at(self.owner(number, size), number, size)
    }

    /// Does all that this timeline wrote up to `position` lie on the way?
    pub fn holds(&self, timeline: Timeline, position: Lsn) -> bool {
        timeline == self.timeline || self.forks.iter().any(|fork| fork.from == timeline && position <= fork.at)
    }

    /// Where its own timeline begins; `None` for the first.
    pub fn begin(&self) -> Option<Lsn> {
        self.forks.last().map(|fork| fork.at)
    }
}

/// What is known of one database's timelines and their WAL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timelines {
    pub archive: Archive,
    /// Of those whose history could be read.
    pub paths: BTreeMap<Timeline, TimelinePath>,
    /// The cluster's, if the archive is its.
    pub present: Option<Timeline>,
    pub segment_size: WalSegmentSize,
}

impl Timelines {
    /// All that have WAL, a history, or the cluster on them.
    pub fn all(&self) -> BTreeSet<Timeline> {
        let with_wal = self.archive.segments.keys().map(|segment| segment.timeline);
        let with_history = self.archive.histories.iter().map(|history| history.timeline);
        with_wal.chain(with_history).chain(self.present).collect()
    }

    pub fn created(&self, timeline: Timeline) -> Option<DateTime<Utc>> {
        self.archive.histories.iter().find(|history| history.timeline == timeline).map(|history| history.created)
    }

    /// The one in force at that moment: the last that had come into the
    /// repository; before all of them, the first.
    pub fn current_at(&self, moment: DateTime<Utc>) -> Option<Timeline> {
        let by_then = self.archive.histories.iter().filter(|history| history.created <= moment);
        let newest = by_then.max_by_key(|history| (history.created, history.timeline));
        newest.map(|history| history.timeline).or_else(|| self.all().first().copied())
    }

    /// The timeline that followed on this one, if it began after `position`.
    pub fn successor(&self, timeline: Timeline, position: Option<Lsn>) -> Option<Timeline> {
        let goes_on = |path: &&TimelinePath| {
            let fork = path.forks.last();
            fork.is_some_and(|fork| fork.from == timeline && position.is_none_or(|position| fork.at > position))
        };
        self.paths.values().find(goes_on).map(|path| path.timeline)
    }

    /// The last segment of a timeline that is archived.
    pub fn last_of(&self, timeline: Timeline) -> Option<WalSegment> {
        let first = |timeline| WalSegment { timeline: Timeline(timeline), log: 0, segment: 0 };
        let own = self.archive.segments.range(first(timeline.0)..first(timeline.0.saturating_add(1)));
        own.map(|(segment, _)| *segment).next_back()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TimelineHistory;

    const SIZE: WalSegmentSize = WalSegmentSize::DEFAULT;

    #[test]
    fn a_segment_in_which_a_timeline_forks_is_the_newest_ones() {
        // 9 left 1 in segment 5, 16 left 9 in the same, 17 left 16 at the border of 8.
        let path = TimelinePath::parse(Timeline(17), "1\t0/5000138\tx\n9\t0/50000A0\tx\n16\t0/8000000\tx\n");
        assert_eq!(path, None, "positions do not go back");
        let path = TimelinePath::parse(Timeline(17), "1\t0/5000138\tx\n9\t0/50001A0\tx\n16\t0/8000000\tx\n").unwrap();
        let owners: Vec<_> = (3..10).map(|number| path.owner(number, SIZE).0).collect();
        assert_eq!(owners, [1, 1, 16, 16, 16, 17, 17]);
        assert_eq!(path.segment(5, SIZE).to_string(), "000000100000000000000005");
        assert_eq!(path.timelines().map(|timeline| timeline.0).collect::<Vec<_>>(), [1, 9, 16, 17]);
        assert!(path.holds(Timeline(1), Lsn(0x500_0138)) && !path.holds(Timeline(1), Lsn(0x500_0139)));
        assert!(path.holds(Timeline(17), Lsn(u64::MAX)) && !path.holds(Timeline(2), Lsn(0)));
    }

    #[test]
    fn a_history_of_something_else_is_none() {
        for (timeline, text) in [(3, "3\t0/1\tx"), (3, "4\t0/1\tx"), (9, "2\t0/1\tx\n2\t0/2\tx"), (2, "x")] {
            assert_eq!(TimelinePath::parse(Timeline(timeline), text), None, "{text}");
        }
    }

    #[test]
    fn the_timeline_in_force_is_told_by_numbers_past_nine() {
        let history = |timeline, created: &str| TimelineHistory {
            timeline: Timeline(timeline),
            created: created.parse().unwrap(),
        };
        let archive = Archive {
            segments: Default::default(),
            histories: vec![
                history(9, "2026-11-22T09:00:00Z"),
                history(15, "2026-11-22T10:00:00Z"),
                history(16, "2026-11-22T10:00:00Z"),
                history(17, "2026-11-22T11:00:00Z"),
            ],
        };
        let timelines = Timelines { archive, paths: BTreeMap::new(), present: Some(Timeline(17)), segment_size: SIZE };
        #[rustfmt::skip]
        let table = [
            ("2026-11-22T08:00:00Z", 9),
            ("2026-11-22T09:00:00Z", 9),
            ("2026-11-22T09:59:59Z", 9),
            ("2026-11-22T10:00:00Z", 16),
            ("2026-11-22T12:00:00Z", 17),
        ];
        for (moment, want) in table {
            assert_eq!(timelines.current_at(moment.parse().unwrap()), Some(Timeline(want)), "{moment}");
        }
    }
}
