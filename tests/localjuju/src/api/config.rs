//! config: options as typed on the command line -> as the charm declares them.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, anyhow, bail};
use serde_json::{Map, Value, json};

use super::{ModelRef, model, no_app};
use crate::charm::Charm;
use crate::daemon::Daemon;
use crate::model::App;

/// Text for an option; the error texts are Juju's.
fn typed(charm: &Charm, name: &str, text: &str) -> Result<Value> {
    let option = charm.config.get(name).ok_or_else(|| anyhow!("unknown option {name:?}"))?;
    let wrong = || anyhow!("option {name:?} expected {}, got {text:?}", option.kind);
    Ok(match option.kind.as_str() {
        "int" => Value::from(text.trim().parse::<i64>().map_err(|_| wrong())?),
        "float" => {
            let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
            Value::from(number.ok_or_else(wrong)?)
        }
        "boolean" => match text {
            "1" | "t" | "T" | "true" | "TRUE" | "True" => Value::Bool(true),
            "0" | "f" | "F" | "false" | "FALSE" | "False" => Value::Bool(false),
            _ => return Err(wrong()),
        },
        "secret" if !text.is_empty() && !text.starts_with("secret:") => return Err(wrong()),
        _ => Value::from(text),
    })
}

/// A value of a YAML file for an option.
fn from_file(charm: &Charm, name: &str, value: &Value) -> Result<Value> {
    let option = charm.config.get(name).ok_or_else(|| anyhow!("unknown option {name:?}"))?;
    let fits = match option.kind.as_str() {
        "int" => value.is_i64(),
        "float" => value.is_number(),
        "boolean" => value.is_boolean(),
        _ => value.is_string(),
    };
    match value {
        Value::String(text) => typed(charm, name, text),
        _ if fits => Ok(value.clone()),
        _ => bail!("option {name:?} expected {}, got {value}", option.kind),
    }
}

/// All or nothing: the values are checked before the first is set.
pub(super) fn values(
    charm: &Charm,
    set: &BTreeMap<String, String>,
    file: &Map<String, Value>,
) -> Result<BTreeMap<String, Value>> {
    let mut found = BTreeMap::new();
    for (name, value) in file {
        found.insert(name.clone(), from_file(charm, name, value)?);
    }
    for (name, text) in set {
        found.insert(name.clone(), typed(charm, name, text)?);
    }
    Ok(found)
}

pub(super) fn show(daemon: &Daemon, name: &ModelRef, app: &str) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let app = model.apps.get(app).ok_or_else(|| no_app(app))?;
    Ok(describe(app))
}

fn describe(app: &App) -> Value {
    let settings: Map<String, Value> = app
        .charm
        .config
        .iter()
        .map(|(name, option)| {
            let mut entry = Map::new();
            if let Some(default) = &option.default {
                entry.insert("default".to_owned(), default.clone());
            }
            entry.insert("description".to_owned(), Value::from(option.description.clone()));
            let source = match (app.config.contains_key(name), &option.default) {
                (true, _) => "user",
                (false, Some(_)) => "default",
                (false, None) => "unset",
            };
            entry.insert("source".to_owned(), Value::from(source));
            entry.insert("type".to_owned(), Value::from(option.kind.clone()));
            if let Some(value) = app.config.get(name).or(option.default.as_ref()) {
                entry.insert("value".to_owned(), value.clone());
            }
            (name.clone(), Value::Object(entry))
        })
        .collect();
    json!({
        "application": app.name,
        "application-config": {
            "trust": {
                "default": false,
                "description": "Does this application have access to trusted credentials",
                "source": if app.trusted { "user" } else { "default" },
                "type": "bool",
                "value": app.trusted,
            },
        },
        "charm": app.charm.name,
        "settings": settings,
    })
}

pub(super) fn set(
    daemon: &Arc<Daemon>,
    name: &ModelRef,
    app: &str,
    set: &BTreeMap<String, String>,
    file: &Map<String, Value>,
    reset: &[String],
) -> Result<Value> {
    let mut shared = daemon.lock();
    let model = model(&mut shared, name)?;
    let found = model.apps.get_mut(app).ok_or_else(|| no_app(app))?;
    let (mut set, mut reset) = (set.clone(), reset.to_vec());
    let trust = match set.remove("trust") {
        Some(text) if text == "true" || text == "false" => Some(text == "true"),
        Some(text) => bail!("parsing trust: expected bool, got {text:?}"),
        None => None,
    };
    let values = values(&found.charm, &set, file)?;
    if reset.iter().any(|key| key == "trust") {
        reset.retain(|key| key != "trust");
        found.trusted = false;
    }
    for key in &reset {
        if !found.charm.config.contains_key(key) {
            bail!("unknown option {key:?}");
        }
    }
    if let Some(trust) = trust {
        found.trusted = trust;
    }
    for key in &reset {
        found.config.remove(key);
    }
    found.config.extend(values);
    daemon.apply(&mut shared);
    Ok(Value::Null)
}
