//! add-model, destroy-model, models, switch, show-model, model-config.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};

use super::{ModelRef, bare, find_name, lifecycle, model, network};
use crate::daemon::{Daemon, files, now, remove};
use crate::ids;
use crate::model::{Life, Model, World, names};
use crate::uniter::environ::JUJU_VERSION;

/// How long destroy-model waits for the units to end by themselves before it says so.
const PATIENCE: Duration = Duration::from_secs(600);

pub(super) const CONTROLLER: &str = "localjuju";

/// Model settings that are known, with their defaults. Others are taken and kept.
#[rustfmt::skip]
const SETTINGS: &[(&str, &str)] = &[
    ("automatically-retry-hooks", "true"),
    ("development", "false"),
    ("juju-ftp-proxy", ""),
    ("juju-http-proxy", ""),
    ("juju-https-proxy", ""),
    ("juju-no-proxy", "127.0.0.1,localhost,::1"),
    ("localjuju-leader-timeout", "30s"),
    ("localjuju-network", "loopback"),
    ("localjuju-retry-max", "5m"),
    ("localjuju-retry-min", "5s"),
    ("logging-config", "<root>=INFO"),
    ("secret-backend", "auto"),
    ("update-status-hook-interval", "5m"),
];

pub(super) fn create(daemon: &Daemon, world: &mut World, name: &str, config: BTreeMap<String, String>) -> Result<()> {
    if !names::is_model(name) {
        bail!("{name:?} is not a valid name: model names may only contain lowercase letters, digits and hyphens");
    }
    if world.models.contains_key(name) {
        bail!("failed to create new model: model {name:?} for admin already exists");
    }
    check_settings(&config)?;
    make_directories(&files::model_directory(&daemon.home, name))?;
    let wants_bridge = config.get(network::SETTING).is_some_and(|kind| kind == network::NAMESPACES);
    let bridge = wants_bridge.then(|| network::make(world)).transpose();
    let bridge = bridge.inspect_err(|_| {
        let _ = fs::remove_dir_all(files::model_directory(&daemon.home, name));
    })?;
    let created = Model {
        name: name.to_owned(),
        uuid: ids::uuid(),
        created: now(),
        subnet: free_subnet(world),
        bridge,
        last_address: 0,
        config,
        apps: BTreeMap::new(),
        units: BTreeMap::new(),
        machines: BTreeMap::new(),
        relations: BTreeMap::new(),
        storage: BTreeMap::new(),
        secrets: BTreeMap::new(),
        tasks: BTreeMap::new(),
        operations: BTreeMap::new(),
        next_task: 1,
        next_relation: 0,
        next_storage: 0,
        next_machine: 0,
        next_unit: BTreeMap::new(),
        life: Life::Alive,
    };
    world.models.insert(name.to_owned(), created);
    Ok(())
}

fn make_directories(model: &Path) -> Result<()> {
    for part in ["agents", "charms", "storage", "tools"] {
        files::make_directory(&model.join(part))?;
    }
    // Charms may hold what only their units should read.
    fs::set_permissions(model.join("charms"), std::os::unix::fs::PermissionsExt::from_mode(0o700))?;
    Ok(())
}

/// A `127.a.b.0/24` that no model of this home has and in which nobody listens.
fn free_subnet(world: &World) -> (u8, u8) {
    let mut taken: BTreeSet<(u8, u8)> = world.models.values().map(|model| model.subnet).collect();
    for table in ["tcp", "udp"] {
        let text = fs::read_to_string(format!("/proc/net/{table}")).unwrap_or_default();
        taken.extend(text.lines().skip(1).filter_map(|line| {
            let address = line.split_whitespace().nth(1)?.split(':').next()?;
            let [first, a, b, _] = u32::from_str_radix(address, 16).ok()?.to_le_bytes();
            (first == 127).then_some((a, b))
        }));
    }
    loop {
        let [a, b] = ids::bytes::<2>();
        let subnet = (a.clamp(1, 254), b.min(254));
        if !taken.contains(&subnet) {
            return subnet;
        }
    }
}

pub(super) fn add(daemon: &Arc<Daemon>, name: &str, switch: bool, config: BTreeMap<String, String>) -> Result<Value> {
    let mut shared = daemon.lock();
    let name = bare(name);
    create(daemon, &mut shared.world, name, config)?;
    if switch || shared.world.current.is_none() {
        shared.world.current = Some(name.to_owned());
    }
    daemon.commit(&shared);
    Ok(json!({ "name": name }))
}

/// Removes everything: first the units by their hooks (unless forced), then every process and file.
pub(super) fn destroy(daemon: &Arc<Daemon>, name: &str, force: bool, client: Option<i32>) -> Result<Value> {
    let mut shared = daemon.lock();
    let name = find_name(&shared.world, &Some(name.to_owned()))?;
    let model = shared.world.models.get_mut(&name).context("model not found")?;
    let off: Vec<&String> = model.units.keys().filter(|unit| model.is_off(unit)).collect();
    if !force && !off.is_empty() {
        bail!("units {off:?} are powered off and cannot end: power them on, or use --force");
    }
    model.life = Life::Dying;
    let uuid = model.uuid.clone();
    for storage in model.storage.values_mut() {
        storage.destroy = true;
    }
    let apps: Vec<String> = model.apps.keys().cloned().collect();
    for app in apps {
        lifecycle::kill_application(model, &app, true, force);
    }
    let deadline = Instant::now() + PATIENCE;
    if force {
        lifecycle::kill_running(model);
    }
    daemon.apply(&mut shared);
    loop {
        let Some(model) = shared.world.models.get(&name).filter(|model| model.uuid == uuid) else {
            bail!("model {name:?} not found");
        };
        if model.units.is_empty() || force {
            break;
        }
        if Instant::now() > deadline {
            let stuck: Vec<&String> = model.units.keys().collect();
            bail!("timed out: units {stuck:?} do not end; see their status, or use --force");
        }
        shared = daemon.wait(shared, Duration::from_secs(1));
    }
    let removed = shared.world.models.get(&name);
    let bridge = removed.and_then(|model| model.bridge.clone());
    let spaces = removed
        .into_iter()
        .flat_map(|model| model.machines.values())
        .filter_map(|machine| crate::daemon::network::inode(machine.namespace.as_deref()?));
    let subnet_users = remove::Traces {
        networks: spaces.collect(),
        directories: vec![files::model_directory(&daemon.home, &name)],
        variables: vec![vec![format!("JUJU_MODEL_UUID={uuid}")]],
    };
    shared.world.models.remove(&name);
    if shared.world.current.as_ref() == Some(&name) {
        shared.world.current = None;
    }
    daemon.commit(&shared);
    // The agents' threads must have let go of their sockets and files.
    let patience = Instant::now() + Duration::from_secs(20);
    drop(shared);
    let left = remove::end_processes(&subnet_users, &remove::protected(client));
    let mut shared = daemon.lock();
    while shared.live.threads.iter().any(|(model, _)| model == &uuid) && Instant::now() < patience {
        shared = daemon.wait(shared, Duration::from_millis(100));
    }
    drop(shared);
    if let Some(bridge) = bridge {
        crate::daemon::network::remove_bridge(&bridge);
    }
    let directory = files::model_directory(&daemon.home, &name);
    let mut gone = fs::remove_dir_all(&directory);
    while directory.exists() && Instant::now() < patience {
        // Somebody wrote a file while we removed.
        gone = fs::remove_dir_all(&directory);
    }
    if directory.exists() {
        gone.with_context(|| format!("removing {}", directory.display()))?;
    }
    let shared = daemon.lock();
    let ends = shared.world.models.is_empty();
    Ok(json!({"name": name, "ends": ends, "pid": std::process::id(), "left": left}))
}

pub(super) fn list(daemon: &Daemon) -> Result<Value> {
    let shared = daemon.lock();
    let models: Vec<Value> = shared.world.models.values().map(|model| info(&shared.world, model)).collect();
    Ok(json!({"models": models, "current-model": shared.world.current}))
}

fn info(world: &World, model: &Model) -> Value {
    let machines: Map<String, Value> = model.machines.keys().map(|id| (id.to_string(), json!({"cores": 1}))).collect();
    json!({
        "name": format!("admin/{}", model.name),
        "short-name": model.name,
        "model-uuid": model.uuid,
        "model-type": "iaas",
        "controller-uuid": "00000000-0000-4000-8000-000000000000",
        "controller-name": CONTROLLER,
        "is-controller": false,
        "owner": "admin",
        "cloud": "localhost",
        "region": "localhost",
        "type": "localjuju",
        "life": if model.life == Life::Alive { "alive" } else { "dying" },
        "status": {"current": if model.life == Life::Alive { "available" } else { "destroying" }, "since": model.created.format("%Y-%m-%d").to_string()},
        "users": {"admin": {"display-name": "admin", "access": "admin", "last-connection": "just now"}},
        "machines": machines,
        "unit-count": model.units.len(),
        "agent-version": JUJU_VERSION,
        "is-current": world.current.as_ref() == Some(&model.name),
    })
}

pub(super) fn switch(daemon: &Daemon, name: Option<String>) -> Result<Value> {
    let mut shared = daemon.lock();
    let before = shared.world.current.clone();
    let Some(name) = name else {
        let name = find_name(&shared.world, &None)?;
        return Ok(json!({ "current": name }));
    };
    let name = find_name(&shared.world, &Some(name))?;
    shared.world.current = Some(name.clone());
    daemon.commit(&shared);
    Ok(json!({"before": before, "current": name}))
}

pub(super) fn show(daemon: &Daemon, name: &ModelRef) -> Result<Value> {
    let shared = daemon.lock();
    let name = find_name(&shared.world, name)?;
    let model = shared.world.models.get(&name).context("model not found")?;
    Ok(json!({ name: info(&shared.world, model) }))
}

const TIMES: [&str; 4] =
    ["update-status-hook-interval", "localjuju-retry-min", "localjuju-retry-max", "localjuju-leader-timeout"];

fn check_settings(config: &BTreeMap<String, String>) -> Result<()> {
    for (key, value) in config {
        let is_time = TIMES.contains(&key.as_str());
        if is_time && crate::uniter::commit::duration(value).is_none_or(|time| time <= chrono::Duration::zero()) {
            bail!("invalid {key} in model configuration: time: invalid duration {value:?}");
        }
        if key == "automatically-retry-hooks" && !matches!(value.as_str(), "true" | "false") {
            bail!("{key}: expected bool, got string({value:?})");
        }
        network::check(key, value)?;
    }
    Ok(())
}

pub(super) fn config(
    daemon: &Arc<Daemon>,
    name: &ModelRef,
    set: BTreeMap<String, String>,
    reset: &[String],
) -> Result<Value> {
    check_settings(&set)?;
    let mut shared = daemon.lock();
    network::switch(&mut shared, name, &set, reset)?;
    let changed = !set.is_empty() || !reset.is_empty();
    let new_interval = set.contains_key("update-status-hook-interval");
    let model = model(&mut shared, name)?;
    model.config.extend(set);
    for key in reset {
        model.config.remove(key);
    }
    if new_interval {
        let next = now() + crate::uniter::commit::interval(model);
        for unit in model.units.values_mut().filter(|unit| unit.local.started) {
            unit.local.update_status_at = Some(next);
        }
    }
    let mut values: Map<String, Value> = Map::new();
    let mut put = |key: &str, value: &str, source: &str| {
        let value = match value {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            text => Value::from(text),
        };
        values.insert(key.to_owned(), json!({"Value": value, "Source": source}));
    };
    for (key, value) in SETTINGS {
        put(key, value, "default");
    }
    for (key, value) in &model.config {
        put(key, value, "model");
    }
    if changed {
        daemon.apply(&mut shared);
    }
    Ok(Value::Object(values))
}
