//! The daemon: one per home directory. Holds the state, runs the units, answers the CLI and the hook tools.

mod agent;
pub(crate) mod files;
mod finish;
mod log;
pub(crate) mod network;
mod power;
mod process;
mod reap;
pub(crate) mod remove;
mod server;
mod settle;
mod store;
mod toolserver;
mod work;

pub(crate) use server::{serve, socket};
pub(crate) use toolserver::{ToolReply, ToolRequest, error};

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};

use crate::model::{Model, Time, World};
use crate::uniter::context::Context;

/// Stored state and what lives only as long as this process.
pub(crate) struct Shared {
    pub(crate) world: World,
    pub(crate) live: Live,
}

#[derive(Default)]
pub(crate) struct Live {
    /// Runs whose tools may be called, by context id.
    pub(crate) contexts: HashMap<String, Arc<Mutex<Context>>>,
    /// Units that have a thread: (model uuid, unit).
    pub(crate) threads: BTreeSet<(String, String)>,
    /// Machine locks that are held.
    pub(crate) locks: BTreeSet<String>,
    pub(crate) commands: BTreeMap<u64, Command>,
    pub(crate) next_command: u64,
    pub(crate) connections: u32,
    pub(crate) last_use: Option<std::time::Instant>,
    pub(crate) stopping: bool,
}

/// A `juju-exec` of a process on the unit.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    pub(crate) model: String,
    pub(crate) unit: String,
    pub(crate) text: String,
    pub(crate) relation: Option<u32>,
    pub(crate) remote: Option<String>,
    pub(crate) begun: bool,
    /// Exit code, standard output, standard error.
    pub(crate) result: Option<(i32, Vec<u8>, Vec<u8>)>,
}

pub(crate) struct Daemon {
    pub(crate) home: PathBuf,
    /// The localjuju binary that tools are links to.
    pub(crate) program: PathBuf,
    /// PATH of hooks, after the tools.
    pub(crate) path: String,
    shared: Mutex<Shared>,
    changed: Condvar,
}

pub(crate) fn now() -> Time {
    chrono::Utc::now()
}

impl Daemon {
    pub(crate) fn new(home: PathBuf, program: PathBuf, path: String, world: World) -> Self {
        let shared = Shared { world, live: Live::default() };
        Self { home, program, path, shared: Mutex::new(shared), changed: Condvar::new() }
    }

    /// A panic in another thread must not take the model down with it: the state is saved after every change.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    pub(crate) fn wait<'a>(&self, guard: MutexGuard<'a, Shared>, most: std::time::Duration) -> MutexGuard<'a, Shared> {
        match self.changed.wait_timeout(guard, most) {
            Ok((guard, _)) => guard,
            Err(poisoned) => poisoned.into_inner().0,
        }
    }

    /// Saves and wakes everybody who waits for a change.
    pub(crate) fn commit(&self, shared: &Shared) {
        if let Err(fault) = store::save(&self.home, &shared.world) {
            eprintln!("localjuju: saving the state: {fault:#}");
        }
        self.changed.notify_all();
    }

    pub(crate) fn wake(&self) {
        self.changed.notify_all();
    }
}

/// The model, if it is still the one with this uuid.
pub(crate) fn model_by_uuid<'a>(world: &'a mut World, uuid: &str) -> Option<&'a mut Model> {
    world.models.values_mut().find(|model| model.uuid == uuid)
}
