//! Which operation a unit runs next: the order of Juju's resolvers, as one pure function of the stored state.

use std::collections::{BTreeMap, BTreeSet};

use super::hook::{Hook, RelationHook, RelationKind};
use crate::model::relations::Bag;
use crate::model::{Life, LocalRelation, Model, Owner, TaskStatus, Time, Unit, Work, names};

/// Enter the scopes of relations the unit does not know yet. Juju does this before it looks for relation hooks.
pub(crate) fn synchronize_scopes(model: &mut Model, name: &str) -> bool {
    let Some(unit) = model.units.get_mut(name) else { return false };
    let idle = unit.local.queued.is_none() && unit.local.failed.is_none();
    if !unit.local.installed || unit.life == Life::Dying || !idle {
        return false;
    }
    let mut changed = false;
    for relation in model.relations.values_mut() {
        let meant = relation.life == Life::Alive && relation.involves(&unit.app);
        if !meant || unit.local.relations.contains_key(&relation.id) {
            continue;
        }
        let data = addresses(&unit.address);
        relation.unit_data.insert(name.to_owned(), Bag { version: 0, data });
        relation.in_scope.insert(name.to_owned());
        unit.local.relations.insert(relation.id, LocalRelation::default());
        changed = true;
    }
    changed
}

/// What Juju itself writes into a unit's bags.
pub(crate) fn addresses(address: &str) -> BTreeMap<String, String> {
    BTreeMap::from([
        ("egress-subnets".to_owned(), format!("{address}/32")),
        ("ingress-address".to_owned(), address.to_owned()),
        ("private-address".to_owned(), address.to_owned()),
    ])
}

pub(crate) fn next_work(model: &Model, name: &str, now: Time) -> Option<Work> {
    let unit = model.units.get(name)?;
    if unit.local.removed || unit.local.running.is_some() || model.is_off(name) {
        return None;
    }
    if unit.local.rebooted && unit.local.failed.is_none() && unit.life == Life::Alive {
        return Some(Work::Hook(Hook::Start));
    }
    let idle = unit.local.queued.is_none() && unit.local.failed.is_none();
    created(model, unit, idle)
        .or_else(|| leadership(model, unit, idle))
        .or_else(|| idle.then(|| secrets(model, unit, now)).flatten())
        .map(Work::Hook)
        .or_else(|| task(model, unit))
        .or_else(|| storage(model, unit, idle).map(Work::Hook))
        .or_else(|| unit_hooks(model, unit, now).map(Work::Hook))
}

fn created(model: &Model, unit: &Unit, idle: bool) -> Option<Hook> {
    if !unit.local.installed || unit.life == Life::Dying || !idle {
        return None;
    }
    unit.local.relations.iter().find(|(_, local)| !local.created).and_then(|(id, _)| {
        let relation = model.relations.get(id).filter(|relation| relation.life == Life::Alive)?;
        let own = relation.of(&unit.app)?;
        Some(Hook::Relation(RelationHook {
            kind: RelationKind::Created,
            id: *id,
            endpoint: own.name.clone(),
            app: relation.remote(&unit.app)?.app.clone(),
            unit: None,
            departing: None,
            version: 0,
        }))
    })
}

fn leadership(model: &Model, unit: &Unit, idle: bool) -> Option<Hook> {
    if !unit.local.installed || unit.life == Life::Dying || !idle {
        return None;
    }
    let app = model.apps.get(&unit.app)?;
    if app.leader.as_deref() == Some(&unit.name) {
        return (!unit.local.leader).then_some(Hook::LeaderElected);
    }
    (unit.local.started && unit.local.leader_settings_seen != app.leader_settings_version)
        .then_some(Hook::LeaderSettingsChanged)
}

fn secrets(model: &Model, unit: &Unit, now: Time) -> Option<Hook> {
    if !unit.local.started || unit.life == Life::Dying {
        return None;
    }
    for secret in model.secrets.values() {
        if let Some(consumer) = secret.consumers.get(&unit.name) {
            let seen = unit.local.secrets_seen.get(&secret.id).copied().unwrap_or(consumer.revision);
            if secret.latest > seen && secret.latest > consumer.revision && model.may_read(secret, &unit.name) {
                return Some(Hook::SecretChanged(secret.id.clone()));
            }
        }
        let leads = model.apps.get(&unit.app).is_some_and(|app| app.leader.as_deref() == Some(&unit.name));
        let manages = match &secret.owner {
            Owner::Unit(owner) => owner == &unit.name,
            Owner::Application(app) => app == &unit.app && leads,
            Owner::Model => false,
        };
        if !manages {
            continue;
        }
        if secret.next_rotate.is_some_and(|due| due <= now) {
            return Some(Hook::SecretRotate(secret.id.clone()));
        }
        let expired = |revision: &u32| {
            secret.revisions.get(revision).and_then(|found| found.expires).is_some_and(|due| due <= now)
        };
        if expired(&secret.latest) && !unit.local.expired_seen.contains(&(secret.id.clone(), secret.latest)) {
            return Some(Hook::SecretExpired(secret.id.clone(), secret.latest));
        }
        let unseen = |revision: &u32| !unit.local.obsolete_seen.contains(&(secret.id.clone(), *revision));
        if let Some(revision) = secret.obsolete().into_iter().find(unseen) {
            return Some(Hook::SecretRemove(secret.id.clone(), revision));
        }
    }
    None
}

/// Actions go ahead of most hooks and also run while a hook is in error, but not before install.
fn task(model: &Model, unit: &Unit) -> Option<Work> {
    if !unit.local.installed {
        return None;
    }
    model
        .tasks
        .values()
        .find(|task| task.unit == unit.name && task.status == TaskStatus::Pending)
        .map(|task| Work::Task(task.id))
}

fn storage(model: &Model, unit: &Unit, idle: bool) -> Option<Hook> {
    let queued_before_install = unit.local.queued.is_some() && !unit.local.installed;
    if !(idle || queued_before_install) || unit.local.failed.is_some() {
        return None;
    }
    if unit.life == Life::Dying {
        return unit.local.attached.iter().next().cloned().map(Hook::StorageDetaching);
    }
    model
        .storage
        .values()
        .find(|storage| storage.unit.as_deref() == Some(&unit.name) && !unit.local.attached.contains(&storage.id))
        .map(|storage| Hook::StorageAttached(storage.id.clone()))
}

fn unit_hooks(model: &Model, unit: &Unit, now: Time) -> Option<Hook> {
    if let Some(failed) = &unit.local.failed {
        let due = failed.retry_at.is_some_and(|at| at <= now);
        return (due || failed.resolved).then(|| failed.hook.clone());
    }
    if let Some(hook) = &unit.local.queued {
        return Some(hook.clone());
    }
    if unit.life == Life::Dying {
        return relations(model, unit).or_else(|| dying(unit));
    }
    if !unit.local.installed {
        return Some(Hook::Install);
    }
    let app = model.apps.get(&unit.app)?;
    if unit.local.charm_rev != app.charm_rev {
        return Some(Hook::UpgradeCharm);
    }
    if unit.local.config_seen != Some(config_mark(app, &unit.address)) {
        return Some(Hook::ConfigChanged);
    }
    let update_status = || {
        let due = unit.local.update_status_at.is_some_and(|at| at <= now);
        (unit.local.started && due).then_some(Hook::UpdateStatus)
    };
    relations(model, unit).or_else(update_status)
}

fn dying(unit: &Unit) -> Option<Hook> {
    let local = &unit.local;
    (local.started && !local.stopped)
        .then_some(Hook::Stop)
        .or((local.installed && !local.removed).then_some(Hook::Remove))
}

/// Changes when an option's value or the address changes, also back and forth within one hook: like Juju's hashes of
/// configuration, trust and addresses.
pub(crate) fn config_mark(app: &crate::model::App, address: &str) -> u64 {
    let text = serde_json::to_string(&(app.settings(), app.trusted, address)).unwrap_or_default();
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

fn relations(model: &Model, unit: &Unit) -> Option<Hook> {
    unit.local.relations.iter().find_map(|(id, local)| {
        let relation = model.relations.get(id)?;
        let broken = unit.life == Life::Dying || relation.life == Life::Dying;
        let (members, apps) = if broken {
            (BTreeMap::new(), BTreeMap::new())
        } else {
            let apps = relation.remote(&unit.app).map(|remote| remote.app.clone());
            let version = |app: &String| relation.app_data.get(app).map_or(0, |bag| bag.version);
            let apps = apps.iter().map(|app| (app.clone(), version(app))).collect();
            (model.visible_members(relation, &unit.name), apps)
        };
        next_relation_hook(model, unit, relation, local, &members, &apps, broken).map(Hook::Relation)
    })
}

fn next_relation_hook(
    model: &Model,
    unit: &Unit,
    relation: &crate::model::Relation,
    local: &LocalRelation,
    members: &BTreeMap<String, u64>,
    apps: &BTreeMap<String, u64>,
    broken: bool,
) -> Option<RelationHook> {
    let hook = |kind, app: &str, member: Option<&String>, version| RelationHook {
        kind,
        id: relation.id,
        endpoint: relation.of(&unit.app).map(|own| own.name.clone()).unwrap_or_default(),
        app: app.to_owned(),
        unit: member.cloned(),
        departing: None,
        version,
    };
    let of_unit = |kind, member: &String, version| hook(kind, names::app_of(member), Some(member), version);
    if let Some(member) = &local.changed_pending {
        let version = members.get(member).copied().unwrap_or(0);
        return Some(of_unit(RelationKind::Changed, member, version));
    }
    let mut names: BTreeSet<&String> = local.members.keys().chain(members.keys()).collect();
    if let Some(gone) =
        names.iter().find(|member| local.members.contains_key(**member) && !members.contains_key(**member))
    {
        let app_dying = model.apps.get(&unit.app).is_none_or(|app| app.life == Life::Dying);
        let departing = if unit.life == Life::Dying || app_dying { unit.name.clone() } else { (*gone).clone() };
        let version = local.members.get(*gone).copied().unwrap_or(0);
        return Some(RelationHook { departing: Some(departing), ..of_unit(RelationKind::Departed, gone, version) });
    }
    if broken {
        // Peers are never broken: the unit leaves with its last member.
        let told = local.created && !relation.is_peer();
        return told
            .then(|| hook(RelationKind::Broken, relation.remote(&unit.app).map_or("", |far| &far.app), None, 0));
    }
    for (app, version) in apps {
        // The own application's data of a peer relation is also announced to non-writers.
        if local.apps.get(app).copied().unwrap_or(0) != *version {
            return Some(hook(RelationKind::Changed, app, None, *version));
        }
    }
    let joined = |member: &String| local.members.contains_key(member);
    if let Some(new) = names.iter().find(|member| !joined(member)) {
        return Some(of_unit(RelationKind::Joined, new, members.get(*new).copied().unwrap_or(0)));
    }
    names.retain(|member| local.members.get(*member) != members.get(*member));
    names.first().map(|member| of_unit(RelationKind::Changed, member, members.get(*member).copied().unwrap_or(0)))
}
