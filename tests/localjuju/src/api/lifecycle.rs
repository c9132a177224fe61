//! remove-unit, remove-application, remove-storage, resolved, set-leader, trust, expose.

use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use serde_json::{Value, json};

use super::{ModelRef, model, no_app, unit_name};
use crate::daemon::{Daemon, now};
use crate::model::{App, Life, Model, names};
use crate::uniter::commit;

/// Marks a unit for removal. Forced: without its hooks.
fn kill_unit(model: &mut Model, name: &str, destroy_storage: bool, force: bool) {
    for storage in model.storage.values_mut() {
        if storage.unit.as_deref() == Some(name) {
            storage.destroy |= destroy_storage;
        }
    }
    let Some(unit) = model.units.get_mut(name) else { return };
    unit.life = Life::Dying;
    unit.local.removed |= force;
    let subordinates: Vec<String> = model
        .units
        .values()
        .filter(|unit| unit.principal.as_deref() == Some(name))
        .map(|unit| unit.name.clone())
        .collect();
    for subordinate in subordinates {
        kill_unit(model, &subordinate, destroy_storage, force);
    }
}

/// The processes of running operations are ended at once.
pub(super) fn kill_running(model: &Model) {
    let removed = model.units.values().filter(|unit| unit.local.removed);
    for running in removed.filter_map(|unit| unit.local.running.as_ref()) {
        if let Some(pid) = running.pid {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
        }
    }
}

pub(super) fn kill_application(model: &mut Model, app: &str, destroy_storage: bool, force: bool) {
    if let Some(found) = model.apps.get_mut(app) {
        found.life = Life::Dying;
    }
    for relation in model.relations.values_mut().filter(|relation| relation.involves(app) && !relation.is_peer()) {
        relation.life = Life::Dying;
    }
    let units: Vec<String> =
        model.units.values().filter(|unit| unit.app == app).map(|unit| unit.name.clone()).collect();
    for unit in units {
        kill_unit(model, &unit, destroy_storage, force);
    }
}

pub(super) fn remove_units(
    daemon: &Arc<Daemon>,
    name: &ModelRef,
    wanted: &[String],
    count: u32,
    destroy_storage: bool,
    force: bool,
) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let mut units = Vec::new();
    for name in wanted {
        if let Some(app) = (!name.contains('/')).then_some(name) {
            if count == 0 {
                bail!("invalid unit name {app:?}");
            }
            model.apps.get(app).ok_or_else(|| no_app(app))?;
            let mut own: Vec<String> = model
                .units
                .values()
                .filter(|unit| &unit.app == app && unit.life == Life::Alive)
                .map(|unit| unit.name.clone())
                .collect();
            own.sort_by_key(|unit| std::cmp::Reverse(names::natural(unit)));
            units.extend(own.into_iter().take(count as usize));
        } else {
            units.push(unit_name(model, name)?);
        }
    }
    let mut told = Vec::new();
    for unit in &units {
        if model.units.get(unit).is_some_and(|unit| unit.principal.is_some()) && !force {
            bail!("unit {unit:?} is a subordinate, to remove use remove-relation");
        }
        let storage: Vec<&String> = model
            .storage
            .values()
            .filter(|storage| storage.unit.as_ref() == Some(unit))
            .map(|storage| &storage.id)
            .collect();
        told.push(json!({"unit": unit, "storage": storage}));
        kill_unit(model, unit, destroy_storage, force);
    }
    if force {
        kill_running(model);
    }
    daemon.apply(&mut shared);
    Ok(json!(told))
}

pub(super) fn remove_applications(
    daemon: &Arc<Daemon>,
    name: &ModelRef,
    apps: &[String],
    destroy_storage: bool,
    force: bool,
) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    for app in apps {
        model.apps.get(app).ok_or_else(|| no_app(app))?;
    }
    let mut told = Vec::new();
    for app in apps {
        let units: Vec<String> =
            model.units.values().filter(|unit| &unit.app == app).map(|unit| unit.name.clone()).collect();
        let storage: Vec<String> = model
            .storage
            .values()
            .filter(|storage| storage.unit.as_ref().is_some_and(|unit| units.contains(unit)))
            .map(|storage| storage.id.clone())
            .collect();
        told.push(json!({"application": app, "units": units, "storage": storage}));
        kill_application(model, app, destroy_storage, force);
    }
    if force {
        kill_running(model);
    }
    daemon.apply(&mut shared);
    Ok(json!(told))
}

pub(super) fn remove_storage(daemon: &Arc<Daemon>, name: &ModelRef, ids: &[String], force: bool) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    for id in ids {
        let storage = model.storage.get_mut(id).ok_or_else(|| anyhow!("storage {id:?} not found"))?;
        if storage.unit.is_some() && !force {
            bail!("storage {id:?} is attached: detach it by removing its unit");
        }
        storage.destroy = true;
    }
    daemon.apply(&mut shared);
    Ok(Value::Null)
}

pub(super) fn mark(daemon: &Arc<Daemon>, name: &ModelRef, app: &str, change: impl FnOnce(&mut App)) -> Result<Value> {
    let mut shared = daemon.lock();
    let found = model(&mut shared, name)?.apps.get_mut(app).ok_or_else(|| no_app(app))?;
    change(found);
    daemon.apply(&mut shared);
    Ok(Value::Null)
}

pub(super) fn resolve(
    daemon: &Arc<Daemon>,
    name: &ModelRef,
    wanted: &[String],
    all: bool,
    no_retry: bool,
) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let units: Vec<String> = if all {
        model.units.values().filter(|unit| unit.local.failed.is_some()).map(|unit| unit.name.clone()).collect()
    } else {
        wanted.iter().map(|unit| unit_name(model, unit)).collect::<Result<_>>()?
    };
    for name in units {
        let Some(unit) = model.units.get_mut(&name) else { continue };
        let running = unit.local.running.is_some();
        let Some(failed) = &mut unit.local.failed else { bail!("unit {name:?} is not in an error state") };
        if !no_retry || running {
            failed.resolved = true;
            continue;
        }
        // The hook counts as done without being run.
        let hook = failed.hook.clone();
        commit::done(model, &name, &hook, None, now());
    }
    daemon.apply(&mut shared);
    Ok(Value::Null)
}

pub(super) fn set_leader(daemon: &Arc<Daemon>, name: &ModelRef, unit: &str) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let unit = unit_name(model, unit)?;
    if model.is_off(&unit) {
        bail!("unit {unit:?} is powered off");
    }
    if let Some(app) = model.apps.get_mut(names::app_of(&unit)) {
        app.leader = Some(unit);
    }
    commit::elect(model, now());
    daemon.apply(&mut shared);
    Ok(Value::Null)
}
