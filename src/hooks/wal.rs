//! Is WAL reaching the repository, and how long does the disk last? Asks, and
//! leaves what is said to policy.

use std::path::Path;

use chrono::{DateTime, Utc};

use crate::agent::Agent;
use crate::cluster::Archiver;
use crate::model::{AgentError, Lsn, Observed, Role, WalSegmentSize};
use crate::policy::status::{Condition, blocked};
use crate::policy::{Disk, WalFacts, backlog};
use crate::sys::{clock, files};

/// Shorter than this says nothing about a rate.
const LEAST_INTERVAL: f64 = 2.0;

/// `store_says`: why the repository cannot be used, where that is known.
pub(super) async fn condition(agent: &mut Agent, role: Role, store_says: Option<String>) -> Option<Condition> {
    let mut facts = disk_alone(agent);
    facts.store_says = store_says;
    if role == Role::Primary
        && let Ok(session) = agent.postgres().await
    {
        facts.segment_size = session.wal_segment_size().await.unwrap_or(WalSegmentSize::DEFAULT);
        if let Ok(lsn) = session.wal_lsn().await {
            facts.wal_per_second = rate(&mut agent.file.wal_seen, lsn, facts.now);
        }
        if let Ok(archiver) = session.archiver().await {
            fill(&mut facts, archiver);
        }
    }
    backlog(&facts)
}

/// For a unit whose database is not up: a full disk may be why.
pub(super) fn disk_condition(agent: &Agent) -> Option<Condition> {
    backlog(&disk_alone(agent))
}

/// A disk on which not even the agent's own files have room.
pub(super) fn disk_is_full(storage: &Path, error: &AgentError) -> Option<Condition> {
    const LEAST: u64 = 1 << 20;
    let (free, _) = files::space(storage).ok()?;
    let said = error.explain().replace("; ", ", ");
    (free < LEAST).then(|| {
        blocked(format!("the disk is full, PostgreSQL stops: {said}; enlarge its volume; juju storage --filesystem"))
    })
}

fn disk_alone(agent: &Agent) -> WalFacts {
    let disk = files::space(&agent.layout().databases());
    WalFacts {
        unit: agent.unit.clone(),
        waiting: 0,
        segment_size: WalSegmentSize::DEFAULT,
        failing: false,
        failing_since: None,
        first_failed: None,
        disk: disk.map_or_else(Observed::unknown, |(free_bytes, total_bytes)| {
            Observed::Known(Disk { free_bytes, total_bytes })
        }),
        wal_per_second: None,
        now: clock::now(),
        store_says: None,
        log_dir: agent.layout().log().display().to_string(),
    }
}

fn fill(facts: &mut WalFacts, archiver: Archiver) {
    facts.waiting = archiver.waiting.max(0) as u64;
    // A store that does not answer fails the next attempt, whenever that is.
    facts.failing = archiver.failing || facts.store_says.is_some();
    facts.failing_since = archiver.last_archived.and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    facts.first_failed = archiver.last_failed_wal;
}

/// Bytes a second since the last hook that looked.
fn rate(seen: &mut Option<(u64, DateTime<Utc>)>, lsn: Lsn, now: DateTime<Utc>) -> Option<f64> {
    let before = seen.replace((lsn.0, now));
    let (then_lsn, then) = before?;
    let seconds = (now - then).num_milliseconds() as f64 / 1000.0;
    // A clock set back, or a restore, begins anew.
    (seconds >= LEAST_INTERVAL && lsn.0 >= then_lsn).then(|| (lsn.0 - then_lsn) as f64 / seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_needs_two_looks_and_a_clock_that_goes_on() {
        let at = |seconds| DateTime::from_timestamp(seconds, 0).unwrap();
        #[rustfmt::skip]
        let table = [
            (None,                   10_000, 100, None),
            (Some((0, at(90))),      10_000, 100, Some(1000.0)),
            (Some((0, at(99))),      10_000, 100, None),
            (Some((0, at(200))),     10_000, 100, None),
            (Some((20_000, at(90))), 10_000, 100, None),
        ];
        for (mut seen, lsn, now, want) in table {
            assert_eq!(rate(&mut seen, Lsn(lsn), at(now)), want);
            assert_eq!(seen, Some((lsn, at(now))));
        }
    }
}
