//! Restores that are broken off: by themselves the units have all as it was,
//! every row that was acknowledged on each of them.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::asked::old_data;
use crate::harness::{Running, until};
use crate::watch::{self, kill_hard};
use crate::world::{Seat, World};

/// The states of a restore, in their order.
const STATES: [&str; 7] = ["fetching", "recovering", "proven", "stopping", "switching", "adopting", "committed"];

impl World {
    /// A restore by Juju's leader that goes on meanwhile.
    pub fn start_restore(&'static self, seat: &Seat, id: &str) -> Running {
        let unit: &'static str = Box::leak(seat.unit.clone().into_boxed_str());
        self.shell.start_action(unit, &["restore", &format!("backup-id={id}")])
    }

    /// Nothing of it is left but the rows.
    #[track_caller]
    pub fn is_as_it_was(&self, folders: &[Vec<String>]) {
        self.is_whole(3);
        self.nothing_is_lost();
        until(60, "no copy is left", || self.folders() == folders);
        self.rows_come(10);
    }

    pub fn folders(&self) -> Vec<Vec<String>> {
        let sorted = |mut names: Vec<String>| {
            names.sort();
            names
        };
        self.seats().iter().map(|seat| sorted(old_data(seat))).collect()
    }
}

/// How far the newest restore of this unit is.
pub fn state(seat: &Seat) -> Option<usize> {
    let files = std::fs::read_dir(seat.storage.join("state")).into_iter().flatten().flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    let newest = names.filter(|name| name.starts_with("restore-") && name.ends_with(".json")).max()?;
    let text = std::fs::read(seat.storage.join("state").join(newest)).ok()?;
    let record: Value = serde_json::from_slice(&text).ok()?;
    STATES.iter().position(|state| record["state"] == *state)
}

/// Waits for the moment when the journal says `wanted`.
pub fn wait_for(running: &Running, seat: &Seat, wanted: &str) {
    let target = STATES.iter().position(|state| *state == wanted).unwrap_or_default();
    until(90, "the restore begins", || state(seat).is_some_and(|state| state < STATES.len() - 1));
    let deadline = Instant::now() + Duration::from_secs(120);
    // Some states last for milliseconds: no pause between looks.
    while state(seat).is_none_or(|state| state < target) {
        assert!(Instant::now() < deadline && !running.is_over(), "it never was {wanted}");
    }
}

/// The agent's process that runs the action of this unit.
fn agent(world: &World, seat: &Seat) -> Option<watch::Process> {
    let own = format!("{}/", world.shell.home.display());
    let unit = format!("unit-{}", seat.unit.replace('/', "-"));
    let is = |process: &watch::Process| {
        process.line.starts_with(&own) && process.line.contains(&unit) && process.line.trim_end().ends_with("dispatch")
    };
    watch::processes().into_iter().find(is)
}

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

/// Kills the agent of the action in the moment its journal says `wanted`.
fn kill_at(world: &World, running: &Running, driver: &Seat, wanted: &str) {
    // Hooks wait while an action runs: from now on it is the only agent there.
    until(90, "the restore begins", || state(driver).is_some_and(|state| state < STATES.len() - 1));
    let agent = agent(world, driver).expect("the agent");
    wait_for(running, driver, wanted);
    kill_hard(&agent);
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
