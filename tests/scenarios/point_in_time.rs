//! Restores to a point in time: exactly what was there then, along the timeline
//! that is meant; and targets that cannot be reached, refused with those that can.

use super::harness::Results;
use super::store::STANZA;
use super::world::{PATH, STORE, UNIT, World};

impl World {
    #[track_caller]
    fn restore_to(&self, words: &[&str]) -> Results {
        self.shell.action(UNIT, &[&["restore"], words].concat()).ok()
    }

    #[track_caller]
    fn planned(&self, words: &[&str]) -> Results {
        self.restore_to(&[words, &["dry-run=true"]].concat())
    }

    #[track_caller]
    fn refused(&self, words: &[&str]) -> String {
        self.shell.action(UNIT, &[&["restore"], words].concat()).failed()
    }

    /// Commits this mark, and tells its transaction.
    fn mark(&self, mark: &str) -> String {
        let xid = "pg_current_xact_id()";
        let told = self.sql(&format!("INSERT INTO marks VALUES ('{mark}') RETURNING {xid}"));
        told.trim().to_owned()
    }

    /// A moment that lies between what was committed before and what comes.
    fn moment(&self) -> String {
        self.sql("SELECT pg_sleep(0.01)");
        let now = self.sql("SELECT to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')");
        self.sql("SELECT pg_sleep(0.01)");
        now
    }

    fn marks(&self) -> String {
        self.sql("SELECT string_agg(mark, ' ' ORDER BY mark COLLATE \"C\") FROM marks")
    }

    /// `1` on the first timeline.
    fn timeline(&self) -> String {
        self.sql("SELECT ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int")
    }

    #[track_caller]
    fn window(&self) -> String {
        self.shell.action(UNIT, &["list-backups"]).ok().get("recovery-window")
    }
}

/// Every kind of target from one backup: each restore leaves a branch that the next one comes from.
pub fn exact(world: &'static World) {
    world.with_repository();
    world.sql("CREATE TABLE IF NOT EXISTS marks (mark text)");
    world.sql("TRUNCATE marks");
    let id = world.backup().get("backup-id");
    let first = world.timeline();
    world.mark("a");
    let after_a = world.moment();
    world.mark("b");
    // A time, with no more digits than it needs; `b` was committed after it.
    let restored = world.restore_to(&[&format!("restore-to-time={after_a}")]);
    assert_eq!(restored.get("target"), format!("time {}", after_a.replace("000Z", "Z")));
    assert_eq!((restored.get("backup-id"), restored.get("timeline")), (id.clone(), first.clone()));
    assert_eq!(world.marks(), "a", "what was committed before the time, and nothing after it");

    // A transaction, exclusive: it is gone; along a timeline that has no backup of its own.
    world.mark("c");
    let d = world.mark("d");
    let restored = world.restore_to(&[&format!("restore-to-xid={d}"), "exclusive=true"]);
    assert_eq!(restored.get("target"), format!("xid {d}, exclusive"));
    assert_eq!(world.marks(), "a c");

    // A position: all that was written by then.
    world.mark("e");
    let lsn = world.sql("SELECT pg_current_wal_insert_lsn()");
    world.mark("f");
    world.restore_to(&[&format!("restore-to-lsn={lsn}")]);
    assert_eq!(world.marks(), "a c e", "the record at the position is kept, what it belongs to never ended");

    // A restore point.
    world.mark("g");
    world.sql("SELECT pg_create_restore_point('before the upgrade')");
    world.mark("h");
    world.restore_to(&["restore-to-name=before the upgrade"]);
    assert_eq!(world.marks(), "a c e g");

    // The branch that the first restore left, to its end.
    let restored = world.restore_to(&["restore-to-time=latest", &format!("timeline={first}")]);
    assert_eq!(restored.get("timeline"), first);
    assert_eq!(world.marks(), "a b", "the abandoned branch");
    let newest = world.backup().get("backup-id");
    // Two timelines a restore: numbers have passed nine by now.
    let planned = world.planned(&["restore-to-time=latest"]);
    assert_eq!((planned.get("backup-id"), planned.get("timeline")), (newest, world.timeline()));
    assert!(world.timeline().parse::<u32>().is_ok_and(|timeline| timeline > 9), "{}", world.timeline());
}

/// The database is idle: the time lies behind all that was committed.
pub fn idle(world: &'static World) {
    world.with_repository();
    world.some_backup();
    world.sql("CREATE TABLE IF NOT EXISTS marks (mark text)");
    world.mark("last");
    let then = (world.rows(), world.marks());
    let after = world.moment();
    let planned = world.planned(&[&format!("restore-to-time={after}")]);
    assert!(planned.get("plan").ends_with("first: the cluster's last WAL is archived"), "{}", planned.get("plan"));
    let restored = world.restore_to(&[&format!("restore-to-time={after}")]);
    assert!(restored.get("target").starts_with("time "));
    assert_eq!((world.rows(), world.marks()), then);
    world.mark("later");
    let exclusive = world.refused(&["restore-to-time=2037-01-01T00:00:00Z"]);
    assert!(exclusive.contains(" lies in the future, "), "{exclusive}");
}

pub fn dry_run(world: &'static World) {
    world.with_repository();
    world.backup();
    world.add_rows(3);
    world.archives();
    world.add_rows(2);
    // Whoever archives the last WAL begins another segment; records the server makes by itself.
    let restores = || world.journals().into_iter().filter(|name| name.starts_with("restore-")).collect::<Vec<_>>();
    let state = || (world.rows(), restores(), world.sql("SELECT pg_walfile_name(pg_current_wal_lsn())"));
    let before = state();
    let planned = world.planned(&["restore-to-time=latest"]);
    let keys = "backup-id expected-seconds fetch-bytes free-bytes lost needs-bytes plan survives target timeline unit";
    assert_eq!(planned.keys().join(" "), keys);
    assert_eq!((planned.get("target").as_str(), planned.get("unit").as_str()), ("latest", UNIT));
    let number = |key: &str| planned.get(key).parse::<u64>().unwrap_or_else(|_| panic!("{key}"));
    assert!(number("needs-bytes") > number("fetch-bytes") && number("free-bytes") > number("needs-bytes"));
    let plan = planned.get("plan");
    for line in ["backup: ", "timeline: ", "target: latest", "survives: everything up to ", "lost: ", "space on "] {
        assert!(plan.lines().any(|said| said.starts_with(line)), "{line}: {plan}");
    }
    assert_eq!(state(), before, "a plan changes nothing");
    #[rustfmt::skip]
    let refusals: [(&[&str], &str); 10] = [
        (&["restore-to-time=latest", "restore-to-lsn=0/1"],  "Conflicting parameters: restore-to-time and restore-to-lsn. "),
        (&["backup-id=2001-01-01T00:00:00Z", "timeline=1"],  "Conflicting parameters: backup-id and timeline. "),
        (&["restore-to-time=latest", "exclusive=true"],      "Invalid exclusive: "),
        (&["restore-to-time=yesterday"],                     "Bad restore-to-time format: yesterday. "),
        (&["restore-to-time=2001-01-01 00:00:00+00"],        "Can't find the nearest timeline before timestamp 2001-01-01T00:00:00Z to restore: "),
        (&["restore-to-lsn=nowhere"],                        "Invalid restore-to-lsn: nowhere. "),
        (&["restore-to-xid=1"],                              "Invalid restore-to-xid: 1. "),
        (&["restore-to-name=x' restore_command='id"],        "Invalid restore-to-name: "),
        (&["restore-to-time=latest", "timeline=0xFFFF"],     "Invalid timeline: 65535 (0xFFFF). These exist: "),
        (&["timeline=1"],                                    "Either backup-id or restore-to-time parameters need to be provided"),
    ];
    for (words, begins) in refusals {
        let refused = world.refused(words);
        assert!(refused.starts_with(begins), "{words:?}: {refused}");
    }
    assert_eq!((world.rows(), restores()), (before.0, before.1));
}

/// One segment is lost from the store: what lies behind it is refused, what lies before it is not.
pub fn gap(world: &'static World) {
    world.with_repository();
    world.sql("CREATE TABLE IF NOT EXISTS marks (mark text)");
    let id = world.backup().get("backup-id");
    world.mark("before the gap");
    world.archives();
    let lost = world.sql("SELECT pg_walfile_name(pg_current_wal_insert_lsn())");
    world.mark("in the gap");
    world.archives();
    world.mark("behind the gap");
    let behind = world.moment();
    world.mark("at last");
    world.archives();
    let object = world.objects(&format!("archive/{STANZA}")).into_iter().find(|key| key.contains(&format!("/{lost}-")));
    let key = format!("{PATH}/{}", object.unwrap_or_else(|| panic!("{lost} is archived")));
    world.shell.action(STORE, &["corrupt-object", &format!("key={key}"), "how=delete"]).ok();

    let window = world.window();
    assert!(window.contains(&format!("gap: WAL segment {lost} is missing")), "{window}");
    let refused = world.refused(&[&format!("restore-to-time={behind}")]);
    let begins =
        format!("Unit cannot restore backup to time {behind}: WAL segment {lost} is missing in the repository");
    assert!(refused.starts_with(&begins.replace("000Z:", "Z:")), "{refused}");
    // The instants that it names are good.
    let named: Vec<_> =
        refused.split("leader restore ").skip(1).filter_map(|rest| rest.split([';', ' ']).next()).collect();
    assert!(named.len() >= 3 && named.contains(&format!("backup-id={id}").as_str()), "{named:?}");
    for instant in named {
        world.planned(&[instant]);
    }
    assert!(world.refused(&["restore-to-time=latest"]).contains(&format!("WAL segment {lost} is missing")));
    // A new backup lies behind it.
    let second = world.backup().get("backup-id");
    assert_eq!(world.planned(&["restore-to-time=latest"]).get("backup-id"), second);
    assert!(world.window().contains("to now"), "{}", world.window());
}
