//! The chain of WAL from a set to the end of a timeline: which segments PostgreSQL
//! will ask for, and up to where they are there.

use crate::model::{TimelinePath, Timelines, WalSegment};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Without a gap, as PostgreSQL reads them.
    pub segments: Vec<WalSegment>,
    /// The first that is missing while later ones are there.
    pub gap: Option<WalSegment>,
}

/// Segments from the one of this number on, along the path.
pub(in crate::policy) fn chain(timelines: &Timelines, path: &TimelinePath, first: u64) -> Chain {
    let size = timelines.segment_size;
    let is_there = |segment: &WalSegment| timelines.archive.segments.contains_key(segment);
    let along = (first..).map(|number| path.segment(number, size));
    let segments: Vec<_> = along.take_while(is_there).collect();
    let next = path.segment(first + segments.len() as u64, size);
    let gap = goes_on(timelines, path, next.number(size)).then_some(next);
    Chain { segments, gap }
}

/// Is anything archived on the path behind this number?
fn goes_on(timelines: &Timelines, path: &TimelinePath, number: u64) -> bool {
    let size = timelines.segment_size;
    let behind = |segment: &WalSegment| {
        let at = segment.number(size);
        at > number && path.owner(at, size) == segment.timeline
    };
    timelines.archive.segments.keys().any(behind)
}

#[cfg(test)]
mod tests {
    use super::super::tests::{archive, names, timelines};
    use super::*;
    use crate::model::Timeline;

    #[test]
    fn the_chain_crosses_timelines_past_nine_and_ends_at_gaps() {
        // 9 was left in segment 5 for 16.
        let histories = [(16, "9\t0/5000138\tx\n")];
        #[rustfmt::skip]
        let table = [
            // archived                                timeline  first  chain                         gap
            (vec![(9, 3..=6), (16, 5..=7)],            16,       3,     vec![(9, 3..=4), (16, 5..=7)], None),
            (vec![(9, 3..=6), (16, 5..=7)],            9,        3,     vec![(9, 3..=6)],             None),
            (vec![(9, 3..=6), (16, 6..=7)],            16,       3,     vec![(9, 3..=4)],             Some((16, 5))),
            (vec![(9, 3..=3), (9, 5..=6)],             9,        3,     vec![(9, 3..=3)],             Some((9, 4))),
            // What the newer timeline wrote does not fill a gap of the older, nor the other way round.
            (vec![(9, 3..=6), (16, 8..=8)],            16,       3,     vec![(9, 3..=4)],             Some((16, 5))),
            (vec![(9, 3..=6)],                         16,       3,     vec![(9, 3..=4)],             None),
            (vec![(9, 4..=6)],                         9,        3,     vec![],                       Some((9, 3))),
        ];
        for (archived, timeline, first, want, gap) in table {
            let timelines = timelines(archive(&archived), &histories);
            let got = chain(&timelines, &timelines.paths[&Timeline(timeline)], first);
            let gap = gap.map(|(timeline, number)| names(&[(timeline, number..=number)])[0]);
            assert_eq!((got.segments, got.gap), (names(&want), gap), "{archived:?} {timeline} {first}");
        }
    }
}
