//! Reads metadata.yaml, config.yaml and actions.yaml (or charmcraft.yaml) into one declaration. Reads files, decides
//! what is refused; lays nothing out.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{Role, names};

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Charm {
    pub(crate) name: String,
    pub(crate) summary: String,
    pub(crate) subordinate: bool,
    pub(crate) relations: BTreeMap<String, RelationDef>,
    pub(crate) storage: BTreeMap<String, StorageDef>,
    pub(crate) bindings: Vec<String>,
    pub(crate) resources: Vec<String>,
    pub(crate) config: BTreeMap<String, ConfigOption>,
    pub(crate) actions: BTreeMap<String, ActionDef>,
    pub(crate) version: String,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RelationDef {
    pub(crate) role: Role,
    pub(crate) interface: String,
    pub(crate) limit: Option<u32>,
    pub(crate) container: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct StorageDef {
    pub(crate) kind: String,
    pub(crate) location: Option<String>,
    pub(crate) minimum: u32,
    pub(crate) multiple: bool,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ConfigOption {
    pub(crate) kind: String,
    pub(crate) description: String,
    pub(crate) default: Option<Value>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct ActionDef {
    pub(crate) description: String,
    /// Draft-4 schema of the parameters.
    pub(crate) schema: Value,
    pub(crate) parallel: bool,
    pub(crate) group: Option<String>,
}

impl Charm {
    /// `files` answers a file of the charm's top folder, or none.
    pub(crate) fn read(directory: &Path) -> Result<Self> {
        let file = |name: &str| -> Result<Option<Map<String, Value>>> {
            let path = directory.join(name);
            if !path.is_file() {
                return Ok(None);
            }
            let text = std::fs::read_to_string(&path).with_context(|| format!("reading {name}"))?;
            let value: Value = serde_yaml::from_str(&text).with_context(|| format!("parsing {name}"))?;
            match value {
                Value::Object(map) => Ok(Some(map)),
                Value::Null => Ok(Some(Map::new())),
                _ => bail!("{name} is not a map"),
            }
        };
        let whole = file("charmcraft.yaml")?;
        let metadata = match (file("metadata.yaml")?, &whole) {
            (Some(map), _) => map,
            (None, Some(map)) if map.contains_key("name") => map.clone(),
            _ => bail!("charm has no metadata.yaml and no charmcraft.yaml"),
        };
        let part = |name: &str, own: &str| -> Result<Option<Value>> {
            Ok(match file(name)? {
                Some(map) => Some(Value::Object(map)),
                None => whole.as_ref().and_then(|map| map.get(own)).cloned(),
            })
        };
        let mut charm = from_metadata(&metadata)?;
        charm.config = config_options(part("config.yaml", "config")?.as_ref())?;
        charm.actions = actions(part("actions.yaml", "actions")?.as_ref())?;
        charm.version = std::fs::read_to_string(directory.join("version")).unwrap_or_default().trim().to_owned();
        Ok(charm)
    }
}

fn text(map: &Value, key: &str) -> String {
    map.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn from_metadata(metadata: &Map<String, Value>) -> Result<Charm> {
    let whole = Value::Object(metadata.clone());
    let name = text(&whole, "name");
    if !names::is_application(&name) {
        bail!("metadata: invalid charm name {name:?}");
    }
    let mut charm = Charm {
        name,
        summary: text(&whole, "summary"),
        subordinate: metadata.get("subordinate").and_then(Value::as_bool).unwrap_or(false),
        ..Charm::default()
    };
    for (section, role) in [("provides", Role::Provider), ("requires", Role::Requirer), ("peers", Role::Peer)] {
        for (endpoint, def) in each(metadata.get(section)) {
            if !names::is_plain(endpoint) {
                bail!("metadata: invalid relation name {endpoint:?}");
            }
            let def = relation(role, def).with_context(|| format!("metadata: {section}.{endpoint}"))?;
            if charm.relations.insert(endpoint.clone(), def).is_some() {
                bail!("metadata: duplicated relation name {endpoint:?}");
            }
        }
    }
    if !charm.subordinate {
        // Every unit can be related to a subordinate through this one.
        let implicit =
            RelationDef { role: Role::Provider, interface: "juju-info".to_owned(), limit: None, container: false };
        charm.relations.entry("juju-info".to_owned()).or_insert(implicit);
    }
    for (storage, def) in each(metadata.get("storage")) {
        if !names::is_plain(storage) {
            bail!("metadata: invalid storage name {storage:?}");
        }
        charm.storage.insert(storage.clone(), storage_def(def)?);
    }
    charm.bindings = each(metadata.get("extra-bindings")).map(|(name, _)| name.clone()).collect();
    charm.resources = each(metadata.get("resources")).map(|(name, _)| name.clone()).collect();
    Ok(charm)
}

fn each(section: Option<&Value>) -> impl Iterator<Item = (&String, &Value)> {
    section.and_then(Value::as_object).into_iter().flatten()
}

fn relation(role: Role, def: &Value) -> Result<RelationDef> {
    let interface = def.as_str().map_or_else(|| text(def, "interface"), str::to_owned);
    if interface.is_empty() {
        bail!("no interface");
    }
    Ok(RelationDef {
        role,
        interface,
        limit: def.get("limit").and_then(Value::as_u64).and_then(|limit| u32::try_from(limit).ok()),
        container: def.get("scope").and_then(Value::as_str) == Some("container"),
    })
}

fn storage_def(def: &Value) -> Result<StorageDef> {
    let kind = text(def, "type");
    if !matches!(kind.as_str(), "filesystem" | "block") {
        bail!("metadata: storage type {kind:?} is neither filesystem nor block");
    }
    let range = def.pointer("/multiple/range").map(|range| match range {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    });
    let minimum = range
        .as_deref()
        .map_or(1, |range| range.trim_end_matches('+').split('-').next().and_then(|low| low.parse().ok()).unwrap_or(0));
    let location = def.get("location").and_then(Value::as_str).map(str::to_owned);
    Ok(StorageDef { kind, location, minimum, multiple: range.is_some() })
}

fn config_options(config: Option<&Value>) -> Result<BTreeMap<String, ConfigOption>> {
    let mut found = BTreeMap::new();
    for (name, def) in each(config.and_then(|config| config.get("options"))) {
        let kind = def.get("type").and_then(Value::as_str).unwrap_or("string").to_owned();
        if !matches!(kind.as_str(), "string" | "int" | "float" | "boolean" | "secret") {
            bail!("invalid config: option {name:?} has unknown type {kind:?}");
        }
        let default = def.get("default").filter(|value| !value.is_null()).cloned();
        let default = match (kind.as_str(), default) {
            ("float", Some(Value::Number(number))) => number.as_f64().map(Value::from),
            (_, default) => default,
        };
        let fits = default.as_ref().is_none_or(|value| match kind.as_str() {
            "int" => value.is_i64() || value.is_u64(),
            "float" => value.is_number(),
            "boolean" => value.is_boolean(),
            _ => value.is_string(),
        });
        if !fits {
            bail!("invalid config default: option {name:?} expected {kind}, got {}", default.unwrap_or_default());
        }
        found.insert(name.clone(), ConfigOption { kind, description: text(def, "description"), default });
    }
    Ok(found)
}

fn actions(actions: Option<&Value>) -> Result<BTreeMap<String, ActionDef>> {
    let mut found = BTreeMap::new();
    for (name, def) in each(actions) {
        if !names::is_action_word(name) || name == "juju" || name.starts_with("juju-") {
            bail!("bad action name {name}");
        }
        let mut schema = Map::new();
        schema.insert("type".to_owned(), Value::from("object"));
        schema.insert("title".to_owned(), Value::from(name.clone()));
        for (key, value) in each(Some(def)) {
            match key.as_str() {
                "params" => schema.insert("properties".to_owned(), value.clone()),
                "description" | "parallel" | "execution-group" => None,
                "$schema" | "$ref" => bail!("schema key {key:?} not compatible with this version of juju"),
                _ => schema.insert(key.clone(), value.clone()),
            };
        }
        let action = ActionDef {
            description: text(def, "description"),
            schema: Value::Object(schema),
            parallel: def.get("parallel").and_then(Value::as_bool).unwrap_or(false),
            group: def.get("execution-group").and_then(Value::as_str).map(str::to_owned),
        };
        found.insert(name.clone(), action);
    }
    Ok(found)
}
