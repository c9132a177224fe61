//! What is refused or waits while a restore runs, or before it may.

use super::moment::wait_for;
use crate::harness::until;
use crate::watch::kill_hard;
use crate::world::World;

pub fn meanwhile(world: &'static World) {
    let (id, rows) = world.backup();
    world.rows_come(20);
    world.leads(&world.primary());
    let (driver, replica) = (world.leader(), world.replica());
    world.slow(400_000);
    let running = world.start_restore(&driver, &id);
    wait_for(&running, &driver, "fetching");
    let refused = world.action(&replica, &["create-backup"]).failed();
    assert!(refused.contains("a restore is under way on"), "{refused}");
    let refused = world.action(&replica, &["restore", &format!("backup-id={id}")]).failed();
    assert!(refused.contains("a restore is under way on"), "{refused}");
    world.fault("none");
    running.end().ok();
    world.rows_come(10);
    world.is_whole(3);
    world.went_back(&rows);
}

/// No hook comes by itself, until this is dropped.
struct HooksRest(&'static World);

impl HooksRest {
    fn begin(world: &'static World) -> Self {
        world.shell.juju(&["model-config", "update-status-hook-interval=10m"]).ok();
        until(60, "no hook runs", || world.seats().iter().all(|seat| seat.agent == "idle"));
        Self(world)
    }
}

impl Drop for HooksRest {
    fn drop(&mut self) {
        self.0.shell.juju(&["model-config", "update-status-hook-interval=3s"]);
    }
}

pub fn deaf(world: &'static World) {
    let (id, _) = world.backup();
    let (leader, replica) = (world.leader(), world.replicas().into_iter().find(|seat| !seat.leads).expect("a replica"));
    let folders = world.folders();
    let hooks = HooksRest::begin(world);
    until(90, "its service is missed", || {
        // A hook that was due before may start it once more.
        replica.process("unit-service").iter().for_each(kill_hard);
        leader.key(&format!("/pg-backup-agent/service/{}", replica.member())).is_empty()
    });
    let refused = world.action(&leader, &["restore", &format!("backup-id={id}")]).failed();
    drop(hooks);
    assert!(refused.contains(&format!("the service of {} does not answer", replica.unit)), "{refused}");
    until(60, "a hook starts it again", || replica.process("unit-service").is_some());
    world.is_as_it_was(&folders);
}
