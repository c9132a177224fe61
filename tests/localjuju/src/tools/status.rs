//! status-set, status-get, application-version-set, juju-log, juju-reboot.

use serde_json::{Map, Value, json};

use super::args::{self, FORMAT, Flag, OUTPUT};
use super::{Answer, Call, Fail};
use crate::model::StatusValue;
use crate::uniter::context::{Reboot, Run};

const WORDS: [&str; 4] = ["maintenance", "blocked", "waiting", "active"];

pub(super) fn set(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[Flag::Switch(&["application"])])?;
    let Some(word) = parsed.rest.first() else { return Err(Fail::usage("invalid args, require <status> [message]")) };
    if !WORDS.contains(&word.as_str()) {
        return Err(Fail::usage(format!("invalid status {word:?}, expected one of [{}]", WORDS.join(" "))));
    }
    parsed.no_more(2)?;
    let status = StatusValue::new(word, parsed.rest.get(1).map_or("", String::as_str), call.now);
    if parsed.is_set("application") {
        if !call.leads() {
            return Err(Fail::run("this unit is not the leader"));
        }
        let name = call.app_name();
        if let Some(app) = call.model.apps.get_mut(&name) {
            app.status = Some(status);
        }
    } else {
        call.unit_mut()?.workload = status;
    }
    call.changed = true;
    Ok(String::new())
}

fn details(status: &StatusValue) -> Value {
    json!({"status": status.current, "message": status.message, "status-data": {}})
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let known = [FORMAT, OUTPUT, Flag::Switch(&["include-data"]), Flag::Switch(&["application"])];
    let parsed = args::parse(&call.args, &known)?;
    parsed.no_more(0)?;
    if parsed.is_set("application") {
        if !call.leads() {
            return Err(Fail::run("this unit is not the leader"));
        }
        let name = call.app_name();
        let status = crate::model::status::of_application(call.model, &name)
            .unwrap_or_else(|| StatusValue::new("unknown", "", call.now));
        let units: Map<String, Value> = call
            .model
            .units
            .values()
            .filter(|unit| unit.app == name)
            .map(|unit| (unit.name.clone(), details(&unit.workload)))
            .collect();
        let mut value = details(&status);
        if let Value::Object(map) = &mut value {
            map.insert("units".to_owned(), Value::Object(units));
        }
        if !parsed.is_set("include-data") && parsed.value("format").unwrap_or("smart") == "smart" {
            return call.answer(&parsed, "smart", &Value::from(status.current));
        }
        return call.answer(&parsed, "smart", &json!({ "application-status": value }));
    }
    let status = call.unit()?.workload.clone();
    let value = match (parsed.is_set("include-data"), parsed.value("format").unwrap_or("smart")) {
        (true, _) => details(&status),
        (false, "smart") => Value::from(status.current),
        (false, _) => json!({"status": status.current}),
    };
    call.answer(&parsed, "smart", &value)
}

pub(super) fn application_version_set(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[])?;
    let Some(version) = parsed.rest.first().cloned() else { return Err(Fail::usage("no version specified")) };
    parsed.no_more(1)?;
    let name = call.app_name();
    if let Some(app) = call.model.apps.get_mut(&name) {
        app.version = version;
    }
    call.changed = true;
    Ok(String::new())
}

pub(super) fn juju_log(call: &mut Call<'_>) -> Answer {
    let known = [FORMAT, Flag::Switch(&["debug"]), Flag::Value(&["l", "log-level"])];
    let parsed = args::parse(&call.args, &known)?;
    if parsed.rest.is_empty() {
        return Err(Fail::usage("no message specified"));
    }
    let level = match parsed.value("l").unwrap_or("INFO").to_ascii_uppercase() {
        _ if parsed.is_set("debug") => "DEBUG".to_owned(),
        level if ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"].contains(&level.as_str()) => level,
        other => {
            call.log.push(("WARNING".to_owned(), format!("Specified log level of {other:?} is not valid")));
            "INFO".to_owned()
        }
    };
    let prefix = call.context.relation().and_then(|id| call.model.relations.get(&id));
    let prefix = prefix.map(|relation| format!("{}: ", relation.reference(&call.app_name()))).unwrap_or_default();
    call.log.push((level, format!("{prefix}{}", parsed.rest.join(" "))));
    Ok(String::new())
}

pub(super) fn reboot(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[Flag::Switch(&["now"])])?;
    parsed.no_more(0)?;
    if matches!(call.context.run, Run::Action { .. }) {
        return Err(Fail::run("juju-reboot is not supported when running an action."));
    }
    call.context.reboot = if parsed.is_set("now") { Reboot::Now } else { Reboot::After };
    Ok(String::new())
}
