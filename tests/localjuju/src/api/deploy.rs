//! deploy, refresh, add-unit.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Value, json};

use super::{Deploy, ModelRef, config, find_name, model, models, no_app, relate};
use crate::charm::{Charm, complete, unpack};
use crate::daemon::{Daemon, Shared, files, network, now};
use crate::model::{App, Endpoint, Life, Local, Machine, Model, Relation, Role, StatusValue, Unit, names};

/// Reads a charm, checks it, and keeps its files as the next revision.
fn store_charm(daemon: &Daemon, model: &str, path: &Path) -> Result<(Charm, u32)> {
    if !path.exists() {
        bail!("charm or bundle at {:?} not found", path.display().to_string());
    }
    let upload =
        files::model_directory(&daemon.home, model).join("charms").join(format!("upload-{}", crate::ids::uuid()));
    let kept = unpack::lay_out(path, &upload).and_then(|()| {
        complete::complete(&upload)?;
        let charm = Charm::read(&upload)?;
        let revision =
            (0..).find(|revision| !files::charm_archive(&daemon.home, model, &charm.name, *revision).exists());
        let revision: u32 = revision.context("no revision is left")?;
        std::fs::rename(&upload, files::charm_archive(&daemon.home, model, &charm.name, revision))?;
        Ok((charm, revision))
    });
    if kept.is_err() {
        let _ = std::fs::remove_dir_all(&upload);
    }
    kept
}

/// `10G`, `3`, `2,10G`, `pool,10G,2` -> how many.
fn storage_count(text: &str) -> Result<u32> {
    for part in text.split(',').map(str::trim) {
        if let Ok(count) = part.parse() {
            return Ok(count);
        }
    }
    if text.split(',').any(|part| part.trim().is_empty()) {
        bail!("storage constraints {text:?} not valid");
    }
    Ok(1)
}

pub(super) fn deploy(daemon: &Arc<Daemon>, request: Deploy) -> Result<Value> {
    let mut shared = daemon.lock();
    // `juju deploy ./x` works at once: the first model is made for it.
    if request.model.is_none() && shared.world.current.is_none() {
        if !shared.world.models.contains_key("default") {
            models::create(daemon, &mut shared.world, "default", BTreeMap::new())?;
        }
        shared.world.current = Some("default".to_owned());
        daemon.commit(&shared);
    }
    let model_name = find_name(&shared.world, &request.model)?;
    drop(shared);
    // Unpacking may take a while; nobody has to wait for it.
    let (charm, revision) = store_charm(daemon, &model_name, &request.path)?;
    let mut shared = daemon.lock();
    let name = request.name.clone().unwrap_or_else(|| charm.name.clone());
    if !names::is_application(&name) {
        bail!("invalid application name {name:?}");
    }
    let mut set = request.set.clone();
    let trusted = request.trust || set.remove("trust").is_some_and(|text| text == "true");
    let config = config::values(&charm, &set, &request.typed)?;
    let mut storage: BTreeMap<String, u32> =
        charm.storage.iter().map(|(name, def)| (name.clone(), def.minimum)).collect();
    for (name, text) in &request.storage {
        let def =
            charm.storage.get(name).ok_or_else(|| anyhow!("charm {:?} has no store called {name:?}", charm.name))?;
        let count = storage_count(text)?;
        if count > 1 && !def.multiple {
            bail!("charm {:?} store {name:?}: at most 1 instances supported, {count} specified", charm.name);
        }
        storage.insert(name.clone(), count);
    }
    let target = model(&mut shared, &request.model)?;
    if target.life == Life::Dying {
        bail!("model {:?} is no longer alive", target.name);
    }
    if target.apps.contains_key(&name) {
        bail!("cannot add application {name:?}: application already exists");
    }
    if charm.subordinate && request.units > 1 {
        bail!("subordinate application must be deployed without units");
    }
    let peers: Vec<(String, String)> = charm
        .relations
        .iter()
        .filter(|(_, def)| def.role == Role::Peer)
        .map(|(endpoint, def)| (endpoint.clone(), def.interface.clone()))
        .collect();
    let units = if charm.subordinate { 0 } else { request.units };
    let charm_name = charm.name.clone();
    let app = App {
        name: name.clone(),
        charm,
        charm_rev: revision,
        config,
        leader: None,
        leader_settings: BTreeMap::new(),
        leader_settings_version: 0,
        life: Life::Alive,
        status: None,
        version: String::new(),
        trusted,
        exposed: false,
        storage,
        deployed: now(),
    };
    target.apps.insert(name.clone(), app);
    for (endpoint, interface) in peers {
        let id = target.next_relation;
        target.next_relation += 1;
        target.relations.insert(
            id,
            Relation {
                id,
                interface,
                container: false,
                life: Life::Alive,
                endpoints: vec![Endpoint { app: name.clone(), name: endpoint, role: Role::Peer }],
                app_data: BTreeMap::new(),
                unit_data: BTreeMap::new(),
                in_scope: Default::default(),
            },
        );
    }
    let made = make_units(daemon, target, &name, units, &request.to, &request.attach);
    if let Err(fault) = made {
        target.apps.remove(&name);
        target.units.retain(|_, unit| unit.app != name);
        target.relations.retain(|_, relation| !relation.involves(&name));
        // Takes away the machines that were made.
        daemon.apply(&mut shared);
        return Err(fault);
    }
    finish(daemon, &mut shared);
    Ok(json!({"application": name, "charm": charm_name, "revision": revision}))
}

fn finish(daemon: &Arc<Daemon>, shared: &mut Shared) {
    for model in shared.world.models.values_mut() {
        crate::uniter::commit::elect(model, now());
    }
    daemon.apply(shared);
}

/// The machine for this unit: the one that is named, or a new one.
fn machine(model: &mut Model, to: Option<&String>, unit: &str) -> Result<u32> {
    if let Some(to) = to.filter(|to| !to.is_empty()) {
        let id: u32 = to
            .parse()
            .map_err(|_| anyhow!("cannot place a unit on {to:?}: only numbers of machines are known here"))?;
        if !model.machines.contains_key(&id) {
            bail!("machine {id} not found");
        }
        return Ok(id);
    }
    let id = model.next_machine;
    model.next_machine += 1;
    let (address, last) = model.next_address(model.last_address).context("the model has no address left")?;
    model.last_address = last;
    let namespace = model.bridge.as_ref().map(|bridge| format!("{}-{}", bridge.name, unit.replace('/', "-")));
    model.machines.insert(id, Machine { address, since: now(), off: None, cut: false, namespace });
    if let Some(link) = model.link(id)
        && let Err(fault) = network::make_link(&link)
    {
        model.machines.remove(&id);
        return Err(fault);
    }
    Ok(id)
}

fn make_units(
    daemon: &Daemon,
    model: &mut Model,
    app: &str,
    count: u32,
    to: &[String],
    attach: &[String],
) -> Result<()> {
    for id in attach {
        let storage = model.storage.get(id).ok_or_else(|| anyhow!("storage {id:?} not found"))?;
        if count != 1 {
            bail!("--attach-storage cannot be used with more than one unit");
        }
        if let Some(unit) = &storage.unit {
            bail!("cannot attach storage {id:?}: it is attached to {unit:?}");
        }
    }
    for index in 0..count {
        let unit = format!("{app}/{}", model.next_unit.get(app).unwrap_or(&0));
        let machine = machine(model, to.get(index as usize), &unit)?;
        make_unit(daemon, model, app, machine, None, attach)?;
    }
    Ok(())
}

pub(super) fn make_unit(
    daemon: &Daemon,
    model: &mut Model,
    app: &str,
    machine: u32,
    principal: Option<String>,
    attach: &[String],
) -> Result<String> {
    let number = model.next_unit.entry(app.to_owned()).or_insert(0);
    let name = format!("{app}/{number}");
    *number += 1;
    let found = model.apps.get(app).ok_or_else(|| no_app(app))?;
    daemon.make_unit(&model.name, &name, &found.charm.name, found.charm_rev)?;
    let (charm_rev, wanted) = (found.charm_rev, found.storage.clone());
    let leader_settings_seen = found.leader_settings_version;
    let address = model.machines.get(&machine).map(|machine| machine.address.clone()).unwrap_or_default();
    let time = now();
    let unit = Unit {
        name: name.clone(),
        app: app.to_owned(),
        machine,
        address,
        principal,
        life: Life::Alive,
        workload: StatusValue::new("waiting", "waiting for machine", time),
        agent_since: time,
        ports: Default::default(),
        state: BTreeMap::new(),
        local: Local { charm_rev, leader_settings_seen, ..Local::default() },
    };
    model.units.insert(name.clone(), unit);
    let mut given: BTreeMap<String, u32> = BTreeMap::new();
    for id in attach {
        if let Some(storage) = model.storage.get_mut(id) {
            storage.unit = Some(name.clone());
            *given.entry(storage.name.clone()).or_default() += 1;
        }
    }
    for (storage, count) in wanted {
        let missing = count.saturating_sub(given.get(&storage).copied().unwrap_or(0));
        for _ in 0..missing {
            daemon.make_storage(model, &name, &storage)?;
        }
    }
    Ok(name)
}

pub(super) fn add_unit(
    daemon: &Arc<Daemon>,
    name: &ModelRef,
    app: &str,
    count: u32,
    to: &[String],
    attach: &[String],
) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let found = model.apps.get(app).ok_or_else(|| no_app(app))?;
    if found.life == Life::Dying {
        bail!("cannot add unit 1/{count} to application {app:?}: application is not alive");
    }
    if found.charm.subordinate {
        bail!("cannot add unit 1/{count} to application {app:?}: cannot add units to a subordinate application");
    }
    make_units(daemon, model, app, count, to, attach)?;
    relate::make_subordinates(daemon, model)?;
    finish(daemon, &mut shared);
    Ok(Value::Null)
}

pub(super) fn refresh(
    daemon: &Arc<Daemon>,
    name: &ModelRef,
    app: &str,
    path: &Path,
    set: &BTreeMap<String, String>,
) -> Result<Value> {
    let mut shared = daemon.lock();
    let model_name = find_name(&shared.world, name)?;
    let old = model(&mut shared, name)?.apps.get(app).ok_or_else(|| no_app(app))?.charm.name.clone();
    drop(shared);
    let (charm, revision) = store_charm(daemon, &model_name, path)?;
    if charm.name != old {
        bail!("cannot refresh {app:?} from charm {old:?} to {:?}", charm.name);
    }
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let used: Vec<String> = model
        .relations_of(app)
        .filter_map(|relation| relation.of(app))
        .map(|endpoint| endpoint.name.clone())
        .filter(|endpoint| !charm.relations.contains_key(endpoint))
        .collect();
    if let Some(endpoint) = used.first() {
        bail!(
            "cannot upgrade application {app:?} to charm {:?}: would break relation {app:?}:{endpoint:?}",
            charm.name
        );
    }
    let new_values = config::values(&charm, set, &Default::default())?;
    let missing_peers: Vec<(String, String)> = charm
        .relations
        .iter()
        .filter(|(endpoint, def)| {
            def.role == Role::Peer
                && !model
                    .relations_of(app)
                    .any(|relation| relation.is_peer() && relation.of(app).is_some_and(|own| &own.name == *endpoint))
        })
        .map(|(endpoint, def)| (endpoint.clone(), def.interface.clone()))
        .collect();
    for (endpoint, interface) in missing_peers {
        let id = model.next_relation;
        model.next_relation += 1;
        model.relations.insert(
            id,
            Relation {
                id,
                interface,
                container: false,
                life: Life::Alive,
                endpoints: vec![Endpoint { app: app.to_owned(), name: endpoint, role: Role::Peer }],
                app_data: BTreeMap::new(),
                unit_data: BTreeMap::new(),
                in_scope: Default::default(),
            },
        );
    }
    let charm_name = charm.name.clone();
    if let Some(found) = model.apps.get_mut(app) {
        // Options that the new charm does not have, or has with another type, fall back to its default.
        found.config.retain(|key, value| {
            charm.config.get(key).is_some_and(|option| match option.kind.as_str() {
                "int" => value.is_i64(),
                "float" => value.is_number(),
                "boolean" => value.is_boolean(),
                _ => value.is_string(),
            })
        });
        for (storage, def) in &charm.storage {
            found.storage.entry(storage.clone()).or_insert(def.minimum);
        }
        found.config.extend(new_values);
        found.charm = charm;
        found.charm_rev = revision;
    }
    daemon.apply(&mut shared);
    Ok(json!({"charm": charm_name, "revision": revision}))
}
