//! Where in a chain of WAL recovery will stop. Transactions end in the order of
//! time, nearly: so few segments have to be read to find one moment among many.

use super::no_way::NoWay;
use super::world::{Open, World};
use crate::model::{Commit, Observed, RestorePoint, WalMarks, WalSegment};

/// What stands before and behind a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Around {
    /// The last commit that will survive.
    pub survives: Option<Commit>,
    /// The first record behind the target, at which recovery stops.
    pub stops_at: Option<Commit>,
    /// The first commit that will be lost.
    pub lost: Option<Commit>,
}

/// Segments that are read only to tell more than is needed.
const CURIOSITY: usize = 4;

pub(super) fn marks<'a>(world: &'a World, segment: &WalSegment) -> Result<&'a WalMarks, Open> {
    match world.marks.get(segment) {
        None => Err(Open::Look(*segment)),
        Some(Observed::Known(marks)) => Ok(marks),
        Some(Observed::Unknown { why }) => Err(NoWay::Unreadable { segment: *segment, why: why.clone() }.into()),
    }
}

/// The newest of these segments in which transactions end.
fn newest_with_commits(world: &World, segments: &[WalSegment]) -> Result<Option<usize>, Open> {
    for (at, segment) in segments.iter().enumerate().rev() {
        if !marks(world, segment)?.commits.is_empty() {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// The last commit in these segments that was kept.
pub(super) fn last_commit(world: &World, segments: &[WalSegment]) -> Result<Option<Commit>, Open> {
    for segment in segments.iter().rev() {
        let kept = marks(world, segment)?.commits.iter().rev().find(|commit| !commit.aborted);
        if kept.is_some() {
            return Ok(kept.copied());
        }
    }
    Ok(None)
}

/// Bisects: `past` is false up to the target, and true behind it.
pub(super) fn around(world: &World, segments: &[WalSegment], past: impl Fn(&Commit) -> bool) -> Result<Around, Open> {
    let has_past = |at: usize| Ok::<_, Open>(marks(world, &segments[at])?.commits.iter().any(&past));
    let Some(mut high) = newest_with_commits(world, segments)? else { return Ok(Around::default()) };
    if !has_past(high)? {
        return Ok(Around { survives: last_commit(world, segments)?, ..Around::default() });
    }
    let mut low = 0;
    while low < high {
        let middle = low + (high - low) / 2;
        match newest_with_commits(world, &segments[low..=middle])?.map(|at| low + at) {
            Some(at) if has_past(at)? => high = at,
            _ => low = middle + 1,
        }
    }
    between(world, segments, high, past)
}

/// The first record behind the target is in the segment `at`.
fn between(world: &World, segments: &[WalSegment], at: usize, past: impl Fn(&Commit) -> bool) -> Result<Around, Open> {
    let commits = &marks(world, &segments[at])?.commits;
    let first = commits.iter().position(&past).unwrap_or(commits.len());
    let kept = |commit: &&Commit| !commit.aborted;
    let here = commits[..first].iter().rev().find(kept).copied();
    let survives = match here {
        Some(commit) => Some(commit),
        None => last_commit(world, &segments[at.saturating_sub(CURIOSITY)..at])?,
    };
    Ok(Around { survives, stops_at: commits.get(first).copied(), lost: commits[first..].iter().find(kept).copied() })
}

/// The end of this transaction. Numbers are given at the begin of transactions:
/// one that was long ends among younger ones, so some more segments are read.
pub(super) fn end_of(world: &World, segments: &[WalSegment], xid: u32) -> Result<Option<Commit>, Open> {
    const FURTHER: usize = 16;
    // Numbers go round: half of them are older (`TransactionIdPrecedes`).
    let not_older = |commit: &Commit| commit.xid.wrapping_sub(xid) as i32 >= 0;
    let near = around(world, segments, not_older)?.stops_at;
    let Some(near) = near else { return Ok(None) };
    if near.xid == xid {
        return Ok(Some(near));
    }
    let at = segments.iter().position(|segment| {
        segment.number(world.timelines.segment_size) == near.lsn.segment(world.timelines.segment_size)
    });
    let at = at.unwrap_or_default();
    for segment in &segments[at.saturating_sub(1)..segments.len().min(at + FURTHER)] {
        let found = marks(world, segment)?.commits.iter().find(|commit| commit.xid == xid);
        if found.is_some() {
            return Ok(found.copied());
        }
    }
    Ok(None)
}

/// All restore points of this name, in their order.
pub(super) fn named(world: &World, segments: &[WalSegment], name: &str) -> Result<Vec<RestorePoint>, Open> {
    let mut found = Vec::new();
    for segment in segments.iter().rev() {
        let here = marks(world, segment)?.restore_points.iter().rev();
        found.extend(here.filter(|point| point.name == name).cloned());
    }
    found.reverse();
    Ok(found)
}
