//! Actions and exec: queue them, watch them, cancel them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, anyhow, bail};
use serde_json::{Map, Value, json};

use super::{ModelRef, Targets, model, no_app, unit_name};
use crate::charm::schema;
use crate::daemon::{Daemon, now};
use crate::model::{Life, Model, Operation, Task, TaskStatus, Time, names};

fn new_operation(model: &mut Model, summary: String) -> u64 {
    let id = model.next_task;
    model.next_task += 1;
    model.operations.insert(id, Operation { id, summary, tasks: Vec::new(), enqueued: now(), fail: String::new() });
    id
}

struct New {
    unit: String,
    name: String,
    params: Map<String, Value>,
    commands: Option<String>,
    lock: Option<String>,
}

fn enqueue(model: &mut Model, operation: u64, new: New) -> u64 {
    let id = model.next_task;
    model.next_task += 1;
    let task = Task {
        id,
        operation,
        unit: new.unit,
        name: new.name,
        params: new.params,
        commands: new.commands,
        status: TaskStatus::Pending,
        message: String::new(),
        results: Map::new(),
        log: Vec::new(),
        enqueued: now(),
        started: None,
        completed: None,
        lock: new.lock,
    };
    model.tasks.insert(id, task);
    if let Some(operation) = model.operations.get_mut(&operation) {
        operation.tasks.push(id);
    }
    id
}

/// What the action's declaration makes of the parameters, or why not.
fn prepare(model: &Model, unit: &str, action: &str, params: &Map<String, Value>) -> Result<New> {
    let app = names::app_of(unit);
    let found = model.apps.get(app).ok_or_else(|| no_app(app))?;
    let def =
        found.charm.actions.get(action).ok_or_else(|| anyhow!("action {action:?} not defined on unit {unit:?}"))?;
    let mut params = params.clone();
    let faults = schema::faults(&def.schema, &Value::Object(params.clone()));
    if !faults.is_empty() {
        bail!("cannot run {action:?} action: validation failed: {}", faults.join("; "));
    }
    schema::insert_defaults(&def.schema, &mut params);
    let lock = match (&def.group, def.parallel) {
        (Some(group), _) => Some(format!("machine-lock-{group}")),
        (None, true) => None,
        (None, false) => Some("machine-lock".to_owned()),
    };
    Ok(New { unit: unit.to_owned(), name: action.to_owned(), params, commands: None, lock })
}

pub(super) fn run(
    daemon: &Arc<Daemon>,
    name: &ModelRef,
    units: &[String],
    action: &str,
    params: &Map<String, Value>,
) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let operation = new_operation(model, format!("{action} run on {}", units.join(",")));
    let mut tasks = Vec::new();
    let mut errors = Vec::new();
    for wanted in units {
        let prepared = unit_name(model, wanted).and_then(|unit| {
            let alive = model.units.get(&unit).is_some_and(|unit| unit.life == Life::Alive || !unit.local.stopped);
            if !alive {
                bail!("unit {unit:?} is not alive");
            }
            prepare(model, &unit, action, params)
        });
        match prepared {
            Ok(new) => {
                let unit = new.unit.clone();
                let id = enqueue(model, operation, new);
                tasks.push(json!({"id": id, "unit": unit}));
            }
            Err(fault) => errors.push(format!("{fault:#}")),
        }
    }
    if let Some(operation) = model.operations.get_mut(&operation) {
        operation.fail = errors.join("; ");
    }
    daemon.commit(&shared);
    Ok(json!({"operation": operation, "tasks": tasks, "errors": errors}))
}

pub(super) fn exec(daemon: &Arc<Daemon>, name: &ModelRef, targets: &Targets, commands: &str) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    // Receivers with the unit that stands for them: a machine's commands run beside its unit.
    let mut receivers: Vec<(String, String)> = Vec::new();
    for unit in &targets.units {
        let unit = unit_name(model, unit)?;
        receivers.push((unit.clone(), unit));
    }
    for app in &targets.apps {
        model.apps.get(app).ok_or_else(|| no_app(app))?;
        receivers.extend(
            model.units.keys().filter(|unit| names::app_of(unit) == app).map(|unit| (unit.clone(), unit.clone())),
        );
    }
    let machines: Vec<String> =
        if targets.all { model.machines.keys().map(u32::to_string).collect() } else { targets.machines.clone() };
    for machine in machines {
        let unit = model.units.values().find(|unit| unit.machine.to_string() == machine);
        let unit = unit.ok_or_else(|| anyhow!("machine {machine:?} not found"))?;
        receivers.push((machine, unit.name.clone()));
    }
    let mut seen = BTreeSet::new();
    receivers.retain(|(receiver, _)| seen.insert(receiver.clone()));
    let operation = new_operation(
        model,
        format!(
            "juju-exec run on {}",
            receivers.iter().map(|(receiver, _)| receiver.as_str()).collect::<Vec<_>>().join(",")
        ),
    );
    let mut tasks = Vec::new();
    for (receiver, unit) in receivers {
        let new = New {
            unit: unit.clone(),
            name: "juju-exec".to_owned(),
            params: Map::from_iter([("command".to_owned(), Value::from(commands))]),
            commands: Some(commands.to_owned()),
            lock: None,
        };
        let id = enqueue(model, operation, new);
        tasks.push(json!({"id": id, "unit": receiver}));
    }
    daemon.commit(&shared);
    Ok(json!({"operation": operation, "tasks": tasks, "errors": []}))
}

fn time(time: Time) -> String {
    time.format("%Y-%m-%d %H:%M:%S %z UTC").to_string()
}

fn describe(task: &Task) -> Value {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("id", Value::from(task.id.to_string()));
    put("status", Value::from(task.status.text()));
    if !task.message.is_empty() {
        put("message", Value::from(task.message.clone()));
    }
    if !task.results.is_empty() {
        put("results", Value::Object(task.results.clone()));
    }
    if !task.log.is_empty() {
        let lines: Vec<Value> =
            task.log.iter().map(|(at, text)| Value::from(format!("{} {text}", time(*at)))).collect();
        put("log", Value::Array(lines));
    }
    let mut timing = Map::new();
    for (key, at) in [("enqueued", Some(task.enqueued)), ("started", task.started), ("completed", task.completed)] {
        if let Some(at) = at {
            timing.insert(key.to_owned(), Value::from(time(at)));
        }
    }
    put("timing", Value::Object(timing));
    put("unit", Value::from(task.unit.clone()));
    Value::Object(map)
}

/// The task as Juju shows it, and log lines that are new since `seen`.
pub(super) fn task(daemon: &Daemon, name: &ModelRef, id: u64, seen: usize, wait: bool) -> Result<Value> {
    let mut shared = daemon.lock();
    let deadline = std::time::Instant::now() + Duration::from_secs(2);
    loop {
        let found = model(&mut shared, name)?.tasks.get(&id).ok_or_else(|| anyhow!("task \"{id}\" not found"))?;
        let news = found.status.is_over() || found.log.len() > seen;
        if news || !wait || std::time::Instant::now() > deadline {
            let lines: Vec<Value> = found
                .log
                .iter()
                .skip(seen)
                .map(|(at, text)| {
                    Value::from(format!("{} {text}", at.with_timezone(&chrono::Local).format("%H:%M:%S")))
                })
                .collect();
            return Ok(
                json!({"over": found.status.is_over(), "lines": lines, "task": describe(found), "action": found.name}),
            );
        }
        shared = daemon.wait(shared, Duration::from_secs(1));
    }
}

pub(super) fn cancel(daemon: &Daemon, name: &ModelRef, ids: &[u64]) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let mut told = Map::new();
    for id in ids {
        let task = model.tasks.get_mut(id).ok_or_else(|| anyhow!("task \"{id}\" not found"))?;
        match task.status {
            TaskStatus::Pending => {
                task.status = TaskStatus::Cancelled;
                "action cancelled via the API".clone_into(&mut task.message);
                task.completed = Some(now());
            }
            TaskStatus::Running => {
                task.status = TaskStatus::Aborting;
                let running = model.units.get(&task.unit).and_then(|unit| unit.local.running.as_ref());
                // Only the dispatch process; its children live on.
                if let Some(pid) = running.and_then(|running| running.pid) {
                    let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
                }
            }
            _ => {}
        }
        told.insert(id.to_string(), describe(task));
    }
    daemon.commit(&shared);
    Ok(Value::Object(told))
}

fn status_of(model: &Model, operation: &Operation) -> &'static str {
    let tasks: Vec<TaskStatus> =
        operation.tasks.iter().filter_map(|id| model.tasks.get(id)).map(|task| task.status).collect();
    let order = [
        TaskStatus::Running,
        TaskStatus::Aborting,
        TaskStatus::Pending,
        TaskStatus::Failed,
        TaskStatus::Cancelled,
        TaskStatus::Aborted,
    ];
    order
        .into_iter()
        .find(|status| tasks.contains(status))
        .map_or(if tasks.is_empty() { "error" } else { "completed" }, TaskStatus::text)
}

pub(super) fn list(daemon: &Daemon, name: &ModelRef, id: Option<u64>) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    if let Some(id) = id.filter(|id| !model.operations.contains_key(id)) {
        bail!("operation \"{id}\" not found");
    }
    let mut found = Map::new();
    for operation in model.operations.values().filter(|operation| id.is_none_or(|id| operation.id == id)) {
        let tasks: Map<String, Value> = operation
            .tasks
            .iter()
            .filter_map(|id| model.tasks.get(id))
            .map(|task| {
                let mut value = describe(task);
                if let Value::Object(map) = &mut value {
                    map.remove("id");
                    map.insert("host".to_owned(), Value::from(task.unit.clone()));
                }
                (task.id.to_string(), value)
            })
            .collect();
        let completed = operation.tasks.iter().filter_map(|id| model.tasks.get(id)?.completed).max();
        let started = operation.tasks.iter().filter_map(|id| model.tasks.get(id)?.started).min();
        let mut timing = Map::new();
        for (key, at) in [("enqueued", Some(operation.enqueued)), ("started", started), ("completed", completed)] {
            if let Some(at) = at {
                timing.insert(key.to_owned(), Value::from(time(at)));
            }
        }
        found.insert(operation.id.to_string(), json!({
            "summary": operation.summary,
            "status": status_of(model, operation),
            "action": {"name": operation.tasks.first().and_then(|id| model.tasks.get(id)).map(|task| task.name.clone())},
            "timing": timing,
            "tasks": tasks,
            "error": operation.fail,
        }));
    }
    Ok(Value::Object(found))
}

pub(super) fn actions(daemon: &Daemon, name: &ModelRef, app: &str) -> Result<Value> {
    let mut shared = daemon.lock();
    let found = model(&mut shared, name)?.apps.get(app).ok_or_else(|| no_app(app))?;
    let actions: Map<String, Value> = found
        .charm
        .actions
        .iter()
        .map(|(name, def)| (name.clone(), json!({"description": def.description, "schema": def.schema})))
        .collect();
    Ok(Value::Object(actions))
}
