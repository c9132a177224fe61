//! secret-get, secret-info-get, secret-ids: who reads what, and what reading remembers.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value, json};

use super::args::{self, FORMAT, Flag, OUTPUT};
use super::{Answer, Call, Fail};
use crate::model::secrets::{Content, parse_uri};
use crate::model::{Owner, Secret};
use crate::uniter::flush::track;

fn missing(id: &str) -> Fail {
    Fail::run(format!("secret {id:?} not found"))
}

/// The secret's id from URI or label. The owner's label goes before a consumer's.
fn find(call: &Call<'_>, uri: Option<&String>, label: Option<&str>) -> Result<String, Fail> {
    if let Some(uri) = uri {
        return parse_uri(uri).ok_or_else(|| Fail::usage(format!("secret URI {uri:?} not valid")));
    }
    let Some(label) = label else { return Err(Fail::usage("require either a secret URI or label")) };
    if let Some(id) = own_label(call, label) {
        return Ok(id);
    }
    let unit = &call.context.unit;
    let consumed = call
        .model
        .secrets
        .values()
        .find(|secret| secret.consumers.get(unit).is_some_and(|consumer| consumer.label == label));
    consumed.map(|secret| secret.id.clone()).ok_or_else(|| Fail::run(format!("consumer label {label:?} not found")))
}

/// A label that this unit or its application gave to its own secret, also one of this run.
pub(super) fn own_label(call: &Call<'_>, label: &str) -> Option<String> {
    let unit = &call.context.unit;
    let pending = call.context.buffer.add.iter().find(|(_, new)| new.change.label.as_deref() == Some(label));
    let stored = || call.model.secrets.values().find(|secret| secret.owned_by(unit) && secret.label == label);
    pending.map(|(id, _)| id.clone()).or_else(|| stored().map(|secret| secret.id.clone()))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let known = [FORMAT, OUTPUT, Flag::Value(&["label"]), Flag::Switch(&["refresh"]), Flag::Switch(&["peek"])];
    let parsed = args::parse(&call.args, &known)?;
    let (refresh, peek) = (parsed.is_set("refresh"), parsed.is_set("peek"));
    if refresh && peek {
        return Err(Fail::usage("specify one of --peek or --refresh but not both"));
    }
    let label = parsed.value("label").filter(|label| !label.is_empty()).map(str::to_owned);
    // With a label only, the first argument is the key, unless it is a secret's URI.
    let first_is_uri = parsed.rest.first().is_some_and(|text| label.is_none() || parse_uri(text).is_some());
    let uri = parsed.rest.first().filter(|_| first_is_uri);
    let key = parsed.rest.get(usize::from(first_is_uri)).cloned();
    parsed.no_more(usize::from(first_is_uri) + 1)?;
    let id = find(call, uri, label.as_deref())?;
    let content = content(call, &id, label.filter(|_| uri.is_some()), refresh, peek)?;
    let value = match key {
        None => {
            let mut map = Map::new();
            for (key, value) in &content {
                map.insert(key.clone(), Value::from(decode(value)));
            }
            Value::Object(map)
        }
        Some(key) => {
            let (name, raw) = key.strip_suffix("#base64").map_or((key.as_str(), false), |name| (name, true));
            let found = content.get(name).ok_or_else(|| Fail::run(format!("secret key value {name:?} not found")))?;
            Value::from(if raw { found.clone() } else { decode(found) })
        }
    };
    if value.is_string() && parsed.value("format").is_none() {
        return call.answer(&parsed, "smart", &value);
    }
    call.answer(&parsed, "yaml", &value)
}

fn decode(value: &str) -> String {
    String::from_utf8_lossy(&BASE64.decode(value).unwrap_or_default()).into_owned()
}

fn content(call: &mut Call<'_>, id: &str, label: Option<String>, refresh: bool, peek: bool) -> Result<Content, Fail> {
    let unit = call.context.unit.clone();
    let buffer = &call.context.buffer;
    if let Some(new) = buffer.add.get(id) {
        return Ok(new.change.content.as_ref().map(|content| content.0.clone()).unwrap_or_default());
    }
    let secret = call.model.secrets.get(id).ok_or_else(|| missing(id))?;
    if secret.owned_by(&unit) {
        if let Some(content) = buffer.set.get(id).and_then(|change| change.content.as_ref()) {
            return Ok(content.0.clone());
        }
        return revision(secret, secret.latest);
    }
    if !call.model.may_read(secret, &unit) {
        return Err(Fail::run("permission denied"));
    }
    if let Some(label) = &label {
        let taken =
            call.model.secrets.values().any(|other| {
                other.id != id && other.consumers.get(&unit).is_some_and(|consumer| &consumer.label == label)
            });
        if taken || own_label(call, label).is_some() {
            return Err(Fail::run(format!("secret with label {label:?} already exists")));
        }
    }
    let latest = secret.latest;
    let tracked = secret.consumers.get(&unit).map(|consumer| consumer.revision);
    let (read, keep) = match (tracked, refresh, peek) {
        (_, true, _) => (latest, latest),
        (Some(tracked), _, true) => (latest, tracked),
        (Some(tracked), _, _) => (tracked, tracked),
        (None, _, _) => (latest, latest),
    };
    let content = revision(secret, read)?;
    if let Some(secret) = call.model.secrets.get_mut(id) {
        track(secret, &unit, keep, label.as_deref());
    }
    call.unit_mut()?.local.secrets_seen.entry(id.to_owned()).or_insert(keep);
    if keep == latest {
        call.unit_mut()?.local.secrets_seen.insert(id.to_owned(), latest);
    }
    call.changed = true;
    Ok(content)
}

fn revision(secret: &Secret, number: u32) -> Result<Content, Fail> {
    let found = secret.revisions.get(&number);
    found
        .map(|found| found.content.clone())
        .ok_or_else(|| Fail::run(format!("secret revision \"{}/{number}\" not found", secret.id)))
}

/// Whether this unit manages the secret: its own, or as leader its application's.
fn manages(call: &Call<'_>, secret: &Secret) -> bool {
    match &secret.owner {
        Owner::Unit(unit) => unit == &call.context.unit,
        Owner::Application(app) => app == &call.app_name() && call.leads(),
        Owner::Model => false,
    }
}

pub(super) fn info(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT, Flag::Value(&["label"])])?;
    parsed.no_more(1)?;
    let label = parsed.value("label").filter(|label| !label.is_empty());
    let uri = parsed.rest.first().filter(|uri| !uri.is_empty());
    if uri.is_some() && label.is_some() {
        return Err(Fail::usage("specify either a secret URI or label but not both"));
    }
    let id = match (uri, label) {
        (Some(uri), _) => parse_uri(uri).ok_or_else(|| Fail::usage(format!("secret URI {uri:?} not valid")))?,
        (None, Some(label)) => own_label(call, label).ok_or_else(|| missing(label))?,
        (None, None) => return Err(Fail::usage("require either a secret URI or label")),
    };
    let secret = call.model.secrets.get(&id).filter(|secret| manages(call, secret)).ok_or_else(|| missing(&id))?;
    let value = describe(call, secret);
    call.answer(&parsed, "yaml", &json!({ id: value }))
}

fn describe(call: &Call<'_>, secret: &Secret) -> Value {
    let own = call.app_name();
    let mut map = Map::new();
    let mut put = |key: &str, value: Value| map.insert(key.to_owned(), value);
    put("revision", Value::from(secret.latest));
    put("label", Value::from(secret.label.clone()));
    let owner = if matches!(secret.owner, Owner::Unit(_)) { "unit" } else { "application" };
    put("owner", Value::from(owner));
    if !secret.description.is_empty() {
        put("description", Value::from(secret.description.clone()));
    }
    put("rotation", Value::from(secret.rotate.clone().unwrap_or_else(|| "never".to_owned())));
    let time = |time: crate::model::Time| Value::from(time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true));
    if let Some(expires) = secret.revisions.get(&secret.latest).and_then(|revision| revision.expires) {
        put("expiry", time(expires));
    }
    if let Some(rotates) = secret.next_rotate {
        put("rotates", time(rotates));
    }
    let access: Vec<Value> = secret.grants.iter().map(|grant| {
        let kind = if grant.target.contains('/') { "unit" } else { "application" };
        let scope = grant.relation.and_then(|id| call.model.relations.get(&id)).map(|relation| format!("relation-{}", relation.reference(&own).replace(':', ".")));
        json!({"target": format!("{kind}-{}", grant.target.replace('/', "-")), "scope": scope.unwrap_or_default(), "role": "view"})
    }).collect();
    if !access.is_empty() {
        put("access", Value::Array(access));
    }
    Value::Object(map)
}

pub(super) fn ids(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT])?;
    parsed.no_more(0)?;
    let mut found: Vec<String> =
        call.model.secrets.values().filter(|secret| manages(call, secret)).map(|secret| secret.id.clone()).collect();
    found.sort();
    let value = if found.is_empty() { Value::Null } else { json!(found) };
    call.answer(&parsed, "smart", &value)
}
