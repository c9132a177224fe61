//! What the unit says when WAL does not reach the repository, or its disk gets
//! full: how far behind, since when, how long it can go on, what helps. Pure.

use std::time::Duration;

use chrono::{DateTime, Utc};

use super::status::{Condition, blocked};
use crate::model::{Bytes, Observed, Span, UnitName, WalSegmentSize};

/// What PostgreSQL's archiver, the disk and the store tell.
#[derive(Debug, Clone, PartialEq)]
pub struct WalFacts {
    pub unit: UnitName,
    /// Segments that wait to be archived.
    pub waiting: u64,
    pub segment_size: WalSegmentSize,
    /// The newest attempt failed.
    pub failing: bool,
    /// When the last segment reached the repository, or this went wrong.
    pub failing_since: Option<DateTime<Utc>>,
    /// The segment that the newest attempt was about.
    pub first_failed: Option<String>,
    /// The filesystem that holds `pg_wal`.
    pub disk: Observed<Disk>,
    /// WAL written, bytes a second; `None` when it was not measured.
    pub wal_per_second: Option<f64>,
    pub now: DateTime<Utc>,
    /// Why, in the words of the store or of pgBackRest.
    pub store_says: Option<String>,
    /// Folder of the logs of this unit.
    pub log_dir: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disk {
    /// Free to PostgreSQL, without what is reserved for root.
    pub free_bytes: u64,
    pub total_bytes: u64,
}

/// Segments that may wait before it is worth saying; one or two always do.
pub const BACKLOG: u64 = 8;

/// PostgreSQL stops, and rolls open transactions back, when it cannot write WAL. It
/// makes segments ahead of need and hooks come five minutes apart, so some must fit.
const LEAST_SEGMENTS: u64 = 4;
/// Five percent are little on a usual disk; on a big one ten GiB are enough to act in.
const LEAST_PERCENT: u64 = 5;
const ENOUGH: u64 = 10 << 30;

/// Less than this a second is an idle cluster: it would be years until the disk is full.
const AT_REST: f64 = 1024.0;

/// What is to be said, if anything. The important parts come first: a status line
/// is cut in the middle, before the command at its end.
pub fn backlog(facts: &WalFacts) -> Option<Condition> {
    let behind = facts.failing && facts.waiting >= BACKLOG;
    let parts = match (behind, nearly_full(facts)) {
        (false, None) => return None,
        (false, Some(disk)) => {
            vec![full(disk), "enlarge its volume".to_owned(), "juju storage --filesystem".to_owned()]
        }
        (true, Some(disk)) => vec![full(disk), not_archived(facts), cause(facts), command(facts)],
        (true, None) => vec![not_archived(facts), room(facts), cause(facts), command(facts)],
    };
    let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
    Some(blocked(parts.join("; ")))
}

fn nearly_full(facts: &WalFacts) -> Option<Disk> {
    let disk = *facts.disk.known()?;
    let share = (disk.total_bytes / 100 * LEAST_PERCENT).min(ENOUGH);
    (disk.free_bytes < share.max(LEAST_SEGMENTS * facts.segment_size.bytes())).then_some(disk)
}

fn full(disk: Disk) -> String {
    format!(
        "the disk is nearly full, PostgreSQL stops when it is: {} of {} free",
        Bytes(disk.free_bytes),
        Bytes(disk.total_bytes)
    )
}

fn not_archived(facts: &WalFacts) -> String {
    let since = facts.failing_since.map(|since| format!(" since {}", clock(since, facts.now))).unwrap_or_default();
    let size = Bytes(facts.waiting.saturating_mul(facts.segment_size.bytes()));
    format!("WAL does not reach the repository{since}: {} segments ({size}) wait", facts.waiting)
}

/// `14:05Z`, with the date when it was not today.
fn clock(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    let format = if at.date_naive() == now.date_naive() { "%H:%MZ" } else { "%Y-%m-%d %H:%MZ" };
    at.format(format).to_string()
}

/// How long it can go on.
fn room(facts: &WalFacts) -> String {
    let Some(disk) = facts.disk.known() else { return String::new() };
    let free = disk.free_bytes;
    match facts.wal_per_second {
        Some(rate) if rate.is_finite() && rate >= AT_REST => {
            let left = Duration::try_from_secs_f64(free as f64 / rate).unwrap_or(Duration::MAX);
            format!("at this rate ({}/s) the disk is full in about {}", Bytes(rate as u64), Span(left))
        }
        Some(rate) if rate.is_finite() => format!("the cluster is at rest, {} are free", Bytes(free)),
        _ => format!("{} are free", Bytes(free)),
    }
}

/// Without a `; ` of its own: what stands after the last one is the command.
fn cause(facts: &WalFacts) -> String {
    let said = facts.store_says.as_deref().map(str::trim).filter(|said| !said.is_empty());
    match (said, &facts.first_failed) {
        (Some(said), _) => said.replace("; ", ", "),
        (None, Some(segment)) => format!("the first is {segment}"),
        (None, None) => String::new(),
    }
}

/// The store's words are enough to mend its settings; else the logs know more.
fn command(facts: &WalFacts) -> String {
    let said = facts.store_says.as_ref().is_some_and(|said| !said.trim().is_empty());
    match said {
        true => "juju config s3-integrator".to_owned(),
        false => format!("juju exec --unit {} -- tail {}/*", facts.unit, facts.log_dir),
    }
}

#[cfg(test)]
mod tests {
    use super::super::status::unit_status;
    use super::*;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    /// The store has been away since five past two.
    fn behind() -> WalFacts {
        WalFacts {
            unit: "postgresql/0".parse().unwrap(),
            waiting: 130,
            segment_size: WalSegmentSize::DEFAULT,
            failing: true,
            failing_since: Some("2026-11-22T14:05:40Z".parse().unwrap()),
            first_failed: Some("00000001000000000000002A".to_owned()),
            disk: disk(28 * GIB, 100 * GIB),
            wal_per_second: Some(12.0 * MIB as f64),
            now: "2026-11-22T14:50:00Z".parse().unwrap(),
            store_says: None,
            log_dir: "/srv/pgdata/0/log".to_owned(),
        }
    }

    fn disk(free_bytes: u64, total_bytes: u64) -> Observed<Disk> {
        Observed::Known(Disk { free_bytes, total_bytes })
    }

    fn told(facts: &WalFacts) -> String {
        backlog(facts).map_or_else(String::new, |condition| condition.text().to_owned())
    }

    #[test]
    fn a_backlog_says_how_far_since_when_how_long_and_what_helps() {
        let since = "WAL does not reach the repository since 14:05Z: 130 segments (2 GiB) wait; ";
        let logs = "the first is 00000001000000000000002A; juju exec --unit postgresql/0 -- tail /srv/pgdata/0/log/*";
        let all = format!("{since}at this rate (12 MiB/s) the disk is full in about 40 min; {logs}");
        let away = "[HostConnectError] unable to connect to 's3:443': [111] Connection refused; HINT: none";
        let yesterday = "2026-11-21T23:59:59Z".parse().ok();
        #[rustfmt::skip]
        let table = [
            (behind(), all),
            (WalFacts { wal_per_second: Some(0.0), ..behind() },  format!("{since}the cluster is at rest, 28 GiB are free; {logs}")),
            (WalFacts { wal_per_second: None, ..behind() },       format!("{since}28 GiB are free; {logs}")),
            (WalFacts { wal_per_second: Some(f64::NAN), ..behind() }, format!("{since}28 GiB are free; {logs}")),
            (WalFacts { wal_per_second: Some(1e5), ..behind() },  format!("{since}at this rate (97.7 KiB/s) the disk is full in about 3 d 11 h; {logs}")),
            (WalFacts { disk: Observed::unknown("?"), ..behind() }, format!("{since}{logs}")),
            (WalFacts { failing_since: None, ..behind() },        told(&behind()).replace(" since 14:05Z", "")),
            (WalFacts { failing_since: yesterday, ..behind() },   told(&behind()).replace("14:05Z", "2026-11-21 23:59Z")),
            (WalFacts { store_says: Some(away.to_owned()), ..behind() }, format!(
                "{since}at this rate (12 MiB/s) the disk is full in about 40 min; \
                 [HostConnectError] unable to connect to 's3:443': [111] Connection refused, HINT: none; juju config s3-integrator")),
            (WalFacts { first_failed: None, store_says: Some(" ".to_owned()), ..behind() }, told(&behind()).replace("the first is 00000001000000000000002A; ", "")),
        ];
        for (facts, want) in table {
            assert_eq!(told(&facts), want);
        }
    }

    #[test]
    fn a_few_segments_or_a_newer_success_are_worth_no_word() {
        #[rustfmt::skip]
        let table = [
            // waiting  newest failed  said
            (0,         true,          false),
            (7,         true,          false),
            (8,         true,          true),
            (8,         false,         false),
            (1000,      false,         false),
        ];
        for (waiting, failing, said) in table {
            assert_eq!(backlog(&WalFacts { waiting, failing, ..behind() }).is_some(), said, "{waiting} {failing}");
        }
    }

    #[test]
    fn a_disk_is_nearly_full_by_its_share_and_by_what_wal_needs_at_least() {
        #[rustfmt::skip]
        let table = [
            // free          total        segment    nearly full
            (5 * GIB,        100 * GIB,   16 * MIB,  false),
            (5 * GIB - 1,    100 * GIB,   16 * MIB,  true),
            // 5 % of 1 TiB are 51 GiB: ten are enough
            (10 * GIB,       1024 * GIB,  16 * MIB,  false),
            (10 * GIB - 1,   1024 * GIB,  16 * MIB,  true),
            // a small disk: four segments
            (64 * MIB,       1 * GIB,     16 * MIB,  false),
            (64 * MIB - 1,   1 * GIB,     16 * MIB,  true),
            (4 * GIB - 1,    20 * GIB,    1 * GIB,   true),
            (0,              0,           16 * MIB,  true),
        ];
        for (free, total, segment, full) in table {
            let segment_size = WalSegmentSize::from_bytes(segment).unwrap();
            let facts = WalFacts { failing: false, waiting: 0, segment_size, disk: disk(free, total), ..behind() };
            assert_eq!(backlog(&facts).is_some(), full, "{free} of {total}, {segment}");
        }
    }

    #[test]
    fn a_full_disk_comes_first_and_names_what_fills_it() {
        let tight = WalFacts { disk: disk(GIB, 100 * GIB), ..behind() };
        let full = "the disk is nearly full, PostgreSQL stops when it is: 1 GiB of 100 GiB free; ";
        assert_eq!(
            told(&tight),
            format!(
                "{full}WAL does not reach the repository since 14:05Z: 130 segments (2 GiB) wait; \
                 the first is 00000001000000000000002A; juju exec --unit postgresql/0 -- tail /srv/pgdata/0/log/*"
            )
        );
        let only_tight = WalFacts { failing: false, ..tight };
        assert_eq!(told(&only_tight), format!("{full}enlarge its volume; juju storage --filesystem"));
    }

    #[test]
    fn a_status_line_keeps_what_matters_and_the_command() {
        let says = "the repository does not answer: ".repeat(20);
        let shown =
            unit_status(&backlog(&WalFacts { store_says: Some(says), ..behind() }).into_iter().collect::<Vec<_>>());
        assert_eq!(shown.message.chars().count(), 200);
        assert!(shown.message.starts_with(
            "WAL does not reach the repository since 14:05Z: 130 segments (2 GiB) wait; \
             at this rate (12 MiB/s) the disk is full in about 40 min; the repository"
        ));
        assert!(shown.message.ends_with("…; juju config s3-integrator"));
    }
}
