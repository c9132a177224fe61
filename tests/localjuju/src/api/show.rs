//! status, show-unit, show-application, debug-log: the whole model as JSON.

use std::collections::BTreeSet;
use std::io::{Read as _, Seek as _, SeekFrom};

use anyhow::Result;
use serde_json::{Map, Value, json};

use super::{ModelRef, find_name, model, models, no_app, unit_name};
use crate::daemon::{Daemon, files, now};
use crate::model::hosts::hardware_address;
use crate::model::status::{LOST, agent, of_application, shown_workload};
use crate::model::{App, Life, Model, Relation, StatusValue, Time, Unit, names};
use crate::uniter::environ::JUJU_VERSION;

const BASE: &str = "24.04";

fn since(time: Time) -> String {
    time.format("%d %b %Y %H:%M:%SZ").to_string()
}

fn shown(status: &StatusValue) -> Map<String, Value> {
    let mut map = Map::new();
    map.insert("current".to_owned(), Value::from(status.current.clone()));
    if !status.message.is_empty() {
        map.insert("message".to_owned(), Value::from(status.message.clone()));
    }
    map.insert("since".to_owned(), Value::from(since(status.since)));
    map
}

pub(super) fn status(daemon: &Daemon, name: &ModelRef) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let apps: Map<String, Value> = model.apps.values().map(|app| (app.name.clone(), application(model, app))).collect();
    let machines: Map<String, Value> = model
        .machines
        .iter()
        .map(|(id, machine)| {
            let started = match machine.off {
                Some(since) => StatusValue::new("down", LOST, since),
                None => StatusValue::new("started", "", machine.since),
            };
            let running = StatusValue::new("running", "Running", machine.since);
            let mut agent = shown(&started);
            agent.insert("version".to_owned(), Value::from(JUJU_VERSION));
            let mut value = json!({
                "juju-status": agent,
                "hostname": format!("localjuju-{id}"),
                "dns-name": machine.address,
                "ip-addresses": [machine.address],
                "instance-id": format!("localjuju-{}-{id}", model.name),
                "machine-status": shown(&running),
                "modification-status": shown(&StatusValue::new("idle", "", machine.since)),
                "base": {"name": "ubuntu", "channel": BASE},
                "network-interfaces": {model.interface(): {"ip-addresses": [machine.address], "mac-address": hardware_address(&machine.address), "is-up": machine.off.is_none()}},
                "hardware": "arch=amd64",
            });
            if let Some(namespace) = &machine.namespace {
                value["network-namespace"] = Value::from(namespace.clone());
            }
            (id.to_string(), value)
        })
        .collect();
    let model_status =
        StatusValue::new(if model.life == Life::Alive { "available" } else { "destroying" }, "", model.created);
    Ok(json!({
        "model": {
            "name": model.name,
            "type": "iaas",
            "controller": models::CONTROLLER,
            "cloud": "localhost",
            "region": "localhost",
            "version": JUJU_VERSION,
            "model-status": shown(&model_status),
            "sla": "unsupported",
        },
        "machines": machines,
        "applications": apps,
        "storage": storage(model),
        "controller": {"timestamp": now().format("%H:%M:%SZ").to_string()},
    }))
}

fn application(model: &Model, app: &App) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    let status = of_application(model, &app.name).unwrap_or_else(|| StatusValue::new("unknown", "", app.deployed));
    let principals: BTreeSet<String> = model
        .relations_of(&app.name)
        .filter(|relation| relation.container && app.charm.subordinate)
        .filter_map(|relation| relation.remote(&app.name))
        .map(|far| far.app.clone())
        .collect();
    put("charm", Value::from(format!("local:{}-{}", app.charm.name, app.charm_rev)));
    put("base", json!({"name": "ubuntu", "channel": BASE}));
    put("charm-origin", Value::from("local"));
    put("charm-name", Value::from(app.charm.name.clone()));
    put("charm-rev", Value::from(app.charm_rev));
    if !app.charm.version.is_empty() {
        put("charm-version", Value::from(app.charm.version.clone()));
    }
    put("exposed", Value::from(app.exposed));
    if app.life == Life::Dying {
        put("life", Value::from("dying"));
    }
    put("application-status", Value::Object(shown(&status)));
    put("relations", relations(model, app));
    if app.charm.subordinate {
        put("subordinate-to", json!(principals));
    }
    let mut units: Vec<&Unit> =
        model.units.values().filter(|unit| unit.app == app.name && unit.principal.is_none()).collect();
    units.sort_by_key(|unit| names::natural(&unit.name));
    if !units.is_empty() {
        let units: Map<String, Value> =
            units.into_iter().map(|unit| (unit.name.clone(), unit_status(model, unit))).collect();
        put("units", Value::Object(units));
    }
    if !app.version.is_empty() {
        put("version", Value::from(app.version.clone()));
    }
    let bindings = app.charm.relations.keys().chain(&app.charm.bindings).filter(|name| *name != "juju-info");
    let mut spaces: Map<String, Value> = bindings.map(|name| (name.clone(), Value::from("alpha"))).collect();
    spaces.insert(String::new(), Value::from("alpha"));
    put("endpoint-bindings", Value::Object(spaces));
    Value::Object(map)
}

fn relations(model: &Model, app: &App) -> Value {
    let mut map: Map<String, Value> = Map::new();
    for relation in model.relations_of(&app.name) {
        let (Some(near), Some(far)) = (relation.of(&app.name), relation.remote(&app.name)) else { continue };
        let scope = if relation.container { "container" } else { "global" };
        let entry = json!({"related-application": far.app, "interface": relation.interface, "scope": scope});
        if let Value::Array(list) = map.entry(near.name.clone()).or_insert_with(|| json!([])) {
            list.push(entry);
        }
    }
    Value::Object(map)
}

fn ports(unit: &Unit) -> Vec<String> {
    let found: BTreeSet<String> = unit.ports.iter().map(crate::model::Port::range).collect();
    found.into_iter().collect()
}

fn unit_status(model: &Model, unit: &Unit) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("workload-status", Value::Object(shown(&shown_workload(model, unit))));
    let mut agent = shown(&agent(model, unit));
    agent.insert("version".to_owned(), Value::from(JUJU_VERSION));
    if unit.life == Life::Dying {
        agent.insert("life".to_owned(), Value::from("dying"));
    }
    put("juju-status", Value::Object(agent));
    if model.apps.get(&unit.app).is_some_and(|app| app.leader.as_ref() == Some(&unit.name)) {
        put("leader", Value::Bool(true));
    }
    if unit.principal.is_none() {
        put("machine", Value::from(unit.machine.to_string()));
    }
    let ports = ports(unit);
    if !ports.is_empty() {
        put("open-ports", json!(ports));
    }
    put("public-address", Value::from(unit.address.clone()));
    let subordinates: Map<String, Value> = model
        .units
        .values()
        .filter(|other| other.principal.as_ref() == Some(&unit.name))
        .map(|other| (other.name.clone(), unit_status(model, other)))
        .collect();
    if !subordinates.is_empty() {
        put("subordinates", Value::Object(subordinates));
    }
    Value::Object(map)
}

fn storage(model: &Model) -> Value {
    if model.storage.is_empty() {
        return json!({});
    }
    let (mut instances, mut filesystems) = (Map::new(), Map::new());
    for (index, storage) in model.storage.values().enumerate() {
        let unit = storage.unit.as_ref().and_then(|name| model.units.get(name));
        let state = if unit.is_some() { "attached" } else { "detached" };
        let life = if storage.destroy { "dying" } else { "alive" };
        let mut entry = json!({
            "kind": storage.kind,
            "life": life,
            "status": {"current": state, "since": since(storage.since)},
            "persistent": false,
        });
        let mut attachments = json!({"machines": {}, "units": {}});
        if let (Some(unit), Value::Object(map)) = (unit, &mut entry) {
            let machine = unit.machine.to_string();
            let attached = json!({unit.name.clone(): {"machine": machine, "location": storage.location, "life": life}});
            map.insert("attachments".to_owned(), json!({"units": attached}));
            attachments = json!({
                "machines": {machine: {"mount-point": storage.location, "read-only": false, "life": life}},
                "units": attached,
            });
        }
        instances.insert(storage.id.clone(), entry);
        filesystems.insert(
            index.to_string(),
            json!({
                "provider-id": storage.location,
                "storage": storage.id,
                "attachments": attachments,
                "pool": "rootfs",
                "size": 1024,
                "life": life,
                "status": {"current": state, "since": since(storage.since)},
            }),
        );
    }
    json!({"storage": instances, "filesystems": filesystems})
}

pub(super) fn units(daemon: &Daemon, name: &ModelRef, wanted: &[String]) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let mut found = Map::new();
    for wanted in wanted {
        let name = unit_name(model, wanted)?;
        if let (Some(unit), Some(app)) = (model.units.get(&name), model.apps.get(names::app_of(&name))) {
            found.insert(name.clone(), show_unit(model, unit, app));
        }
    }
    Ok(Value::Object(found))
}

fn show_unit(model: &Model, unit: &Unit, app: &App) -> Value {
    let info: Vec<Value> = unit
        .local
        .relations
        .iter()
        .filter_map(|(id, local)| model.relations.get(id).map(|relation| (relation, local)))
        .map(|(relation, local)| relation_info(model, relation, unit, local.members.keys().collect()))
        .collect();
    let mut value = json!({
        "workload-version": app.version,
        "machine": unit.machine.to_string(),
        "opened-ports": ports(unit),
        "public-address": unit.address,
        "address": unit.address,
        "charm": format!("local:{}-{}", app.charm.name, app.charm_rev),
        "leader": app.leader.as_ref() == Some(&unit.name),
        "life": if unit.life == Life::Alive { "alive" } else { "dying" },
        "relation-info": info,
    });
    if let Some(namespace) = model.namespace(&unit.name) {
        value["network-namespace"] = Value::from(namespace);
    }
    value
}

fn relation_info(_model: &Model, relation: &Relation, unit: &Unit, members: Vec<&String>) -> Value {
    let far = relation.remote(&unit.app);
    let bag = |name: &str| {
        let data = relation.unit_data.get(name).map(|bag| bag.data.clone()).unwrap_or_default();
        json!({"in-scope": relation.in_scope.contains(name), "data": data})
    };
    let related: Map<String, Value> = members.into_iter().map(|name| (name.clone(), bag(name))).collect();
    let data = far.and_then(|far| relation.app_data.get(&far.app)).map(|bag| bag.data.clone()).unwrap_or_default();
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("relation-id", Value::from(relation.id));
    put("endpoint", Value::from(relation.of(&unit.app).map(|own| own.name.clone()).unwrap_or_default()));
    put("related-endpoint", Value::from(far.map(|far| far.name.clone()).unwrap_or_default()));
    put("application-data", json!(data));
    put("local-unit", bag(&unit.name));
    if !related.is_empty() {
        put("related-units", Value::Object(related));
    }
    Value::Object(map)
}

pub(super) fn applications(daemon: &Daemon, name: &ModelRef, apps: &[String]) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let mut found = Map::new();
    for name in apps {
        let app = model.apps.get(name).ok_or_else(|| no_app(name))?;
        found.insert(
            name.clone(),
            json!({
                "charm": app.charm.name,
                "base": format!("ubuntu@{BASE}"),
                "principal": !app.charm.subordinate,
                "exposed": app.exposed,
                "remote": false,
                "life": if app.life == Life::Alive { "alive" } else { "dying" },
            }),
        );
    }
    Ok(Value::Object(found))
}

pub(super) fn log(daemon: &Daemon, name: &ModelRef, from: u64) -> Result<Value> {
    let shared = daemon.lock();
    let name = find_name(&shared.world, name)?;
    drop(shared);
    let mut text = String::new();
    let path = files::model_directory(&daemon.home, &name).join("debug.log");
    let mut next = from;
    if let Ok(mut file) = std::fs::File::open(path) {
        file.seek(SeekFrom::Start(from))?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        // A line that is being written is left for the next time.
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.truncate(whole);
        next += whole as u64;
        text = String::from_utf8_lossy(&bytes).into_owned();
    }
    let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Ok(json!({"lines": lines, "next": next}))
}
