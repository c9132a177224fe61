//! Restores as users ask for them, in worlds where a segment is an hour long.

use std::ops::RangeInclusive;

use chrono::{DateTime, TimeDelta, Utc};

use super::*;
use crate::model::{
    AgentError, Archive, ArchivedWal, Backup, Catalog, Commit, Lsn, Observed, RestorePoint, RestoreTarget, Timeline,
    TimelineHistory, TimelinePath, Timelines, WalMarks, WalSegment, WalSegmentSize,
};

const SIZE: WalSegmentSize = WalSegmentSize::DEFAULT;

pub fn at(time: &str) -> DateTime<Utc> {
    format!("2026-11-22T{time}Z").parse().unwrap()
}

fn hour(number: u64) -> DateTime<Utc> {
    at("00:00:00") + TimeDelta::hours(number as i64)
}

pub fn names(segments: &[(u32, RangeInclusive<u64>)]) -> Vec<WalSegment> {
    let all = segments.iter().flat_map(|(timeline, numbers)| {
        numbers.clone().map(|number| WalSegment::at(Timeline(*timeline), number, SIZE))
    });
    all.collect()
}

/// Segment 4 came into the repository at four o'clock.
pub fn archive(segments: &[(u32, RangeInclusive<u64>)]) -> Archive {
    let wal = |segment: WalSegment| (segment, ArchivedWal { archived: hour(segment.number(SIZE)), bytes: 1000 });
    Archive { segments: names(segments).into_iter().map(wal).collect(), histories: Vec::new() }
}

/// The history of timeline 10 came at ten o'clock.
pub fn timelines(mut archive: Archive, histories: &[(u32, &str)]) -> Timelines {
    let history = |timeline: u32| TimelineHistory { timeline: Timeline(timeline), created: hour(timeline.into()) };
    archive.histories = histories.iter().map(|(timeline, _)| history(*timeline)).collect();
    let mut timelines = Timelines { archive, paths: Default::default(), present: None, segment_size: SIZE };
    for (timeline, text) in histories {
        let path = TimelinePath::parse(Timeline(*timeline), text).unwrap();
        timelines.paths.insert(path.timeline, path);
    }
    let first = *timelines.all().first().unwrap();
    timelines.paths.insert(first, TimelinePath { timeline: first, forks: Vec::new() });
    timelines
}

/// A full backup of ten seconds, in this segment.
pub fn set(started: &str, timeline: u32, number: u64) -> Backup {
    let started = at(started);
    let wal = Some(WalSegment::at(Timeline(timeline), number, SIZE));
    Backup {
        label: started.format("%Y%m%d-%H%M%SF").to_string().parse().unwrap(),
        reference: Vec::new(),
        started,
        finished: started + TimeDelta::seconds(10),
        wal_start: wal,
        wal_stop: wal,
        lsn_start: Some(Lsn(number * SIZE.bytes() + 0x28)),
        lsn_stop: Some(Lsn(number * SIZE.bytes() + 0x100)),
        size: 1 << 30,
        repository_size: 1 << 20,
        page_errors: false,
        archive_id: "15-1".into(),
        annotations: Default::default(),
    }
}

pub fn catalog_of(backups: Vec<Backup>) -> Catalog {
    Catalog { stanza_exists: true, archive_id: Some("15-1".into()), backups, ..Catalog::default() }
}

pub fn facts(backups: Vec<Backup>) -> RestoreFacts {
    RestoreFacts {
        application: "postgresql".into(),
        is_leader: true,
        settings: Observed::Known(()),
        stanza_ready: Observed::Known(true),
        catalog: Observed::Known(catalog_of(backups)),
        restore_under_way: None,
        engine_busy: None,
        free_bytes: Observed::Known(10 << 30),
        others: Vec::new(),
        standby_cluster: false,
    }
}

/// Ten past and twenty to every hour something is committed; between them one is rolled back.
fn written(segment: WalSegment) -> WalMarks {
    let number = segment.number(SIZE);
    let commit = |nth: u64, minutes, aborted| Commit {
        xid: (u64::from(segment.timeline.0) * 1000 + number * 10 + nth) as u32,
        at: hour(number) + TimeDelta::minutes(minutes),
        lsn: Lsn(number * SIZE.bytes() + 0x1000 * (nth + 1)),
        aborted,
    };
    let point = RestorePoint { name: format!("point {segment}"), lsn: Lsn(number * SIZE.bytes() + 0x8000) };
    WalMarks {
        commits: vec![commit(0, 10, false), commit(1, 30, true), commit(2, 40, false)],
        restore_points: vec![point.clone(), RestorePoint { name: "hourly".into(), ..point }],
        last: Some(Lsn(number * SIZE.bytes() + 0x9000)),
    }
}

/// The cluster is on this timeline, at noon.
pub fn world(timelines: Timelines, present: u32) -> World {
    let marks = timelines.archive.segments.keys().map(|segment| (*segment, Observed::Known(written(*segment))));
    World {
        unit: "postgresql/0".parse().unwrap(),
        archive_id: "15-1".into(),
        marks: marks.collect(),
        wal_lsn: Some(Lsn(9 * SIZE.bytes() + 0x500)),
        timelines: Timelines { present: Some(Timeline(present)), ..timelines },
        seal: Seal::Done { name: "sealed".into() },
        now: at("20:00:00"),
    }
}

fn typed(words: &str) -> Typed {
    let mut typed = Typed::default();
    for word in words.split_whitespace() {
        let (name, value) = word.split_once('=').unwrap_or((word, ""));
        let value = Some(value.replace('_', " "));
        match name {
            "backup-id" => typed.backup_id = value,
            "time" => {
                typed.time = value.map(|value| if value == "latest" { value } else { format!("2026-11-22T{value}Z") })
            }
            "lsn" => typed.lsn = value,
            "xid" => typed.xid = value,
            "name" => typed.name = value,
            "timeline" => typed.timeline = value,
            "exclusive" => typed.exclusive = true,
            other => panic!("{other}"),
        }
    }
    typed
}

pub fn ask(facts: &RestoreFacts, world: &World, words: &str) -> Result<RestorePlan, Open> {
    plan_restore(facts, &may_restore(facts, &typed(words))?, world)
}

fn told(facts: &RestoreFacts, world: &World, words: &str) -> String {
    match ask(facts, world, words) {
        Err(Open::Refused(refusal)) => AgentError::from(refusal).explain(),
        other => panic!("{words}: {other:?}"),
    }
}

/// Set, timeline, WAL segments, last commit kept, first lost.
type Short = (String, u32, usize, Option<String>, Option<String>);

fn short(plan: &RestorePlan) -> Short {
    let time = |commit: Commit| commit.at.format("%H:%M").to_string();
    (
        plan.backup.started.format("%H:%M").to_string(),
        plan.path.timeline.0,
        plan.wal_segments,
        plan.around.survives.map(time),
        plan.around.lost.map(time),
    )
}

fn want(set: &str, timeline: u32, segments: usize, survives: &str, lost: &str) -> Short {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    (set.to_owned(), timeline, segments, some(survives), some(lost))
}

fn one_timeline() -> (RestoreFacts, World) {
    let timelines = timelines(archive(&[(1, 2..=8)]), &[]);
    (facts(vec![set("03:00:00", 1, 3), set("06:00:00", 1, 6)]), world(timelines, 1))
}

#[test]
fn every_kind_of_target_finds_its_set_and_its_neighbours() {
    let (facts, world) = one_timeline();
    #[rustfmt::skip]
    let table = [
        // asked                                           set     tl segs survives lost
        ("backup-id=2026-11-22T03:00:00Z",            want("03:00", 1, 1, "",      "03:10")),
        ("time=latest",                               want("06:00", 1, 3, "08:40", "")),
        ("time=latest backup-id=2026-11-22T03:00:00Z", want("03:00", 1, 6, "08:40", "")),
        ("time=05:00:00",                             want("03:00", 1, 3, "04:40", "05:10")),
        ("time=05:10:00",                             want("03:00", 1, 3, "05:10", "05:40")),
        ("time=05:10:00 exclusive",                   want("03:00", 1, 3, "04:40", "05:10")),
        ("time=06:00:10",                             want("06:00", 1, 1, "",      "06:10")),
        ("time=06:00:09",                             want("03:00", 1, 4, "05:40", "06:10")),
        ("time=08:39:59.999999",                      want("06:00", 1, 3, "08:10", "08:40")),
        ("time=07:00:00 backup-id=2026-11-22T03:00:00Z", want("03:00", 1, 5, "06:40", "07:10")),
        ("lsn=0/7001000",                             want("06:00", 1, 2, "07:10", "07:40")),
        ("lsn=0/7001000 exclusive",                   want("06:00", 1, 2, "06:40", "07:10")),
        ("lsn=0/5000000",                             want("03:00", 1, 3, "04:40", "05:10")),
        ("lsn=0/8009000",                             want("06:00", 1, 3, "08:40", "")),
        ("xid=1072",                                  want("06:00", 1, 2, "07:40", "08:10")),
        ("xid=1072 exclusive",                        want("06:00", 1, 2, "07:10", "07:40")),
        ("xid=1041",                                  want("03:00", 1, 2, "04:10", "04:40")),
        ("name=point_000000010000000000000007",       want("06:00", 1, 2, "07:40", "08:10")),
        ("name=point_000000010000000000000004",       want("03:00", 1, 2, "04:40", "05:10")),
    ];
    for (words, want) in table {
        let plan = ask(&facts, &world, words).unwrap_or_else(|open| panic!("{words}: {open:?}"));
        assert_eq!(short(&plan), want, "{words}");
        assert_eq!(plan.path.timeline, plan.goal.timeline);
    }
}

#[test]
fn targets_that_cannot_be_are_refused_with_those_that_can() {
    let (facts, world) = one_timeline();
    let run = "juju run postgresql/leader restore";
    #[rustfmt::skip]
    let table = [
        ("time=03:00:00", format!("Can't find the nearest timeline before timestamp 2026-11-22T03:00:00Z to restore: no backup on timeline 1 had ended by then. \
            Nearest that can be restored: {run} backup-id=2026-11-22T03:00:00Z")),
        ("time=20:00:01", format!("Invalid restore-to-time: 2026-11-22T20:00:01Z lies in the future, it is 2026-11-22T20:00:00Z now. \
            Nearest that can be restored: {run} restore-to-time=latest")),
        ("time=05:00:00 backup-id=2026-11-22T06:00:00Z", "Invalid backup-id: 2026-11-22T06:00:00Z. It ended at 2026-11-22T06:00:10Z, behind the target time 2026-11-22T05:00:00Z. \
            Leave backup-id out: the newest backup that ended before the target is taken.".to_owned()),
        ("lsn=0/3000000", format!("Invalid restore-to-lsn: 0/3000000. No backup on timeline 1 had ended by then. \
            Nearest that can be restored: {run} backup-id=2026-11-22T03:00:00Z")),
        ("lsn=0/F000000", format!("Invalid restore-to-lsn: 0/F000000. Timeline 1 is archived up to 0/8009000. \
            Nearest that can be restored: {run} restore-to-time=2026-11-22T08:39:59.999999Z; or {run} restore-to-lsn=0/8003000; or {run} backup-id=2026-11-22T06:00:00Z")),
        ("xid=1073", format!("Invalid restore-to-xid: 1073. It is not in the WAL that is archived of timeline 1. Nearest that can be restored: {run} restore-to-time=latest")),
        ("name=nowhere", format!("Invalid restore-to-name: nowhere. It is not in the WAL that is archived of timeline 1. Nearest that can be restored: {run} restore-to-time=latest")),
        ("name=hourly", format!("Invalid restore-to-name: hourly. There are 3 restore points of that name. \
            Nearest that can be restored: {run} restore-to-lsn=0/6008000; or {run} restore-to-lsn=0/7008000; or {run} restore-to-lsn=0/8008000")),
        ("time=latest timeline=16", "Invalid timeline: 16 (0x10). These exist: 1. list-backups shows what can be restored of each.".to_owned()),
        ("time=latest lsn=0/1", "Conflicting parameters: restore-to-time and restore-to-lsn. Give one of them; backup-id may go with any.".to_owned()),
        ("time=yesterday", "Bad restore-to-time format: 2026-11-22TyesterdayZ. Give latest, or a time such as 2026-11-22T03:00:00Z or \"2026-11-22 03:00:00+00\"; without an offset it is UTC.".to_owned()),
        ("", "Either backup-id or restore-to-time parameters need to be provided to be able to do restore. \
            For example: backup-id=2026-11-22T03:00:00Z, with an id that list-backups shows, or restore-to-time=latest.".to_owned()),
    ];
    for (words, want) in table {
        assert_eq!(told(&facts, &world, words), want, "{words}");
    }
}

#[test]
fn a_gap_refuses_what_lies_behind_it_and_names_what_does_not() {
    let timelines = timelines(archive(&[(1, 3..=4), (1, 6..=8)]), &[]);
    let (facts, world) = (facts(vec![set("03:00:00", 1, 3), set("07:00:00", 1, 7)]), world(timelines, 1));
    let run = "juju run postgresql/leader restore";
    let want = |target: &str| {
        format!(
            "Unit cannot restore backup to {target}: WAL segment 000000010000000000000005 is missing in the repository, \
             between the backup and the target. Nearest that can be restored: {run} restore-to-time=2026-11-22T04:39:59.999999Z; \
             or {run} restore-to-lsn=0/4003000; or {run} backup-id=2026-11-22T03:00:00Z; or {run} backup-id=2026-11-22T07:00:00Z"
        )
    };
    assert_eq!(told(&facts, &world, "time=06:00:00"), want("time 2026-11-22T06:00:00Z"));
    assert_eq!(
        told(&facts, &world, "time=04:40:00"),
        want("time 2026-11-22T04:40:00Z"),
        "what else was committed then?"
    );
    assert_eq!(told(&facts, &world, "lsn=0/6000000"), want("lsn 0/6000000"));
    // Each of the instants that were named works.
    for words in
        ["time=04:39:59.999999", "lsn=0/4003000", "backup-id=2026-11-22T03:00:00Z", "backup-id=2026-11-22T07:00:00Z"]
    {
        ask(&facts, &world, words).unwrap_or_else(|open| panic!("{words}: {open:?}"));
    }
    assert_eq!(short(&ask(&facts, &world, "time=latest").unwrap()).0, "07:00");
}

#[test]
fn a_backup_that_ended_within_the_second_of_the_target_is_not_taken() {
    let (mut facts, world) = one_timeline();
    let late = Backup { lsn_stop: Some(Lsn(0x600_1001)), ..set("06:09:50", 1, 6) };
    facts.catalog = Observed::Known(catalog_of(vec![set("03:00:00", 1, 3), late]));
    // It ended at 06:10:00 by its clock, and behind the commit of 06:10 by its position.
    assert_eq!(short(&ask(&facts, &world, "time=06:10:00 exclusive").unwrap()).0, "03:00");
    assert_eq!(short(&ask(&facts, &world, "time=06:10:00").unwrap()).0, "06:09");
}

#[test]
fn a_set_without_its_own_wal_is_refused_with_one_that_is_whole() {
    let timelines = timelines(archive(&[(1, 4..=8)]), &[]);
    let (facts, world) = (facts(vec![set("03:00:00", 1, 3), set("06:00:00", 1, 6)]), world(timelines, 1));
    let want = "Invalid backup-id: 2026-11-22T03:00:00Z. WAL segment 000000010000000000000003, which it needs, is missing in the \
                repository. Nearest that can be restored: juju run postgresql/leader restore backup-id=2026-11-22T06:00:00Z";
    assert_eq!(told(&facts, &world, "backup-id=2026-11-22T03:00:00Z"), want);
    assert_eq!(told(&facts, &world, "time=latest backup-id=2026-11-22T03:00:00Z"), want);
    // Of several the newest that is whole is taken.
    let plan = ask(&facts, &world, "time=latest").unwrap();
    assert_eq!(short(&plan).0, "06:00");
    let torn = super::tests::facts(vec![set("06:00:00", 1, 6), set("07:00:00", 1, 3)]);
    assert_eq!(short(&ask(&torn, &world, "time=latest").unwrap()).0, "06:00");
}

#[test]
fn a_time_behind_the_last_commit_is_the_end_of_wal_once_all_is_archived() {
    let (facts, sealed) = one_timeline();
    let plan = ask(&facts, &sealed, "time=09:00:00").unwrap();
    assert_eq!((short(&plan), plan.seals), (want("06:00", 1, 3, "08:40", ""), false));
    // The cluster goes on meanwhile: the restore point is the end, not whatever is archived by then.
    assert_eq!(plan.goal.target, RestoreTarget::Name("sealed".into()));
    assert_eq!(plan.asked.to_string(), "time 2026-11-22T09:00:00Z");
    for words in ["time=09:00:00", "time=latest", "lsn=0/9000400", "name=nowhere"] {
        let not_yet = World { seal: Seal::NotYet, ..sealed.clone() };
        assert_eq!(ask(&facts, &not_yet, words), Err(Open::Seal), "{words}");
    }
    let promised = World { seal: Seal::Promised, ..sealed };
    for words in ["time=09:00:00", "time=latest", "lsn=0/9000400"] {
        assert!(ask(&facts, &promised, words).unwrap().seals, "{words}");
    }
    assert!(told(&facts, &promised, "name=nowhere").contains("The cluster's last WAL is not archived yet"));
    assert!(!ask(&facts, &promised, "time=05:00:00").unwrap().seals);
}

/// Three restores in a row, each with an interim timeline: 9 -> 10 -> 11, 9 -> 15 -> 16, 16 -> 17 -> 18.
fn eras() -> (RestoreFacts, World) {
    let histories = [
        (10, "9\t0/6000138\tx\n"),
        (11, "9\t0/6000138\tx\n10\t0/7000000\tx\n"),
        (15, "9\t0/4000138\tx\n"),
        (16, "9\t0/4000138\tx\n15\t0/4000138\tx\n"),
        (17, "9\t0/4000138\tx\n15\t0/4000138\tx\n16\t0/5000138\tx\n"),
        (18, "9\t0/4000138\tx\n15\t0/4000138\tx\n16\t0/5000138\tx\n17\t0/6000000\tx\n"),
    ];
    let archive = archive(&[(9, 2..=8), (10, 6..=6), (11, 7..=9), (15, 4..=4), (16, 4..=7), (17, 5..=5), (18, 6..=7)]);
    (facts(vec![set("03:00:00", 9, 3), set("04:00:00", 9, 4)]), world(timelines(archive, &histories), 18))
}

#[test]
fn restores_in_a_row_past_timeline_nine_follow_histories_and_not_hexadecimal_text() {
    let (facts, world) = eras();
    #[rustfmt::skip]
    let table = [
        // The present: its way holds the sets that ended before the fork.
        ("time=latest",                    want("04:00", 18, 4, "07:40", "")),
        // An abandoned branch, decimal or not.
        ("time=latest timeline=9",         want("04:00", 9, 5, "08:40", "")),
        ("time=latest timeline=11",        want("04:00", 11, 6, "09:40", "")),
        ("time=latest timeline=0xB",       want("04:00", 11, 6, "09:40", "")),
        ("time=05:00:00 timeline=9",       want("04:00", 9, 2, "04:40", "05:10")),
        ("time=05:00:00 timeline=16",      want("04:00", 16, 2, "04:40", "05:10")),
        ("xid=16051 timeline=16",          want("04:00", 16, 2, "05:10", "05:40")),
        ("lsn=0/6000000 timeline=11",      want("04:00", 11, 3, "05:40", "06:10")),
        // By the wall clock: before ten the first was in force.
        ("time=08:00:00",                  want("04:00", 9, 5, "07:40", "08:10")),
    ];
    for (words, want) in table {
        let plan = ask(&facts, &world, words).unwrap_or_else(|open| panic!("{words}: {open:?}"));
        assert_eq!(short(&plan), want, "{words}");
    }
    let way: Vec<_> = ask(&facts, &world, "time=latest").unwrap().path.timelines().map(|timeline| timeline.0).collect();
    assert_eq!(way, [9, 15, 16, 17, 18]);
}

#[test]
fn the_id_of_a_timelines_row_asks_for_the_timeline() {
    let (facts, world) = eras();
    assert_eq!(
        told(&facts, &world, "backup-id=2026-11-22T11:00:00Z"),
        "Cannot restore to the timeline without restore-to-time parameter: the id is of timeline 11 (0xB), not of a backup. \
         To its end: juju run postgresql/leader restore restore-to-time=latest timeline=11"
    );
    let plan = ask(&facts, &world, "backup-id=2026-11-22T11:00:00Z time=latest").unwrap();
    assert_eq!(short(&plan), want("04:00", 11, 6, "09:40", ""));
    assert!(told(&facts, &world, "backup-id=2026-11-22T11:00:00Z time=latest timeline=9").starts_with("Conflicting "));
}

#[test]
fn between_two_eras_nothing_is_known_and_the_branch_is_named() {
    let (facts, world) = eras();
    // Timeline 9 was in force until ten, its last commit was at twenty to nine.
    assert_eq!(
        told(&facts, &world, "time=09:30:00"),
        "Invalid restore-to-time: 2026-11-22T09:30:00Z. Timeline 9 is archived up to a commit at 2026-11-22T08:40:00Z, nothing \
         behind the time is known of it. Nearest that can be restored: \
         juju run postgresql/leader restore restore-to-time=latest timeline=9; \
         or juju run postgresql/leader restore restore-to-time=2026-11-22T08:39:59.999999Z; \
         or juju run postgresql/leader restore restore-to-lsn=0/8003000 timeline=9; \
         or juju run postgresql/leader restore backup-id=2026-11-22T04:00:00Z"
    );
}

#[test]
fn a_set_that_a_timeline_does_not_hold_is_refused_with_the_one_that_does() {
    let (mut facts, world) = eras();
    facts.catalog = Observed::Known(catalog_of(vec![set("03:00:00", 9, 3), set("08:00:00", 9, 8)]));
    assert_eq!(
        told(&facts, &world, "time=latest backup-id=2026-11-22T08:00:00Z"),
        "Invalid backup-id: 2026-11-22T08:00:00Z. It does not lie on timeline 18 (0x12). Nearest that can be restored: \
         juju run postgresql/leader restore backup-id=2026-11-22T08:00:00Z restore-to-time=latest timeline=9"
    );
    assert!(
        told(&facts, &world, "lsn=0/9000000 exclusive backup-id=2026-11-22T08:00:00Z")
            .ends_with("restore backup-id=2026-11-22T08:00:00Z restore-to-lsn=0/9000000 exclusive=true timeline=9")
    );
    assert_eq!(short(&ask(&facts, &world, "time=latest").unwrap()).0, "03:00");
    facts.catalog = Observed::Known(catalog_of(vec![set("08:00:00", 9, 8)]));
    assert!(
        told(&facts, &world, "time=latest").starts_with("There is no base backup created from the latest timeline")
    );
}

#[test]
fn after_a_failover_the_next_timeline_holds_the_end_of_the_one_before() {
    // Timeline 9 died in segment 5; what it wrote of it is in the first segment of 10.
    let timelines = timelines(archive(&[(9, 3..=4), (10, 5..=6)]), &[(10, "9\t0/5000800\tx\n")]);
    let (facts, world) = (facts(vec![set("03:00:00", 9, 3)]), world(timelines, 10));
    let plan = ask(&facts, &world, "time=05:00:00").unwrap();
    assert_eq!(short(&plan), want("03:00", 10, 3, "04:40", "05:10"));
}

#[test]
fn wal_that_cannot_be_read_refuses_where_something_hangs_on_it() {
    let (facts, world) = one_timeline();
    let unread = |words| {
        let mut world = world.clone();
        world.marks.values_mut().for_each(|marks| *marks = Observed::unknown("no answer"));
        ask(&facts, &world, words)
    };
    for words in ["time=05:00:00", "lsn=0/8001000", "xid=1041", "name=x"] {
        let Err(Open::Refused(refusal)) = unread(words) else { panic!("{words}") };
        assert!(refusal.to_string().ends_with("could not be read (no answer)"), "{words}: {refusal}");
    }
    assert!(unread("backup-id=2026-11-22T03:00:00Z").is_ok(), "its WAL is there, what is told of it is less");
}

#[test]
fn only_the_wal_that_is_needed_is_read() {
    let timelines = timelines(archive(&[(1, 3..=2000)]), &[]);
    let (facts, full) = (facts(vec![set("03:00:00", 1, 3)]), world(timelines, 1));
    let mut world = World { marks: Default::default(), now: hour(3000), ..full.clone() };
    loop {
        match ask(&facts, &world, "time=23:00:00") {
            Ok(plan) => break assert_eq!(short(&plan), want("03:00", 1, 21, "22:40", "23:10")),
            Err(Open::Look(segment)) => drop(world.marks.insert(segment, full.marks[&segment].clone())),
            Err(open) => panic!("{open:?}"),
        }
    }
    assert!(world.marks.len() < 20, "{}", world.marks.len());
}
