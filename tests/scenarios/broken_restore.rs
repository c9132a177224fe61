//! Restores that are broken off: the old data is back, every row of it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::harness::{Running, until};
use super::watch::{self, kill_hard};
use super::world::{UNIT, World};

/// The states of a restore, in their order.
const STATES: [&str; 7] = ["fetching", "recovering", "proven", "stopping", "switching", "adopting", "committed"];

impl World {
    /// What the journals of restores say that are not over.
    fn open_restores(&self) -> Vec<Value> {
        let files = std::fs::read_dir(self.storage.join("state")).into_iter().flatten().flatten();
        let journals = files.filter(|file| {
            let name = file.file_name().into_string().unwrap_or_default();
            name.starts_with("restore-") && name.ends_with(".json")
        });
        let records = journals.filter_map(|file| serde_json::from_slice(&std::fs::read(file.path()).ok()?).ok());
        let is_over =
            |record: &Value| ["committed", "rolled-back"].contains(&record["state"].as_str().unwrap_or_default());
        records.filter(|record| !is_over(record)).collect()
    }

    fn state(&self) -> Option<usize> {
        let record = self.open_restores().pop()?;
        STATES.iter().position(|state| record["state"] == *state)
    }

    fn data_folders(&self) -> Vec<String> {
        let folders = std::fs::read_dir(self.storage.join("pg")).into_iter().flatten().flatten();
        let mut names: Vec<_> = folders.filter_map(|folder| folder.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// A row that no backup has, and all that must be there afterwards.
struct Before {
    rows: String,
    folders: Vec<String>,
}

fn before(world: &'static World) -> (String, Before) {
    world.with_repository();
    let id = world.some_backup();
    world.add_rows(7);
    (id, Before { rows: world.rows(), folders: world.data_folders() })
}

fn begin(world: &'static World, id: &str) -> Running {
    world.shell.start_action(UNIT, &["restore", &format!("backup-id={id}")])
}

fn as_it_was(world: &'static World, before: &Before) {
    until(120, "the next hook puts it right", || world.open_restores().is_empty());
    world.heal();
    assert_eq!(world.rows(), before.rows, "every row is there");
    assert_eq!(world.data_folders(), before.folders, "no half-done data is left");
    let leftover =
        |process: &watch::Process| process.line.contains("restore-") && !process.line.contains("restore_command");
    let left: Vec<_> = watch::of_folder(&world.storage).into_iter().filter(leftover).collect();
    assert!(left.is_empty() && world.engines().is_empty(), "{left:?}");
    world.add_rows(1);
    world.archives();
}

pub fn store_denies(world: &'static World) {
    let (id, before) = before(world);
    world.slow(300_000);
    let running = begin(world, &id);
    until(60, "it fetches", || running.is_over() || (world.state() == Some(0) && !world.engines().is_empty()));
    world.fault("deny");
    let why = running.end().failed();
    assert!(why.starts_with("Failed to restore backup: ") && why.contains("403"), "{why}");
    assert!(why.ends_with("The cluster is as it was, nothing is lost"), "{why}");
    assert!(!why.contains('\n'), "one line, not the engine's dump: {why}");
    as_it_was(world, &before);
    world.backup();
}

/// Kills the agent in the moment its journal says `wanted`.
fn kill_at(world: &'static World, running: &Running, wanted: &str) {
    until(60, "the restore begins", || world.state().is_some());
    let dispatch = world.dispatch();
    let target = STATES.iter().position(|state| *state == wanted).unwrap_or_default();
    let deadline = Instant::now() + Duration::from_secs(120);
    // Some states last for milliseconds: no pause between looks.
    while world.state().is_none_or(|state| state < target) {
        assert!(Instant::now() < deadline && !running.is_over(), "it never was {wanted}");
    }
    kill_hard(&dispatch);
}

/// A restore that is killed there; the next hook has to settle it.
fn killed(world: &'static World, wanted: &str) {
    let (id, before) = before(world);
    if wanted == "fetching" {
        world.slow(300_000);
    }
    let running = begin(world, &id);
    kill_at(world, &running, wanted);
    running.end().failed();
    world.fault("none");
    as_it_was(world, &before);
}

/// A backup that waits for its turn meanwhile comes before the hook that settles
/// the restore, and is refused by it.
pub fn killed_fetching(world: &'static World) {
    let (id, before) = before(world);
    world.slow(300_000);
    let running = begin(world, &id);
    until(60, "it fetches", || world.state() == Some(0));
    let waiting = world.shell.juju(&["run", UNIT, "create-backup", "--background"]);
    let told = format!("{}{}", waiting.stdout, waiting.stderr);
    let task = told.split("show-task ").nth(1).unwrap_or_default();
    let task: String = task.chars().take_while(char::is_ascii_digit).collect();
    kill_at(world, &running, "fetching");
    running.end().failed();
    let refused = world.shell.juju(&["show-task", &task, "--wait", "2m"]);
    world.fault("none");
    let said = format!("{}{}", refused.stdout, refused.stderr);
    assert!(said.contains("a restore of ") && said.contains(" is under way: fetching"), "{told}: {said}");
    as_it_was(world, &before);
}

pub fn killed_recovering(world: &'static World) {
    killed(world, "recovering");
}

pub fn killed_stopping(world: &'static World) {
    killed(world, "stopping");
}

pub fn killed_switching(world: &'static World) {
    killed(world, "switching");
}

pub fn killed_adopting(world: &'static World) {
    killed(world, "adopting");
    world.backup();
}

/// The hook that puts the old data back is killed too.
pub fn killed_twice(world: &'static World) {
    let (id, before) = before(world);
    let running = begin(world, &id);
    kill_at(world, &running, "adopting");
    running.end().failed();
    let at = |state: &str| world.open_restores().iter().any(|record| record["state"] == state);
    until(60, "the next hook puts the old data back", || at("rolling-back"));
    kill_hard(&world.dispatch());
    as_it_was(world, &before);
}
