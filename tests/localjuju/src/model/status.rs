//! What status shows: workload and agent status of units, and an application's status from its units. Pure.

use super::{Life, Model, StatusValue, Unit, Work};

/// A failed hook shows as the workload's error.
pub(crate) fn workload(unit: &Unit) -> StatusValue {
    match &unit.local.failed {
        Some(failed) => StatusValue::new("error", &format!("hook failed: {:?}", failed.hook.name()), failed.since),
        None => unit.workload.clone(),
    }
}

/// What is known of a unit whose machine does not answer.
pub(crate) fn shown_workload(model: &Model, unit: &Unit) -> StatusValue {
    let known = workload(unit);
    match model.off_since(&unit.name).filter(|_| known.current != "error") {
        Some(since) => {
            let text = format!("agent lost, see 'juju show-status-log {}'", unit.name);
            StatusValue::new("unknown", &text, since)
        }
        None => known,
    }
}

pub(crate) const LOST: &str = "agent is not communicating with the server";

pub(crate) fn agent(model: &Model, unit: &Unit) -> StatusValue {
    if let Some(since) = model.off_since(&unit.name) {
        return StatusValue::new("lost", LOST, since);
    }
    let since = unit.agent_since;
    match unit.local.running.as_ref().map(|running| &running.what) {
        Some(Work::Hook(hook)) => StatusValue::new("executing", &format!("running {} hook", hook.name()), since),
        Some(Work::Task(id)) => {
            let name = model.tasks.get(id).map_or("", |task| task.name.as_str());
            let text =
                if name == "juju-exec" { "running commands".to_owned() } else { format!("running action {name}") };
            StatusValue::new("executing", &text, since)
        }
        Some(Work::Command(_)) => StatusValue::new("executing", "running commands", since),
        None if unit.local.failed.is_some() => StatusValue::new("idle", "", since),
        None if !unit.local.installed => StatusValue::new("allocating", "", since),
        None if !unit.local.started && unit.life == Life::Alive => StatusValue::new("executing", "", since),
        None => StatusValue::new("idle", "", since),
    }
}

/// The worst of the units', unless the leader has set one.
pub(crate) fn of_application(model: &Model, name: &str) -> Option<StatusValue> {
    const WORST: [&str; 8] = ["error", "blocked", "maintenance", "waiting", "active", "terminated", "unknown", ""];
    let app = model.apps.get(name)?;
    if let Some(status) = &app.status {
        return Some(status.clone());
    }
    let units = model.units.values().filter(|unit| unit.app == name).map(workload);
    let rank = |status: &StatusValue| WORST.iter().position(|word| *word == status.current).unwrap_or(WORST.len());
    let worst = units.min_by_key(rank);
    Some(worst.unwrap_or_else(|| StatusValue::new("unknown", "", app.deployed)))
}
