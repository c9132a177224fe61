//! Machines without power: ends all that runs on one, and the leases of leaders on them.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Daemon, Shared, files, model_by_uuid, network, now, remove};
use crate::model::Model;
use crate::uniter::commit;

/// How long the agents' threads get to notice.
const PATIENCE: Duration = Duration::from_secs(20);

impl Daemon {
    /// Kills until nothing of the machine's units is there, then takes the network away.
    pub(crate) fn kill_machine(&self, uuid: &str, machine: u32, protected: &BTreeSet<i32>) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut shared = self.lock();
            let Some(model) = model_by_uuid(&mut shared.world, uuid) else { return Ok(()) };
            let (link, traces) = (model.link(machine), self.traces_on(model, machine));
            let busy = is_busy(&mut shared, uuid, machine);
            drop(shared);
            let killed = remove::kill_processes(&traces, protected);
            if killed.is_empty() && !busy {
                if let Some(link) = link {
                    network::remove_link(&link);
                }
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("processes {killed:?} do not end");
            }
            drop(self.wait(self.lock(), Duration::from_millis(20)));
        }
    }

    fn traces_on(&self, model: &Model, machine: u32) -> remove::Traces {
        let units = model.units_on(machine);
        let mut directories = Vec::new();
        for unit in &units {
            let places = files::places(&self.home, &model.name, unit);
            directories.extend(places.charm.parent().map(std::path::Path::to_owned));
            directories.push(places.tools);
            let storage = model.storage.values().filter(|storage| storage.unit.as_ref() == Some(unit));
            directories.extend(storage.map(|storage| files::storage_location(&self.home, &model.name, &storage.id)));
        }
        let of = |unit: &String| vec![format!("JUJU_MODEL_UUID={}", model.uuid), format!("JUJU_UNIT_NAME={unit}")];
        let namespace = model.link(machine).and_then(|link| network::inode(&link.namespace));
        remove::Traces {
            directories,
            variables: units.iter().map(of).collect(),
            networks: namespace.into_iter().collect(),
        }
    }
}

/// A daemon that was killed while it took power away has not killed everything.
pub(super) fn finish_off(daemon: &Daemon) {
    let shared = daemon.lock();
    let models = shared.world.models.values();
    let off: Vec<(String, u32)> = models
        .flat_map(|model| model.machines.iter().map(|(id, machine)| (model.uuid.clone(), *id, machine.off)))
        .filter_map(|(uuid, id, off)| off.map(|_| (uuid, id)))
        .collect();
    drop(shared);
    for (uuid, machine) in off {
        if let Err(fault) = daemon.kill_machine(&uuid, machine, &remove::protected(None)) {
            eprintln!("localjuju: machine {machine} without power: {fault:#}");
        }
    }
}

/// Whether an operation or an agent's thread has not yet come to its end.
fn is_busy(shared: &mut Shared, uuid: &str, machine: u32) -> bool {
    let Some(model) = model_by_uuid(&mut shared.world, uuid) else { return false };
    let units = model.units_on(machine);
    let running = units.iter().filter_map(|unit| model.units.get(unit)).any(|unit| unit.local.running.is_some());
    running || units.iter().any(|unit| shared.live.threads.contains(&(uuid.to_owned(), unit.clone())))
}

/// Waits for leases that end, for as long as the daemon lives.
pub(super) fn end_leases(daemon: &Daemon) {
    let mut shared = daemon.lock();
    while !shared.live.stopping {
        let next = shared.world.models.values().filter_map(commit::next_lease_end).min();
        let left = next.map_or(60_000, |end| (end - now()).num_milliseconds());
        if left <= 0 {
            daemon.settle(&mut shared);
            daemon.commit(&shared);
            continue;
        }
        shared = daemon.wait(shared, Duration::from_millis(left.unsigned_abs().min(60_000)));
    }
}
