//! The user's secrets: add, update, grant, revoke, remove, show.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::{ModelRef, model, no_app};
use crate::daemon::{Daemon, now};
use crate::ids::secret_id;
use crate::model::secrets::{Content, Grant, Revision};
use crate::model::{Model, Owner, Secret, Time, names};
use crate::uniter::flush::remove_secret;

fn missing(name: &str) -> anyhow::Error {
    anyhow!("secret {name:?} not found")
}

fn users_secret<'a>(model: &'a mut Model, name: &str) -> Result<&'a mut Secret> {
    let found = model.secret_by_name(name).ok_or_else(|| missing(name))?;
    if found.owner != Owner::Model {
        bail!("permission denied");
    }
    let id = found.id.clone();
    model.secrets.get_mut(&id).ok_or_else(|| missing(name))
}

fn taken(model: &Model, name: &str) -> Result<()> {
    if model.secrets.values().any(|secret| secret.owner == Owner::Model && secret.label == name) {
        bail!("secret with name {name:?} already exists");
    }
    Ok(())
}

/// The CLI has encoded the content already; here its keys are checked once more.
fn check(content: &Content) -> Result<()> {
    match content.keys().find(|key| !names::is_secret_key(key)) {
        Some(key) => bail!("key {key:?} not valid"),
        None if content.is_empty() => bail!("missing secret value or filename"),
        None => Ok(()),
    }
}

pub(super) fn add(
    daemon: &Arc<Daemon>,
    name: &ModelRef,
    label: &str,
    content: Content,
    info: Option<String>,
) -> Result<Value> {
    check(&content)?;
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    taken(model, label)?;
    let time = now();
    let id = secret_id(time);
    let secret = Secret {
        id: id.clone(),
        owner: Owner::Model,
        label: label.to_owned(),
        description: info.unwrap_or_default(),
        rotate: None,
        next_rotate: None,
        auto_prune: false,
        latest: 1,
        revisions: BTreeMap::from([(1, Revision { content, created: time, expires: None })]),
        created: time,
        updated: time,
        grants: Vec::new(),
        consumers: BTreeMap::new(),
    };
    model.secrets.insert(id.clone(), secret);
    daemon.apply(&mut shared);
    Ok(json!({"uri": format!("secret:{id}")}))
}

pub(super) struct Update {
    pub(super) content: Option<Content>,
    pub(super) info: Option<String>,
    pub(super) rename: Option<String>,
    pub(super) auto_prune: Option<bool>,
}

pub(super) fn update(daemon: &Arc<Daemon>, name: &ModelRef, label: &str, update: Update) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    if let Some(rename) = update.rename.as_deref().filter(|rename| *rename != label) {
        taken(model, rename)?;
    }
    let secret = users_secret(model, label)?;
    if let Some(content) = &update.content {
        check(content)?;
    }
    if let Some(info) = update.info {
        secret.description = info;
    }
    if let Some(rename) = update.rename {
        secret.label = rename;
    }
    secret.auto_prune = update.auto_prune.unwrap_or(secret.auto_prune);
    match update.content {
        Some(content) => secret.update(content, None, now()),
        None => secret.prune(),
    }
    daemon.apply(&mut shared);
    Ok(Value::Null)
}

pub(super) fn grant(daemon: &Arc<Daemon>, name: &ModelRef, label: &str, apps: &[String], grant: bool) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    for app in apps {
        model.apps.get(app).ok_or_else(|| no_app(app))?;
    }
    let secret = users_secret(model, label)?;
    secret.grants.retain(|grant| !apps.contains(&grant.target));
    if grant {
        secret.grants.extend(apps.iter().map(|app| Grant { target: app.clone(), relation: None }));
    }
    daemon.apply(&mut shared);
    Ok(Value::Null)
}

pub(super) fn remove(daemon: &Arc<Daemon>, name: &ModelRef, label: &str, revision: Option<u32>) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let secret = users_secret(model, label)?;
    if let Some(revision) = revision.filter(|revision| !secret.revisions.contains_key(revision)) {
        bail!("secret revision \"{}/{revision}\" not found", secret.id);
    }
    let id = secret.id.clone();
    remove_secret(model, &id, revision.map(|revision| [revision].into()));
    daemon.apply(&mut shared);
    Ok(Value::Null)
}

pub(super) struct Wanted {
    pub(super) name: Option<String>,
    pub(super) owner: Option<String>,
    pub(super) reveal: bool,
    pub(super) revision: Option<u32>,
    pub(super) revisions: bool,
    pub(super) access: bool,
}

pub(super) fn list(daemon: &Daemon, name: &ModelRef, wanted: &Wanted) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let mut found: Vec<&Secret> = match &wanted.name {
        Some(name) => vec![model.secret_by_name(name).ok_or_else(|| missing(name))?],
        None => model.secrets.values().collect(),
    };
    if let Some(owner) = &wanted.owner {
        found.retain(|secret| match &secret.owner {
            Owner::Model => owner.starts_with("model-"),
            Owner::Application(app) => owner == app || owner == &format!("application-{app}"),
            Owner::Unit(unit) => owner == unit || owner == &names::unit_tag(unit),
        });
    }
    let mut map = Map::new();
    for secret in found {
        map.insert(secret.id.clone(), describe(model, secret, wanted)?);
    }
    Ok(Value::Object(map))
}

fn time(time: Time) -> Value {
    Value::from(time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true))
}

fn describe(model: &Model, secret: &Secret, wanted: &Wanted) -> Result<Value> {
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("revision", Value::from(secret.latest));
    let number = wanted.revision.unwrap_or(secret.latest);
    let revision = secret
        .revisions
        .get(&number)
        .with_context(|| format!("secret revision \"{}/{number}\" not found", secret.id))?;
    if wanted.reveal {
        put("checksum", Value::from(checksum(&revision.content)));
    }
    if let Some(expires) = revision.expires {
        put("expires", time(expires));
    }
    if let Some(rotate) = &secret.rotate {
        put("rotation", Value::from(rotate.clone()));
    }
    if let Some(rotates) = secret.next_rotate {
        put("rotates", time(rotates));
    }
    let owner = match &secret.owner {
        Owner::Model => "<model>".to_owned(),
        Owner::Application(name) | Owner::Unit(name) => name.clone(),
    };
    put("owner", Value::from(owner));
    if !secret.description.is_empty() {
        put("description", Value::from(secret.description.clone()));
    }
    if !secret.label.is_empty() {
        put(if secret.owner == Owner::Model { "name" } else { "label" }, Value::from(secret.label.clone()));
    }
    put("created", time(secret.created));
    put("updated", time(secret.updated));
    if wanted.reveal {
        let data: Map<String, Value> = revision
            .content
            .iter()
            .map(|(key, value)| {
                let bytes = base64::engine::general_purpose::STANDARD.decode(value).unwrap_or_default();
                (key.clone(), Value::from(String::from_utf8_lossy(&bytes).into_owned()))
            })
            .collect();
        put("content", json!({ "Data": data }));
    }
    if wanted.revisions {
        let revisions: Vec<Value> = secret
            .revisions
            .iter()
            .map(|(number, revision)| json!({"revision": number, "backend": "internal", "created": time(revision.created), "updated": time(revision.created)}))
            .collect();
        put("revisions", Value::Array(revisions));
    }
    if wanted.access && !secret.grants.is_empty() {
        let access: Vec<Value> = secret
            .grants
            .iter()
            .map(|grant| {
                let kind = if grant.target.contains('/') { "unit" } else { "application" };
                let relation = grant.relation.and_then(|id| model.relations.get(&id)).map(|relation| {
                    let ends: Vec<String> =
                        relation.endpoints.iter().map(|end| format!("{}.{}", end.app, end.name)).collect();
                    format!("relation-{}", ends.join("#"))
                });
                let scope = relation.unwrap_or_else(|| format!("model-{}", model.uuid));
                json!({"target": format!("{kind}-{}", grant.target.replace('/', "-")), "scope": scope, "role": "view"})
            })
            .collect();
        put("access", Value::Array(access));
    }
    Ok(Value::Object(map))
}

/// Tells contents apart; not Juju's own sum.
fn checksum(content: &Content) -> String {
    let bytes = content.iter().flat_map(|(key, value)| key.bytes().chain([0]).chain(value.bytes()).chain([0]));
    let sum = bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |sum, byte| {
        (sum ^ u128::from(byte)).wrapping_mul(0x0100_0000_0000_0000_0000_013b)
    });
    format!("{sum:032x}")
}
