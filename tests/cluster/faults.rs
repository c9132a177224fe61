//! What goes wrong around backups and WAL: the primary dies while it is copied,
//! the repository is away, a clock is set back, a disk is full.

use std::path::{Path, PathBuf};

use super::small_disk::SmallDisk;
use super::world::{MODEL, Seat, World};
use crate::harness::{until, until_some};

impl World {
    #[track_caller]
    fn archives(&self, seat: &Seat) {
        let segment = seat
            .sql(self.shell, "SELECT pg_walfile_name(pg_current_wal_lsn()) FROM pg_create_restore_point('scenario')");
        seat.sql(self.shell, "SELECT pg_switch_wal()");
        until(90, &format!("WAL {segment} is archived"), || {
            seat.sql(self.shell, "SELECT coalesce(last_archived_wal, '') FROM pg_stat_archiver") >= segment
        });
    }
}

pub fn primary_dies_in_mid_backup(world: &'static World) {
    let old = world.primary();
    world.slow(150_000);
    let unit: &'static str = Box::leak(old.unit.clone().into_boxed_str());
    let running = world.shell.start_action(unit, &["create-backup"]);
    let replica = world.replica();
    until(60, "the backup runs", || {
        assert!(!running.is_over(), "it was over too soon");
        world.listed(&replica, "in-progress").iter().any(|entry| entry["percent"].as_f64() > Some(0.0))
    });
    world.power_off(&old);
    let why = running.end().failed();
    assert!(!why.is_empty(), "the action says what happened");
    world.fault("none");
    let new = world.primary();
    assert_ne!(new.unit, old.unit);
    // The dead unit's claim runs out by itself; until then nobody else backs up.
    let mut refusals = Vec::new();
    until(120, "the new primary may back up", || {
        let action = world.action(&new, &["create-backup"]);
        if !action.completed {
            refusals.push(action.message);
        }
        action.completed
    });
    let busy = format!("a backup is running on {}; only one may run at a time.", old.unit);
    let told = |refusal: &String| refusal.starts_with(&busy) || refusal.contains("its role is not known");
    assert!(refusals.iter().all(told), "{refusals:#?}");
    world.power_on(&old);
    world.is_whole(3);
    until(60, "the failed run is listed", || {
        world.listed(&new, "failed").iter().any(|run| {
            run["unit"] == old.unit && run["reason"] == "interrupted: the agent was killed while the backup ran"
        })
    });
    assert!(world.listed(&new, "in-progress").is_empty());
    assert!(!world.seat(&old.unit).storage.join("state/backup.json").exists(), "no leftover");
    world.action(&world.primary(), &["create-backup"]).ok();
}

pub fn repository_away(world: &'static World) {
    let primary = world.primary();
    world.archives(&primary);
    world.fault("refuse");
    for _ in 0..12 {
        primary.sql(world.shell, "SELECT pg_create_restore_point('load'), pg_switch_wal()");
    }
    let message = world.says(&primary.unit, "blocked", "WAL does not reach the repository since ", 90);
    assert!(message.contains(" segments (") && message.contains(" wait; "), "{message}");
    assert!(message.contains("the disk is full in about ") || message.contains(" are free"), "{message}");
    let written = world.writer.written();
    until(30, "clients write all the same", || world.writer.written() > written + 20);
    world.fault("none");
    until(120, "archiving catches up", || {
        let waiting = "SELECT count(*) FROM pg_ls_archive_statusdir() WHERE name LIKE '%.ready'";
        primary.sql(world.shell, waiting).parse::<u32>().is_ok_and(|waiting| waiting <= 1)
    });
    world.says(&primary.unit, "active", "", 90);
    world.archives(&primary);
}

/// Lets the unit's agent find a `pgbackrest` first whose clock is an hour late: the
/// store takes no such request. (A backup's name comes from PostgreSQL's clock.)
/// As it was in the end.
struct Replaced(PathBuf);

impl Replaced {
    fn by_one_an_hour_ago(world: &World, seat: &Seat) -> Self {
        let charm = world.shell.home.join("models").join(MODEL).join("agents");
        let charm = charm.join(format!("unit-{}", seat.member())).join("charm");
        let programs = charm.join("programs");
        std::fs::create_dir_all(&programs).expect("a folder");
        let engine = "#!/bin/sh\nexec faketime -f -1h /usr/bin/pgbackrest \"$@\"\n";
        executable(&programs.join("pgbackrest"), engine);
        std::fs::rename(charm.join("dispatch"), charm.join("agent")).expect("the agent");
        let dispatch = format!("#!/bin/bash\nPATH={}:$PATH exec -a \"$0\" \"${{0%/*}}/agent\"\n", programs.display());
        executable(&charm.join("dispatch"), &dispatch);
        Self(charm)
    }
}

fn executable(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).expect("a program");
    std::fs::set_permissions(&beside, std::fs::Permissions::from_mode(0o755)).expect("its mode");
    std::fs::rename(&beside, path).expect("in its place");
}

impl Drop for Replaced {
    fn drop(&mut self) {
        let _ = std::fs::rename(self.0.join("agent"), self.0.join("dispatch"));
    }
}

pub fn clock_set_back(world: &'static World) {
    let primary = world.primary();
    world.action(&primary, &["create-backup"]).ok();
    let refused = {
        let _replaced = Replaced::by_one_an_hour_ago(world, &primary);
        world.action(&primary, &["create-backup"]).failed()
    };
    assert!(refused.starts_with("Failed to backup PostgreSQL with error: "), "{refused}");
    assert!(refused.to_lowercase().contains("clock"), "{refused}");
    world.action(&primary, &["create-backup"]).ok();
}

pub fn full_disk(world: &'static World) {
    let disk = SmallDisk::for_the_next_unit(world, 1200);
    let unit = world.add_units(1).remove(0);
    world.is_whole(4);
    let seat = world.seat(&unit);
    assert_eq!(seat.storage, disk.place());
    let primary = world.primary();
    let body = format!(r#"{{"leader":"{}","candidate":"{}"}}"#, primary.member(), seat.member());
    primary.command("POST", "/switchover", &body).expect("Patroni answers");
    until(60, "it is the primary", || world.seat(&unit).is_primary());
    world.is_whole(4);
    world.writer.forget_pauses();
    disk.fill(40 << 20);
    let message = world.says(&unit, "blocked", "the disk is nearly full, PostgreSQL stops when it is: ", 60);
    assert!(message.ends_with("; juju storage --filesystem"), "{message}");
    // Until nothing more can be written.
    let _ = seat.psql(
        world.shell,
        "CREATE TABLE ballast AS SELECT i, repeat(md5(i::text), 30) FROM generate_series(1, 200000) i",
    );
    let message = world.says(&unit, "blocked", "disk", 60);
    assert!(message.contains("juju storage --filesystem"), "{message}");
    let written = world.writer.written();
    until(120, "clients write again, to whichever member", || world.writer.written() > written + 20);
    disk.make_room();
    world.is_whole(4);
    let _ = world.primary().psql(world.shell, "DROP TABLE IF EXISTS ballast");
    world.nothing_is_lost();
    world.shell.juju(&["remove-unit", &unit, "--no-prompt"]).ok();
    world.is_whole(3);
    until_some(60, "the unit is gone", || (!world.names().contains(&unit)).then_some(()));
}
