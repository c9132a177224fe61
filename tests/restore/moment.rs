//! Where a restore is, read from the files of the unit that drives it; and its agent,
//! killed or held still at a moment.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::harness::{Running, until, until_some};
use crate::watch::{self, kill_hard};
use crate::world::{Seat, World};

/// The states of a restore, in their order.
pub const STATES: [&str; 7] = ["fetching", "recovering", "proven", "stopping", "switching", "adopting", "committed"];

impl World {
    /// A restore by Juju's leader that goes on meanwhile.
    pub fn start_restore(&'static self, seat: &Seat, id: &str) -> Running {
        let unit: &'static str = Box::leak(seat.unit.clone().into_boxed_str());
        self.shell.start_action(unit, &["restore", &format!("backup-id={id}")])
    }
}

/// Ids of the restores that this unit has driven, while it remembers them.
pub fn journals(seat: &Seat) -> BTreeSet<String> {
    let files = std::fs::read_dir(seat.storage.join("state")).into_iter().flatten().flatten();
    let names = files.filter_map(|file| file.file_name().into_string().ok());
    names.filter_map(|name| Some(name.strip_prefix("restore-")?.strip_suffix(".json")?.to_owned())).collect()
}

fn read(path: &Path) -> Value {
    std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

/// What the journal says of a restore, and the stage that the unit does or has done for it.
fn written(storage: &Path, id: &str) -> (String, String) {
    let text = |file: String, key: &str| read(&storage.join("state").join(file))[key].as_str().map(str::to_owned);
    let journal = text(format!("restore-{id}.json"), "state").unwrap_or_default();
    (journal, text(format!("part-{id}.json"), "stage").unwrap_or_default())
}

/// How far the newest restore of this unit is.
pub fn state(seat: &Seat) -> Option<usize> {
    let (journal, _) = written(&seat.storage, &journals(seat).pop_last()?);
    STATES.iter().position(|state| journal == *state)
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
pub fn agent(world: &World, seat: &Seat) -> Option<watch::Process> {
    let own = format!("{}/", world.shell.home.display());
    let unit = format!("unit-{}", seat.unit.replace('/', "-"));
    let is = |process: &watch::Process| {
        process.line.starts_with(&own) && process.line.contains(&unit) && process.line.trim_end().ends_with("dispatch")
    };
    watch::processes().into_iter().find(is)
}

/// Kills the agent of the action in the moment its journal says `wanted`.
pub fn kill_at(world: &World, running: &Running, driver: &Seat, wanted: &str) {
    // Hooks wait while an action runs: from now on it is the only agent there.
    until(90, "the restore begins", || state(driver).is_some_and(|state| state < STATES.len() - 1));
    let agent = agent(world, driver).expect("the agent");
    wait_for(running, driver, wanted);
    kill_hard(&agent);
}

/// The agent of a restore that has begun. Held still, the restore stays where it is and the world goes on.
pub struct Driving {
    pub id: String,
    agent: watch::Process,
    storage: std::path::PathBuf,
}

impl Driving {
    /// Waits for it. `known`: the journals from before.
    pub fn begun(world: &World, running: &Running, seat: &Seat, known: &BTreeSet<String>) -> Result<Self, String> {
        let newest = || journals(seat).difference(known).max().cloned();
        let id = until_some(90, "the restore begins", || match running.is_over() {
            true => Some(None),
            false => newest().map(Some),
        });
        let id = id.ok_or("the restore was over before it began")?;
        let agent = agent(world, seat).ok_or("there is no agent")?;
        Ok(Self { id, agent, storage: seat.storage.clone() })
    }

    /// What its journal says, and the stage that the unit does or has done.
    pub fn written(&self) -> (String, String) {
        written(&self.storage, &self.id)
    }

    /// Goes on until this is written, and is held still there. `Err`: it went by too fast, or never came.
    pub fn hold_at(&self, is_there: impl Fn(&str, &str) -> bool) -> Result<(), String> {
        let there = || {
            let (journal, stage) = self.written();
            is_there(&journal, &stage)
        };
        self.go_on();
        let deadline = Instant::now() + Duration::from_secs(90);
        // Some states last for milliseconds: no pause between looks.
        while !there() {
            if Instant::now() >= deadline || !self.is_alive() {
                return Err(format!("it never was there, but {:?} in the end", self.written()));
            }
        }
        self.signal(Signal::SIGSTOP);
        if there() {
            return Ok(());
        }
        self.go_on();
        Err(format!("it went by too fast: {:?}", self.written()))
    }

    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
    }

    pub fn go_on(&self) {
        self.signal(Signal::SIGCONT);
    }

    fn is_alive(&self) -> bool {
        kill(Pid::from_raw(self.agent.pid), None).is_ok()
    }

    /// It may be gone by now.
    fn signal(&self, signal: Signal) {
        let _ = kill(Pid::from_raw(self.agent.pid), signal);
    }
}

impl Drop for Driving {
    /// Whatever becomes of the test: nobody stays held.
    fn drop(&mut self) {
        self.go_on();
    }
}
