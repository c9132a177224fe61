//! What the end of an operation changes in the unit's memory and in the model. Pure on the model.

use std::collections::{BTreeMap, BTreeSet};

use chrono::Duration;

use super::hook::{Hook, RelationHook, RelationKind};
use super::resolver::{addresses, config_mark};
use crate::model::secrets::rotation;
use crate::model::{Failed, Life, Model, StatusValue, Time, names};

/// A hook ended well (or was skipped by `resolved --no-retry`).
pub(crate) fn done(model: &mut Model, name: &str, hook: &Hook, config_mark_at_start: Option<u64>, now: Time) {
    let interval = interval(model);
    let Some(unit) = model.units.get_mut(name) else { return };
    unit.local.failed = None;
    // The start that follows a boot comes before a hook that the boot has interrupted.
    let boot = *hook == Hook::Start && std::mem::take(&mut unit.local.rebooted);
    if !boot {
        unit.local.queued = None;
    }
    let app = unit.app.clone();
    match hook {
        Hook::Install => {
            unit.local.installed = true;
            unit.local.charm_rev = model.apps.get(&app).map_or(0, |app| app.charm_rev);
        }
        Hook::Start => {
            unit.local.started = true;
            unit.local.update_status_at = Some(now + interval);
            // A charm that has set no status by now has none to show.
            if unit.workload.current == "maintenance" && unit.workload.message == "installing charm software" {
                unit.workload = StatusValue::new("unknown", "", now);
            }
        }
        Hook::Stop => {
            unit.local.stopped = true;
        }
        Hook::Remove => unit.local.removed = true,
        Hook::ConfigChanged => {
            unit.local.config_seen =
                config_mark_at_start.or_else(|| model.apps.get(&app).map(|app| config_mark(app, &unit.address)));
            if !unit.local.started {
                unit.local.queued = Some(Hook::Start);
            }
            announce_address(model, name);
        }
        Hook::UpgradeCharm => unit.local.queued = Some(Hook::ConfigChanged),
        Hook::UpdateStatus => unit.local.update_status_at = Some(now + interval),
        Hook::LeaderElected => unit.local.leader = true,
        Hook::Relation(relation) => relation_done(model, name, relation),
        Hook::StorageAttached(id) => {
            unit.local.attached.insert(id.clone());
            unit.local.used.insert(id.clone());
        }
        Hook::StorageDetaching(id) => {
            unit.local.attached.remove(id);
            if let Some(storage) = model.storage.get_mut(id) {
                storage.unit = None;
            }
        }
        // Noted when they began: what comes while they run is announced again.
        Hook::LeaderSettingsChanged | Hook::SecretChanged(_) => {}
        Hook::SecretRotate(id) => {
            if let Some(secret) = model.secrets.get_mut(id) {
                secret.next_rotate = secret.rotate.as_deref().and_then(rotation).map(|every| now + every);
            }
        }
        Hook::SecretExpired(id, revision) => {
            unit.local.expired_seen.insert((id.clone(), *revision));
        }
        Hook::SecretRemove(id, revision) => {
            unit.local.obsolete_seen.insert((id.clone(), *revision));
        }
    }
}

/// The charm's status while a hook that says so by itself runs, as Juju sets it.
pub(crate) fn begin(model: &mut Model, name: &str, hook: &Hook, now: Time) {
    let Some(unit) = model.units.get_mut(name) else { return };
    match hook {
        Hook::Install => unit.workload = StatusValue::new("maintenance", "installing charm software", now),
        Hook::Stop => unit.workload = StatusValue::new("maintenance", "stopping charm software", now),
        Hook::UpgradeCharm => {
            unit.local.charm_rev = model.apps.get(&unit.app).map_or(0, |app| app.charm_rev);
        }
        Hook::SecretChanged(id) => {
            let latest = model.secrets.get(id).map_or(0, |secret| secret.latest);
            unit.local.secrets_seen.insert(id.clone(), latest);
        }
        Hook::LeaderSettingsChanged => {
            unit.local.leader_settings_seen = model.apps.get(&unit.app).map_or(0, |app| app.leader_settings_version);
        }
        Hook::Remove => unit.workload = StatusValue::new("terminated", "", now),
        _ => {}
    }
}

/// Juju refreshes the addresses in the unit's own bags with the end of config-changed.
fn announce_address(model: &mut Model, name: &str) {
    let Some(unit) = model.units.get(name) else { return };
    let data = addresses(&unit.address);
    for id in unit.local.relations.keys() {
        if let Some(bag) = model.relations.get_mut(id).and_then(|relation| relation.unit_data.get_mut(name)) {
            bag.change(&data);
        }
    }
}

fn relation_done(model: &mut Model, name: &str, hook: &RelationHook) {
    let Some(unit) = model.units.get_mut(name) else { return };
    if hook.kind == RelationKind::Broken {
        unit.local.relations.remove(&hook.id);
        if let Some(relation) = model.relations.get_mut(&hook.id) {
            relation.in_scope.remove(name);
        }
        return;
    }
    let Some(local) = unit.local.relations.get_mut(&hook.id) else { return };
    match (hook.kind, &hook.unit) {
        (RelationKind::Created, _) => local.created = true,
        (RelationKind::Joined, Some(member)) => {
            local.members.insert(member.clone(), hook.version);
            local.changed_pending = Some(member.clone());
        }
        (RelationKind::Changed, Some(member)) => {
            local.changed_pending = None;
            local.members.insert(member.clone(), hook.version);
        }
        (RelationKind::Changed, None) => {
            local.apps.insert(hook.app.clone(), hook.version);
        }
        (RelationKind::Departed, Some(member)) => {
            local.members.remove(member);
        }
        _ => {}
    }
}

/// The hook failed: the unit is in error until a retry succeeds. Nothing of it was flushed.
pub(crate) fn failed(model: &mut Model, name: &str, hook: &Hook, jitter: f64, now: Time) {
    let retry = model.config.get("automatically-retry-hooks").is_none_or(|value| value != "false");
    let (first, most) =
        (retry_time(model, "localjuju-retry-min", 5.0), retry_time(model, "localjuju-retry-max", 300.0));
    let Some(unit) = model.units.get_mut(name) else { return };
    let before = unit.local.failed.take();
    let attempts = before.as_ref().map_or(0, |failed| failed.attempts) + 1;
    let seconds = (first * 2_f64.powi(i32::try_from(attempts.min(20)).unwrap_or(20) - 1)).min(most);
    // 80 to 120 per cent, so that units that failed together do not retry together.
    let wait = Duration::milliseconds((seconds * 1000.0 * (0.8 + 0.4 * jitter)) as i64);
    if !unit.local.rebooted {
        unit.local.queued = None;
    }
    unit.local.failed = Some(Failed {
        hook: hook.clone(),
        attempts,
        since: before.map_or(now, |failed| failed.since),
        retry_at: retry.then(|| now + wait),
        resolved: false,
    });
}

fn retry_time(model: &Model, key: &str, default: f64) -> f64 {
    model
        .config
        .get(key)
        .and_then(|text| duration(text))
        .map_or(default, |found| found.num_milliseconds() as f64 / 1000.0)
}

pub(crate) fn interval(model: &Model) -> Duration {
    model.config.get("update-status-hook-interval").and_then(|text| duration(text)).unwrap_or(Duration::minutes(5))
}

/// Go's durations: `5m`, `1h30m`, `250ms`, `2.5s`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text.trim();
    let mut total = 0.0;
    if rest.is_empty() {
        return None;
    }
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit() && letter != '.')?;
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let end = unit.find(|letter: char| letter.is_ascii_digit()).unwrap_or(unit.len());
        total += number
            * match &unit[..end] {
                "ms" => 1.0,
                "s" => 1000.0,
                "m" => 60_000.0,
                "h" => 3_600_000.0,
                _ => return None,
            };
        rest = &unit[end..];
    }
    Some(Duration::milliseconds(total as i64))
}

/// Gives every application with living units a leader.
pub(crate) fn elect(model: &mut Model, now: Time) {
    let off: BTreeMap<String, Time> =
        model.units.keys().filter_map(|unit| Some((unit.clone(), model.off_since(unit)?))).collect();
    let lease = lease(model);
    for app in model.apps.values_mut() {
        // A dying leader keeps its lease until it is gone, as in Juju; one without power until the lease ends.
        let holds = |leader: &String| {
            model.units.contains_key(leader) && off.get(leader).is_none_or(|since| *since + lease > now)
        };
        if app.leader.as_ref().is_some_and(holds) {
            continue;
        }
        let mut alive: Vec<&String> = model
            .units
            .values()
            .filter(|unit| unit.app == app.name && unit.life == Life::Alive && !off.contains_key(&unit.name))
            .map(|unit| &unit.name)
            .collect();
        alive.sort_by_key(|unit| names::natural(unit));
        app.leader = alive.first().map(|next| (*next).clone());
    }
    for unit in model.units.values_mut() {
        let leads = model.apps.get(&unit.app).is_some_and(|app| app.leader.as_deref() == Some(&unit.name));
        unit.local.leader &= leads;
    }
}

/// How long a leader that has lost its power stays leader.
fn lease(model: &Model) -> Duration {
    model.config.get("localjuju-leader-timeout").and_then(|text| duration(text)).unwrap_or(Duration::seconds(30))
}

/// When the next leader without power loses its place.
pub(crate) fn next_lease_end(model: &Model) -> Option<Time> {
    let leaders = model.apps.values().filter_map(|app| app.leader.as_deref());
    leaders.filter_map(|leader| Some(model.off_since(leader)? + lease(model))).min()
}

/// Removes what has come to its end: units, relations, applications. Returns the units that are gone and the storage to delete.
pub(crate) fn sweep(model: &mut Model, now: Time) -> (Vec<String>, Vec<String>) {
    // A unit that was never told of a dying relation leaves it silently.
    let dying: BTreeSet<u32> =
        model.relations.values().filter(|relation| relation.life == Life::Dying).map(|relation| relation.id).collect();
    for unit in model.units.values_mut() {
        let busy = unit.local.running.is_some() || unit.local.failed.is_some();
        let silent: Vec<u32> = unit
            .local
            .relations
            .iter()
            .filter(|(id, local)| dying.contains(id) && !local.created && local.members.is_empty() && !busy)
            .map(|(id, _)| *id)
            .collect();
        for id in silent {
            unit.local.relations.remove(&id);
            if let Some(relation) = model.relations.get_mut(&id) {
                relation.in_scope.remove(&unit.name);
            }
        }
    }
    let gone: Vec<String> = model
        .units
        .values()
        .filter(|unit| {
            let never = unit.life == Life::Dying
                && !unit.local.installed
                && unit.local.running.is_none()
                && unit.local.failed.is_none()
                && unit.local.attached.is_empty();
            unit.local.removed || never
        })
        .map(|unit| unit.name.clone())
        .collect();
    for name in &gone {
        forget_unit(model, name);
    }
    elect(model, now);
    let empty: Vec<u32> = model
        .relations
        .values()
        .filter(|relation| relation.life == Life::Dying && relation.in_scope.is_empty())
        .map(|relation| relation.id)
        .collect();
    for id in empty {
        model.relations.remove(&id);
        for secret in model.secrets.values_mut() {
            secret.grants.retain(|grant| grant.relation != Some(id));
        }
    }
    let units = &model.units;
    let relations = &model.relations;
    let over: Vec<String> = model
        .apps
        .values()
        .filter(|app| app.life == Life::Dying && !units.values().any(|unit| unit.app == app.name))
        .filter(|app| !relations.values().any(|relation| relation.involves(&app.name) && !relation.is_peer()))
        .map(|app| app.name.clone())
        .collect();
    for app in over {
        model.apps.remove(&app);
        model.relations.retain(|_, relation| !relation.involves(&app));
        model.secrets.retain(|_, secret| secret.owner != crate::model::Owner::Application(app.clone()));
        for secret in model.secrets.values_mut() {
            secret.grants.retain(|grant| grant.target != app);
        }
    }
    let used: BTreeSet<u32> = model.units.values().map(|unit| unit.machine).collect();
    model.machines.retain(|id, _| used.contains(id));
    let spent: Vec<String> = model
        .storage
        .values()
        .filter(|storage| storage.unit.is_none() && storage.destroy)
        .map(|storage| storage.id.clone())
        .collect();
    for id in &spent {
        model.storage.remove(id);
    }
    (gone, spent)
}

fn forget_unit(model: &mut Model, name: &str) {
    model.units.remove(name);
    for relation in model.relations.values_mut() {
        relation.in_scope.remove(name);
    }
    for storage in model.storage.values_mut() {
        if storage.unit.as_deref() == Some(name) {
            storage.unit = None;
        }
    }
    model.secrets.retain(|_, secret| secret.owner != crate::model::Owner::Unit(name.to_owned()));
    for secret in model.secrets.values_mut() {
        secret.consumers.remove(name);
    }
    for task in model.tasks.values_mut() {
        if task.unit == name && !task.status.is_over() {
            task.status = crate::model::TaskStatus::Failed;
            task.message = "unit removed".to_owned();
        }
    }
}
