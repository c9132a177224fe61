//! The primary dies while a replica backs up.

use std::time::Instant;

use super::harness::until;
use super::world::World;

pub fn in_mid_backup(world: &'static World) {
    world.with_tls();
    let primary = world.primary();
    let replica: &'static str = world.replicas().remove(0).leak();
    let known = world.listed(replica, "finished").len();
    let running = world.slow_backup(replica);
    let died = Instant::now();
    world.shell.juju(&["power-off", &primary]).ok();
    until(120, "another unit is the primary", || {
        world
            .units()
            .iter()
            .any(|unit| *unit != primary && world.try_sql(unit, "SELECT pg_is_in_recovery()").is_ok_and(|is| is == "f"))
    });
    world.fault("none");
    let said = running.end();
    eprintln!("    the backup under the failover: completed {}, {}", said.completed, said.message);
    world.shell.juju(&["power-on", &primary]).ok();
    world.is_whole(world.units().len());
    world.writer.forgives(died);
    if said.completed {
        assert_eq!(world.listed(replica, "finished").len(), known + 1, "what was said to be made is there");
    } else {
        assert!(said.message.starts_with("Failed to backup PostgreSQL with error: "), "{}", said.message);
        assert_eq!(world.listed(replica, "finished").len(), known, "nothing half made is in the catalog");
        assert_eq!(world.listed(replica, "failed").len(), 1, "it is listed as failed");
    }
    for unit in world.units() {
        assert!(world.listed(&unit, "in-progress").is_empty(), "{unit}: nothing runs any more");
    }
    let replica = world.replicas().remove(0);
    until(60, "the next backup works", || world.shell.action(&replica, &["create-backup"]).completed);
}
