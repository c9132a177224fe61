//! Faults of hosts, which Juju does not have: power, addresses, links. For tests.

use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

use super::{ModelRef, find_name, model, unit_name};
use crate::daemon::{Daemon, network as links, now, remove};
use crate::model::{Model, Unit};

/// The unit with its machine's number.
fn host(model: &Model, wanted: &str) -> Result<(String, u32)> {
    let unit = unit_name(model, wanted)?;
    let machine = model.units.get(&unit).map(|unit| unit.machine).context("unit is gone")?;
    Ok((unit, machine))
}

/// All units of the machine die with it. Returns when nothing of them runs any more.
pub(super) fn power_off(daemon: &Arc<Daemon>, name: &ModelRef, unit: &str, client: Option<i32>) -> Result<Value> {
    let mut shared = daemon.lock();
    let name = Some(find_name(&shared.world, name)?);
    let model = model(&mut shared, &name)?;
    let uuid = model.uuid.clone();
    let (unit, machine) = host(model, unit)?;
    if model.is_off(&unit) {
        bail!("unit {unit:?} is powered off already");
    }
    // First of all its link: others must not hear how the processes end.
    if let Some(link) = model.link(machine) {
        links::join(&crate::model::Link { cut: true, ..link })?;
    }
    if let Some(found) = model.machines.get_mut(&machine) {
        found.off = Some(now());
    }
    let units = model.units_on(machine);
    shared.live.commands.retain(|_, command| command.model != uuid || !units.contains(&command.unit));
    daemon.commit(&shared);
    drop(shared);
    daemon.kill_machine(&uuid, machine, &remove::protected(client))?;
    let mut shared = daemon.lock();
    daemon.apply(&mut shared);
    Ok(Value::Null)
}

pub(super) fn power_on(daemon: &Arc<Daemon>, name: &ModelRef, unit: &str) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let (unit, machine) = host(model, unit)?;
    if !model.is_off(&unit) {
        bail!("unit {unit:?} is not powered off");
    }
    if let Some(link) = model.link(machine) {
        links::remove_link(&link);
        links::make_link(&link)?;
    }
    if let Some(found) = model.machines.get_mut(&machine) {
        found.off = None;
    }
    for unit in model.units.values_mut().filter(|unit| unit.machine == machine) {
        boot(unit);
    }
    daemon.apply(&mut shared);
    Ok(Value::Null)
}

/// What the agent does after a boot: start, then config-changed, and an error is tried again at once.
fn boot(unit: &mut Unit) {
    unit.agent_since = now();
    unit.local.rebooted = unit.local.started && !unit.local.stopped;
    unit.local.config_seen = None;
    if let Some(failed) = &mut unit.local.failed {
        failed.resolved = true;
    }
}

pub(super) fn set_address(daemon: &Arc<Daemon>, name: &ModelRef, unit: &str, address: Option<String>) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let (_, machine) = host(model, unit)?;
    let address = match address {
        Some(address) => free(model, &address)?,
        None => {
            let (address, last) = model.next_address(model.last_address).context("the model has no address left")?;
            model.last_address = last;
            address
        }
    };
    let Some(found) = model.machines.get_mut(&machine) else { bail!("machine {machine} not found") };
    found.address.clone_from(&address);
    let off = found.off.is_some();
    for unit in model.units.values_mut().filter(|unit| unit.machine == machine) {
        unit.address.clone_from(&address);
    }
    if let Some(link) = model.link(machine).filter(|_| !off) {
        links::change_address(&link)?;
    }
    daemon.apply(&mut shared);
    Ok(json!({ "address": address }))
}

/// An address of the model's network that nobody has.
fn free(model: &Model, address: &str) -> Result<String> {
    let network = model.network();
    let last: Option<u8> =
        address.strip_prefix(&format!("{network}.")).and_then(|last| last.parse().ok()).filter(|last| *last > 0);
    match last {
        Some(last) if model.next_address(last - 1).is_some_and(|(_, free)| free == last) => {
            Ok(format!("{network}.{last}"))
        }
        Some(_) => bail!("address {address} is in use"),
        None => bail!("address {address:?} is not one of {network}.0/24"),
    }
}

pub(super) fn network(daemon: &Arc<Daemon>, name: &ModelRef, unit: &str, cut: bool) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let (_, machine) = host(model, unit)?;
    if model.bridge.is_none() {
        bail!("there is no link to cut: model {:?} has localjuju-network=loopback", model.name);
    }
    let Some(found) = model.machines.get_mut(&machine) else { bail!("machine {machine} not found") };
    found.cut = cut;
    let off = found.off.is_some();
    if let Some(link) = model.link(machine).filter(|_| !off) {
        links::join(&link)?;
    }
    daemon.apply(&mut shared);
    Ok(Value::Null)
}
