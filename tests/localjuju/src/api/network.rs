//! The model setting `localjuju-network`: one loopback for all units, or a network namespace for each machine.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Result, bail};

use super::{ModelRef, model};
use crate::daemon::{Shared, network};
use crate::model::{Bridge, World};

pub(super) const SETTING: &str = "localjuju-network";
pub(super) const NAMESPACES: &str = "namespaces";
const LOOPBACK: &str = "loopback";

pub(super) fn check(key: &str, value: &str) -> Result<()> {
    if key == SETTING && value != NAMESPACES && value != LOOPBACK {
        bail!("{SETTING}: expected {LOOPBACK} or {NAMESPACES}, got {value:?}");
    }
    Ok(())
}

/// A bridge whose subnet no model of this home has, also none whose bridge is not there just now.
pub(super) fn make(world: &World) -> Result<Bridge> {
    let reserved: BTreeSet<u8> =
        world.models.values().filter_map(|model| model.bridge.as_ref()).map(|bridge| bridge.subnet).collect();
    network::make_bridge(&reserved)
}

/// Carries out a change of the setting; addresses that were given out cannot change any more.
pub(super) fn switch(
    shared: &mut Shared,
    name: &ModelRef,
    set: &BTreeMap<String, String>,
    reset: &[String],
) -> Result<()> {
    let target = model(shared, name)?;
    let wanted =
        if reset.iter().any(|key| key == SETTING) { Some(LOOPBACK) } else { set.get(SETTING).map(String::as_str) };
    let Some(namespaces) = wanted.map(|kind| kind == NAMESPACES) else { return Ok(()) };
    if namespaces == target.bridge.is_some() {
        return Ok(());
    }
    if !target.machines.is_empty() {
        bail!("{SETTING} can only be changed while the model has no units");
    }
    let made = namespaces.then(|| make(&shared.world)).transpose()?;
    let target = model(shared, name)?;
    target.last_address = 0;
    if let Some(old) = std::mem::replace(&mut target.bridge, made) {
        network::remove_bridge(&old);
    }
    Ok(())
}
