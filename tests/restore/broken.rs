//! Restores that are broken off: by themselves the units have all as it was,
//! every row that was acknowledged on each of them.

use super::moment::{STATES, agent, kill_at, state, wait_for};
use crate::harness::{Running, until};
use crate::watch::{self, kill_hard};
use crate::world::{Seat, World};

fn begin(world: &'static World) -> (Seat, Running, Vec<Vec<String>>) {
    let (id, _) = world.backup();
    world.rows_come(20);
    let driver = world.leader();
    let folders = world.folders();
    let running = world.start_restore(&driver, &id);
    (driver, running, folders)
}

fn killed(world: &'static World, wanted: &str) -> Vec<Vec<String>> {
    let (driver, running, folders) = begin(world);
    kill_at(world, &running, &driver, wanted);
    running.end().failed();
    folders
}

pub fn store(world: &'static World) {
    let (driver, running, folders) = begin(world);
    wait_for(&running, &driver, "recovering");
    world.fault("deny");
    world.writer.forget_pauses();
    let why = running.end().failed();
    let outage = world.writer.longest();
    world.fault("none");
    assert!(why.starts_with("Failed to restore backup: "), "{why}");
    assert!(why.ends_with("The cluster is as it was, nothing is lost"), "{why}");
    assert!(outage < 10.0, "nothing was stopped, but clients waited {outage} s");
    world.is_as_it_was(&folders);
}

pub fn killed_stopping(world: &'static World) {
    world.leads(&world.replica());
    let folders = killed(world, "stopping");
    world.is_as_it_was(&folders);
}

pub fn killed_switching(world: &'static World) {
    world.leads(&world.primary());
    let folders = killed(world, "switching");
    world.is_as_it_was(&folders);
}

/// Patroni may go on without the agent and serve the restored data: then that is the end.
pub fn killed_adopting(world: &'static World) {
    world.leads(&world.replica());
    let (id, rows) = world.backup();
    world.rows_come(20);
    let (driver, folders) = (world.leader(), world.folders());
    let running = world.start_restore(&driver, &id);
    kill_at(world, &running, &driver, "adopting");
    running.end().failed();
    // Of one that was taken back nothing stays: the newest then is the restore before.
    until(180, "it is settled", || state(&driver).is_none_or(|state| state == STATES.len() - 1));
    world.is_whole(3);
    if world.folders() != folders {
        eprintln!("    it was committed");
        world.went_back(&rows);
        world.backup();
    } else {
        eprintln!("    it was taken back");
        world.is_as_it_was(&folders);
    }
}

pub fn all_killed(world: &'static World) {
    world.leads(&world.replica());
    let (driver, running, folders) = begin(world);
    wait_for(&running, &driver, "switching");
    for process in watch::of_folder(&driver.storage) {
        kill_hard(&process);
    }
    if let Some(agent) = agent(world, &driver) {
        kill_hard(&agent);
    }
    running.end();
    world.is_as_it_was(&folders);
}
