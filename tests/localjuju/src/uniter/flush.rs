//! Applies what a run has buffered, all or nothing: checks everything first, changes only then. Pure on the model.

use std::collections::BTreeMap;

use super::context::{Buffer, Context, GrantChange, NewSecret, SecretChange};
use crate::model::secrets::{Consumer, Grant, Revision, rotation};
use crate::model::{Model, Owner, Secret, Time, names};

/// Most bytes of one databag.
const BAG_LIMIT: usize = 16 << 20;

/// Storage to be made is returned: its directories are the caller's work.
pub(crate) fn flush(model: &mut Model, context: &mut Context, now: Time) -> Result<BTreeMap<String, u32>, String> {
    let buffer = std::mem::take(&mut context.buffer);
    let unit = context.unit.clone();
    let app = names::app_of(&unit).to_owned();
    check(model, &buffer, &unit, &app)?;

    for (id, changes) in &buffer.unit_bags {
        if let Some(relation) = model.relations.get_mut(id) {
            relation.unit_data.entry(unit.clone()).or_default().change(changes);
        }
    }
    for (id, changes) in &buffer.app_bags {
        let Some(relation) = model.relations.get_mut(id) else { continue };
        let bag = relation.app_data.entry(app.clone()).or_default();
        bag.change(changes);
        let version = bag.version;
        // The writer is not told of its own change of a peer relation's application data.
        if relation.is_peer()
            && let Some(local) = model.units.get_mut(&unit).and_then(|found| found.local.relations.get_mut(id))
        {
            local.apps.insert(app.clone(), version);
        }
    }
    if let Some(found) = model.units.get_mut(&unit) {
        found.ports.retain(|port| !buffer.close.iter().any(|closed| closes(closed, port)));
        found.ports.extend(buffer.open);
        for (key, value) in buffer.state {
            match value {
                Some(value) => found.state.insert(key, value),
                None => found.state.remove(&key),
            };
        }
    }
    for (id, new) in buffer.add {
        model.secrets.insert(id.clone(), make_secret(id, new, now));
    }
    for (id, change) in buffer.set {
        if let Some(secret) = model.secrets.get_mut(&id) {
            change_secret(secret, change, now);
        }
    }
    for change in buffer.grants {
        change_grant(model, &change);
    }
    for (id, revisions) in buffer.remove {
        remove_secret(model, &id, revisions);
    }
    Ok(buffer.storage)
}

fn closes(closed: &crate::model::Port, port: &crate::model::Port) -> bool {
    let same = closed.from == port.from && closed.to == port.to && closed.protocol == port.protocol;
    same && (closed.endpoint.is_empty() || closed.endpoint == port.endpoint)
}

fn check(model: &Model, buffer: &Buffer, unit: &str, app: &str) -> Result<(), String> {
    let leads = model.apps.get(app).is_some_and(|found| found.leader.as_deref() == Some(unit));
    // Leadership may have moved since relation-set --app was called.
    if !buffer.app_bags.is_empty() && !leads {
        return Err(format!("cannot write application settings: {unit:?} is not leader of {app:?}"));
    }
    let app_secret = buffer.add.values().any(|new| matches!(new.owner, Owner::Application(_)));
    if app_secret && !leads {
        return Err("this unit is not the leader".to_owned());
    }
    for bags in [&buffer.unit_bags, &buffer.app_bags] {
        for changes in bags.values() {
            let size: usize = changes.iter().map(|(key, value)| key.len() + value.len()).sum();
            if size > BAG_LIMIT {
                return Err(format!("max allowed size ({BAG_LIMIT}) for relation settings exceeded"));
            }
        }
    }
    Ok(())
}

fn make_secret(id: String, new: NewSecret, now: Time) -> Secret {
    let change = new.change;
    let content = change.content.map(|content| content.0).unwrap_or_default();
    let rotate = change.rotate.filter(|policy| policy != "never");
    Secret {
        id,
        owner: new.owner,
        label: change.label.unwrap_or_default(),
        description: change.description.unwrap_or_default(),
        next_rotate: rotate.as_deref().and_then(rotation).map(|every| now + every),
        rotate,
        auto_prune: false,
        latest: 1,
        revisions: BTreeMap::from([(1, Revision { content, created: now, expires: change.expires })]),
        created: now,
        updated: now,
        grants: Vec::new(),
        consumers: BTreeMap::new(),
    }
}

fn change_secret(secret: &mut Secret, change: SecretChange, now: Time) {
    if let Some(label) = change.label {
        secret.label = label;
    }
    if let Some(description) = change.description {
        secret.description = description;
    }
    if let Some(rotate) = change.rotate {
        secret.next_rotate = rotation(&rotate).map(|every| now + every);
        secret.rotate = Some(rotate).filter(|policy| policy != "never");
    }
    match change.content {
        Some(content) => secret.update(content.0, change.expires, now),
        None => {
            if let (Some(expires), Some(latest)) = (change.expires, secret.revisions.get_mut(&secret.latest)) {
                latest.expires = Some(expires);
            }
        }
    }
}

fn change_grant(model: &mut Model, change: &GrantChange) {
    let Some(secret) = model.secrets.get_mut(&change.id) else { return };
    if change.grant {
        let Some(target) = &change.target else { return };
        let grant = Grant { target: target.clone(), relation: change.relation };
        if !secret.grants.contains(&grant) {
            secret.grants.push(grant);
        }
        return;
    }
    secret.grants.retain(|grant| {
        let same_relation = change.relation.is_some() && grant.relation == change.relation;
        let same_target = change.target.as_ref().is_some_and(|target| &grant.target == target);
        !(same_relation || same_target)
    });
}

pub(crate) fn remove_secret(model: &mut Model, id: &str, revisions: Option<std::collections::BTreeSet<u32>>) {
    let Some(revisions) = revisions else {
        model.secrets.remove(id);
        return;
    };
    let Some(secret) = model.secrets.get_mut(id) else { return };
    secret.revisions.retain(|revision, _| !revisions.contains(revision));
    if secret.revisions.is_empty() {
        model.secrets.remove(id);
    }
}

/// A consumer that moved on may have left an old revision without readers.
pub(crate) fn track(secret: &mut Secret, unit: &str, revision: u32, label: Option<&str>) {
    let consumer =
        secret.consumers.entry(unit.to_owned()).or_insert_with(|| Consumer { label: String::new(), revision });
    consumer.revision = revision;
    if let Some(label) = label {
        label.clone_into(&mut consumer.label);
    }
    secret.prune();
}
