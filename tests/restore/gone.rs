//! Machines that are lost before or in the middle of a restore.

use super::moment::wait_for;
use crate::harness::until;
use crate::world::World;

pub fn replica_away(world: &'static World) {
    let (id, rows) = world.backup();
    world.rows_come(20);
    world.leads(&world.primary());
    let away = world.replica();
    world.power_off(&away);
    // Its Patroni has not been heard of for as long as its key lives.
    let primary = world.primary();
    until(60, "it is known to be away", || {
        primary.key(&format!("/service/postgresql/members/{}", away.member())).is_empty()
            && primary.key(&format!("/pg-backup-agent/service/{}", away.member())).is_empty()
    });
    let results = world.restore(&id);
    assert!(results.get("still-copying").starts_with(&away.unit), "{results:?}");
    world.rows_come(10);
    world.power_on(&away);
    world.is_whole(3);
    world.went_back(&rows);
}

pub fn driver(world: &'static World) {
    world.leads(&world.replica());
    let (id, _) = world.backup();
    world.rows_come(20);
    let (driver, folders) = (world.leader(), world.folders());
    let running = world.start_restore(&driver, &id);
    wait_for(&running, &driver, "switching");
    world.power_off(&driver);
    let before = world.writer.written();
    until(180, "the others put the old data back", || world.writer.written() > before + 10);
    world.power_on(&driver);
    running.end();
    world.is_as_it_was(&folders);
}

pub fn primary(world: &'static World) {
    world.leads(&world.replica());
    let (id, _) = world.backup();
    world.rows_come(20);
    let (driver, primary, folders) = (world.leader(), world.primary(), world.folders());
    let running = world.start_restore(&driver, &id);
    wait_for(&running, &driver, "switching");
    world.power_off(&primary);
    let ended = running.end();
    eprintln!("    the action: completed {}, {}", ended.completed, ended.message);
    let before = world.writer.written();
    until(180, "clients write again", || world.writer.written() > before + 10);
    world.power_on(&primary);
    world.is_whole(3);
    if !ended.completed {
        world.is_as_it_was(&folders);
    }
}
