//! The full backup that follows a restore by itself.

use crate::harness::until;
use crate::world::World;

/// Set back when the scenario ends, however it does.
struct ByItself(&'static World);

impl ByItself {
    fn begin(world: &'static World) -> Self {
        world.shell.juju(&["config", "postgresql", "backup-after-restore=true"]).ok();
        let knows = || world.seats().iter().all(|seat| seat.knows()["config"]["backup-after-restore"] == true);
        until(60, "all units know it", knows);
        Self(world)
    }
}

impl Drop for ByItself {
    fn drop(&mut self) {
        self.0.shell.juju(&["config", "postgresql", "backup-after-restore=false"]);
    }
}

impl World {
    fn full_backups(&self) -> usize {
        self.listed(&self.leader(), "finished").iter().filter(|entry| entry["type"] == "full").count()
    }
}

/// It is made; and when the next restore is asked for, it ends and comes after that one.
pub fn followed(world: &'static World) {
    let by_itself = ByItself::begin(world);
    world.leads(&world.primary());
    let (id, rows) = world.backup();
    world.rows_come(20);
    let before = world.full_backups();
    // It lasts until we have seen it.
    world.slow(150_000);
    let said = world.restore(&id);
    assert!(said.get("next").starts_with("a full backup begins by itself"), "{said:?}");
    let unit = world.leader().unit;
    until(60, "a backup has begun", || !world.listed(&world.leader(), "in-progress").is_empty());
    let (status, message) = world.seat(&unit).status;
    assert_eq!(status, "active", "hooks are not held up by it: {message}");

    // The restoring unit is busy: another one is asked.
    let other = world.replica();
    let running = world.start_restore(&world.leader(), &id);
    let stood_back = || {
        let failed = world.listed(&other, "failed");
        failed.iter().any(|run| run["reason"].as_str().is_some_and(|why| why.contains("a restore was asked for")))
    };
    until(60, "the backup stands back", stood_back);
    world.fault("none");
    running.end().ok();
    world.rows_come(10);
    world.went_back(&rows);
    until(120, "the backup has followed", || world.full_backups() == before + 1);
    world.is_whole(3);
    drop(by_itself);
}
