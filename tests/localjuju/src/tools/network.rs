//! network-get, unit-get, goal-state, and the tools that can only refuse here.

use serde_json::{Map, Value, json};

use super::args::{self, FORMAT, Flag, OUTPUT, RELATION};
use super::{Answer, Call, Fail};
use crate::model::hosts::hardware_address;
use crate::model::{Life, Time, Unit};

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let known = [
        FORMAT,
        OUTPUT,
        RELATION,
        Flag::Switch(&["bind-address"]),
        Flag::Switch(&["ingress-address"]),
        Flag::Switch(&["egress-subnets"]),
        Flag::Switch(&["primary-address"]),
    ];
    let parsed = args::parse(&call.args, &known)?;
    let Some(binding) = parsed.rest.first().filter(|binding| !binding.is_empty()) else {
        return Err(Fail::usage("no arguments specified"));
    };
    parsed.no_more(1)?;
    if parsed.value("r").is_some() {
        super::relation::chosen(call, &parsed)?;
    }
    let charm = &call.app()?.charm;
    if !charm.relations.contains_key(binding) && !charm.bindings.contains(binding) {
        return Err(Fail::run(format!("no network config found for binding {binding:?}")));
    }
    let address = call.unit()?.address.clone();
    let whole = json!({
        "bind-addresses": [{
            "mac-address": hardware_address(&address),
            "interface-name": call.model.interface(),
            "addresses": [{"hostname": "", "value": address, "cidr": format!("{}.0/24", call.model.network())}],
        }],
        "egress-subnets": [format!("{address}/32")],
        "ingress-addresses": [address],
    });
    let mut parts = Map::new();
    for (flag, value) in [
        ("bind-address", Value::from(address.clone())),
        ("ingress-address", Value::from(address.clone())),
        ("egress-subnets", json!([format!("{address}/32")])),
    ] {
        if parsed.is_set(flag) || (flag == "bind-address" && parsed.is_set("primary-address")) {
            parts.insert(flag.to_owned(), value);
        }
    }
    let value = match parts.len() {
        0 => whole,
        1 => parts.into_iter().next().map(|(_, value)| value).unwrap_or_default(),
        _ => Value::Object(parts),
    };
    call.answer(&parsed, "smart", &value)
}

pub(super) fn unit_get(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT])?;
    let Some(key) = parsed.rest.first() else { return Err(Fail::usage("no setting specified")) };
    if !matches!(key.as_str(), "private-address" | "public-address") {
        return Err(Fail::usage(format!("unknown setting {key:?}")));
    }
    parsed.no_more(1)?;
    let address = Value::from(call.unit()?.address.clone());
    call.answer(&parsed, "smart", &address)
}

fn goal(unit: &Unit) -> Value {
    let status = if unit.life == Life::Dying { "dying" } else { &unit.workload.current };
    json!({"status": status, "since": since(unit.workload.since)})
}

fn since(time: Time) -> String {
    time.format("%Y-%m-%d %H:%M:%SZ").to_string()
}

pub(super) fn goal_state(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT])?;
    parsed.no_more(0)?;
    let own = call.app_name();
    let of = |app: &str| -> Map<String, Value> {
        call.model.units.values().filter(|unit| unit.app == app).map(|unit| (unit.name.clone(), goal(unit))).collect()
    };
    let mut relations: Map<String, Value> = Map::new();
    for relation in call.model.relations_of(&own).filter(|relation| !relation.is_peer()) {
        let (Some(near), Some(far)) = (relation.of(&own), relation.remote(&own)) else { continue };
        let status = if relation.life == Life::Dying { "dying" } else { "joined" };
        let entry = relations.entry(near.name.clone()).or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(members) = entry {
            let begun = call.model.apps.get(&far.app).map_or(call.now, |app| app.deployed);
            members.insert(far.app.clone(), json!({"status": status, "since": since(begun)}));
            members.extend(of(&far.app));
        }
    }
    let value = json!({"units": of(&own), "relations": relations});
    call.answer(&parsed, "yaml", &value)
}

pub(super) fn credential_get(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT])?;
    parsed.no_more(0)?;
    // There is no cloud behind the model, so trust does not help either.
    Err(Fail::run("cannot access cloud credentials: permission denied"))
}

pub(super) fn resource_get(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[])?;
    let Some(name) = parsed.rest.first() else { return Err(Fail::usage("missing required resource name")) };
    parsed.no_more(1)?;
    Err(Fail::run(format!("could not download resource: resource \"{}/{name}\" not found", call.app_name())))
}
