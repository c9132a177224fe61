//! relation-ids, relation-list, relation-get, relation-set, relation-model-get.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::args::{self, FORMAT, Flag, OUTPUT, Parsed, RELATION};
use super::{Answer, Call, Fail};
use crate::model::{LocalRelation, Relation, names};
use crate::uniter::context::Run;
use crate::uniter::hook::RelationKind;

/// The relation that `-r` or the hook names.
pub(super) fn chosen(call: &Call<'_>, parsed: &Parsed) -> Result<u32, Fail> {
    let id = match parsed.value("r").filter(|text| !text.is_empty()) {
        Some(text) => {
            let number = text.rsplit(':').next().unwrap_or(text);
            number
                .parse::<u32>()
                .map_err(|_| Fail::usage(format!("invalid value {text:?} for option -r: invalid relation id")))?
        }
        None => call.context.relation().ok_or_else(|| Fail::usage("no relation id specified"))?,
    };
    if call.unit()?.local.relations.contains_key(&id) && call.model.relations.contains_key(&id) {
        Ok(id)
    } else if parsed.value("r").is_some() {
        Err(Fail::usage(format!(
            "invalid value {:?} for option -r: relation not found",
            parsed.value("r").unwrap_or_default()
        )))
    } else {
        Err(Fail::run("relation not found"))
    }
}

fn relation<'a>(call: &'a Call<'_>, id: u32) -> Result<(&'a Relation, &'a LocalRelation), Fail> {
    let found = call.model.relations.get(&id).zip(call.unit()?.local.relations.get(&id));
    found.ok_or_else(|| Fail::run("relation not found"))
}

pub(super) fn ids(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT])?;
    parsed.no_more(1)?;
    let own = call.app_name();
    let name = match parsed.rest.first() {
        Some(name) => name.clone(),
        None => {
            let id = call.context.relation().ok_or_else(|| Fail::usage("no endpoint name specified"))?;
            relation(call, id)?.0.of(&own).map(|endpoint| endpoint.name.clone()).unwrap_or_default()
        }
    };
    let unit = call.unit()?;
    let mut found: Vec<String> = unit
        .local
        .relations
        .keys()
        .filter_map(|id| call.model.relations.get(id))
        .filter(|relation| relation.of(&own).is_some_and(|endpoint| endpoint.name == name))
        .map(|relation| relation.reference(&own))
        .collect();
    found.sort();
    call.answer(&parsed, "smart", &json!(found))
}

/// The members this run knows: those told of so far, with the one joining, without the one departing.
fn members(call: &Call<'_>, id: u32) -> Result<Vec<String>, Fail> {
    let mut members: Vec<String> = relation(call, id)?.1.members.keys().cloned().collect();
    if let Some(hook) = call.context.hook().and_then(|hook| hook.relation()).filter(|hook| hook.id == id) {
        match (hook.kind, &hook.unit) {
            (RelationKind::Broken, _) => members.clear(),
            (RelationKind::Departed, Some(unit)) => members.retain(|member| member != unit),
            (_, Some(unit)) if !members.contains(unit) => members.push(unit.clone()),
            _ => {}
        }
    }
    members.sort();
    Ok(members)
}

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT, RELATION, Flag::Switch(&["app"])])?;
    parsed.no_more(0)?;
    let id = chosen(call, &parsed)?;
    let value = if parsed.is_set("app") {
        let own = call.app_name();
        json!(relation(call, id)?.0.remote(&own).map(|far| far.app.clone()))
    } else {
        json!(members(call, id)?)
    };
    call.answer(&parsed, "smart", &value)
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT, RELATION, Flag::Switch(&["app"])])?;
    let id = chosen(call, &parsed)?;
    let key = parsed.rest.first().filter(|key| *key != "-" && !key.is_empty()).cloned();
    parsed.no_more(2)?;
    let own = call.app_name();
    let (relation, _) = relation(call, id)?;
    let hook = call.context.hook().and_then(|hook| hook.relation()).filter(|hook| hook.id == id);
    let remote = match &call.context.run {
        Run::Commands { remote: Some(remote), .. } => Some(remote.clone()),
        _ => hook.and_then(|hook| hook.unit.clone()),
    };
    let name = match parsed.rest.get(1).filter(|name| !name.is_empty()) {
        Some(name) => name.clone(),
        None => match (remote, hook.map(|hook| hook.app.clone()), parsed.is_set("app")) {
            (Some(unit), _, false) => unit,
            (Some(unit), _, true) => names::app_of(&unit).to_owned(),
            (None, Some(app), true) => app,
            (None, _, true) => relation.remote(&own).map(|far| far.app.clone()).unwrap_or_default(),
            (None, _, false) => return Err(Fail::usage("no unit id specified")),
        },
    };
    let data = if parsed.is_set("app") {
        app_bag(call, relation, names::app_of(&name))?
    } else if names::is_unit(&name) {
        unit_bag(call, relation, &name)?
    } else if names::is_application(&name) {
        return Err(Fail::usage(format!("expected unit name, got application name {name:?}")));
    } else {
        return Err(Fail::usage(format!("invalid value {name:?} for unit name")));
    };
    let value = match key {
        Some(key) => data.get(&key).map_or(Value::Null, |value| Value::from(value.clone())),
        None => Value::Object(data.into_iter().map(|(key, value)| (key, Value::from(value))).collect()),
    };
    call.answer(&parsed, "smart", &value)
}

fn with_pending(
    mut data: BTreeMap<String, String>,
    pending: Option<&BTreeMap<String, String>>,
) -> BTreeMap<String, String> {
    for (key, value) in pending.into_iter().flatten() {
        if value.is_empty() {
            data.remove(key);
        } else {
            data.insert(key.clone(), value.clone());
        }
    }
    data
}

fn app_bag(call: &Call<'_>, relation: &Relation, app: &str) -> Result<BTreeMap<String, String>, Fail> {
    if !relation.involves(app) {
        return Err(Fail::run(format!(
            "cannot read settings for application {app:?} in relation {:?}: settings not found",
            relation.reference(&call.app_name())
        )));
    }
    let own = app == call.app_name();
    // Only the leader reads what its own application tells others; peers all read theirs.
    if own && !relation.is_peer() && !call.leads() {
        return Err(Fail::run("permission denied"));
    }
    let data = relation.app_data.get(app).map(|bag| bag.data.clone()).unwrap_or_default();
    let pending = own.then(|| call.context.buffer.app_bags.get(&relation.id)).flatten();
    Ok(with_pending(data, pending))
}

fn unit_bag(call: &Call<'_>, relation: &Relation, unit: &str) -> Result<BTreeMap<String, String>, Fail> {
    let missing = || Fail::run(format!("cannot read relation settings: unit {unit:?}: settings not found"));
    if !relation.involves(names::app_of(unit)) {
        return Err(Fail::run("permission denied"));
    }
    let data = relation.unit_data.get(unit).ok_or_else(missing)?.data.clone();
    let pending = (unit == call.context.unit).then(|| call.context.buffer.unit_bags.get(&relation.id)).flatten();
    Ok(with_pending(data, pending))
}

pub(super) fn set(call: &mut Call<'_>) -> Answer {
    let known = [FORMAT, RELATION, Flag::Switch(&["app"]), Flag::Value(&["file"])];
    let parsed = args::parse(&call.args, &known)?;
    let id = chosen(call, &parsed)?;
    let arguments = args::key_values(&parsed.rest)?;
    let mut changes = BTreeMap::new();
    if let Some(file) = parsed.value("file") {
        changes = args::string_map(&call.read_file(file)?).map_err(Fail::run)?;
    }
    changes.extend(arguments);
    let buffer = if parsed.is_set("app") {
        if !call.leads() {
            return Err(Fail::run("cannot write relation settings"));
        }
        &mut call.context.buffer.app_bags
    } else {
        &mut call.context.buffer.unit_bags
    };
    buffer.entry(id).or_default().extend(changes);
    Ok(String::new())
}

pub(super) fn model_get(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT, RELATION])?;
    parsed.no_more(0)?;
    chosen(call, &parsed)?;
    let mut map = Map::new();
    map.insert("uuid".to_owned(), Value::from(call.model.uuid.clone()));
    call.answer(&parsed, "smart", &Value::Object(map))
}
