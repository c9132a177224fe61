//! Restores that succeed: every row as it was, and the cluster goes on.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::world::{UNIT, World};

impl World {
    #[track_caller]
    pub fn restore(&self, id: &str) -> super::harness::Results {
        self.shell.action(UNIT, &["restore", &format!("backup-id={id}")]).ok()
    }

    /// The operator's password in force.
    fn password(&self) -> String {
        self.knows()["users"]["operator-password"].as_str().unwrap_or_default().to_owned()
    }
}

pub fn exact(world: &'static World) {
    world.with_repository();
    world.backup();
    world.add_rows(10);
    let id = world.shell.action(UNIT, &["create-backup", "type=incremental"]).ok().get("backup-id");
    let then = world.rows();
    world.add_rows(100);
    world.sql("DELETE FROM rows WHERE id % 3 = 0");
    world.sql("CREATE TABLE later (id int)");
    let restored = world.restore(&id);
    let keys = "backup-id duration-seconds next old-data restore-status target timeline";
    assert_eq!(restored.keys().join(" "), keys);
    assert_eq!(restored.get("backup-id"), id);
    assert!(restored.get("restore-status").starts_with("restore started"));
    assert_eq!(restored.get("next"), "juju run postgresql/leader create-backup");
    assert_eq!(world.rows(), then);
    assert_eq!(world.sql("SELECT to_regclass('later') IS NULL"), "t");
    let kept = restored.get("old-data");
    let mode = std::fs::metadata(Path::new(&kept)).expect("the old data").permissions().mode();
    assert_eq!(mode & 0o777, 0o700, "{kept}");
    assert!(world.lets_in(&world.password()), "today's password, not the backup's");
    world.active(UNIT);
    goes_on(world);
}

/// Era after era from one backup: rows of one must never show in another.
pub fn twice(world: &'static World) {
    world.with_repository();
    let first = world.backup().get("backup-id");
    let then = world.rows();
    for era in ["first", "second"] {
        world.sql(&format!("UPDATE rows SET v = '{era} era' WHERE id <= 50"));
        world.add_rows(10);
        world.archives();
        world.restore(&first);
        assert_eq!(world.rows(), then, "after the {era} era");
    }
    world.sql("UPDATE rows SET v = 'third era' WHERE id <= 20");
    world.add_rows(3);
    let second = world.backup().get("backup-id");
    let then = world.rows();
    world.add_rows(5);
    world.archives();
    world.restore(&second);
    assert_eq!(world.rows(), then, "the third era");
    goes_on(world);
}

fn goes_on(world: &'static World) {
    world.add_rows(1);
    world.archives();
    world.backup();
}
