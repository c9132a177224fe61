//! config-get, is-leader, leader-get, leader-set.

use serde_json::{Map, Value};

use super::args::{self, FORMAT, Flag, OUTPUT};
use super::{Answer, Call, Fail};

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT, Flag::Switch(&["a", "all"])])?;
    let key = parsed.rest.first().filter(|key| !key.is_empty() && *key != "-").cloned();
    if parsed.is_set("a") && key.is_some() {
        return Err(Fail::usage("cannot use argument --all together with a key"));
    }
    parsed.no_more(1)?;
    let settings = match &call.context.config {
        Some(settings) => settings.clone(),
        None => {
            let settings = call.app()?.settings();
            call.context.config = Some(settings.clone());
            settings
        }
    };
    let value = match key {
        Some(key) => settings.get(&key).cloned().unwrap_or(Value::Null),
        None if parsed.is_set("a") => Value::Object(settings),
        None => Value::Object(settings.into_iter().filter(|(_, value)| !value.is_null()).collect()),
    };
    call.answer(&parsed, "smart", &value)
}

pub(super) fn is_leader(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT])?;
    parsed.no_more(0)?;
    call.answer(&parsed, "smart", &Value::Bool(call.leads()))
}

pub(super) fn leader_get(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT])?;
    parsed.no_more(1)?;
    let settings: Map<String, Value> =
        call.app()?.leader_settings.iter().map(|(key, value)| (key.clone(), Value::from(value.clone()))).collect();
    let value = match parsed.rest.first().map(String::as_str) {
        None | Some("" | "-") => Value::Object(settings),
        Some(key) => settings.get(key).cloned().unwrap_or(Value::Null),
    };
    call.answer(&parsed, "smart", &value)
}

pub(super) fn leader_set(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[])?;
    let changes = args::key_values(&parsed.rest)?;
    if !call.leads() {
        return Err(Fail::run("cannot write leadership settings: cannot write settings: not the leader"));
    }
    let name = call.app_name();
    if let Some(app) = call.model.apps.get_mut(&name) {
        let before = app.leader_settings.clone();
        for (key, value) in changes {
            if value.is_empty() {
                app.leader_settings.remove(&key);
            } else {
                app.leader_settings.insert(key, value);
            }
        }
        if app.leader_settings != before {
            app.leader_settings_version += 1;
        }
        let version = app.leader_settings_version;
        call.unit_mut()?.local.leader_settings_seen = version;
    }
    call.changed = true;
    Ok(String::new())
}
