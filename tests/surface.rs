//! The charm's surface is whole and agrees with itself: actions.yaml, config.yaml, charm/metadata.yaml, charm/charmcraft.yaml.
//! What an option or action means is the agent's business (`settings`, `actions`); here only their names and shapes count.

use std::collections::BTreeSet;
use std::path::Path;

use serde_yaml::{Mapping, Value};

/// Keys that Juju knows beside the parameters; any other would silently become part of the JSON schema.
const ACTION_KEYS: &[&str] =
    &["title", "description", "params", "required", "additionalProperties", "parallel", "execution-group"];

const OPTION_TYPES: &[&str] = &["string", "int", "float", "boolean", "secret"];

#[test]
fn every_action_says_what_it_does_and_takes_nothing_else() {
    for (name, action) in map(&yaml("actions.yaml")) {
        let keys = map(action).keys().map(text);
        let unknown: Vec<_> = keys.filter(|key| !ACTION_KEYS.contains(key)).collect();
        assert!(unknown.is_empty(), "{}: unknown keys {unknown:?}", text(name));
        assert!(is_sentence(&action["description"]), "{}: needs a description", text(name));
        assert_eq!(action["additionalProperties"], false, "{}: Juju 3 and 4 differ in the default", text(name));
    }
}

#[test]
fn every_parameter_is_described_and_its_default_is_a_good_value() {
    for (action, body) in map(&yaml("actions.yaml")) {
        for (name, schema) in map(&body["params"]) {
            let at = format!("{} {}", text(action), text(name));
            assert!(is_sentence(&schema["description"]), "{at}: needs a description");
            assert!(schema["type"].is_string(), "{at}: needs a type");
            if let Some(values) = schema["enum"].as_sequence() {
                assert!(values.contains(&schema["default"]), "{at}: the default is none of its good values");
            }
        }
    }
}

#[test]
fn no_action_holds_the_hooks_of_other_charms() {
    for (name, action) in map(&yaml("actions.yaml")) {
        let free = action["parallel"] == true || action["execution-group"].is_string();
        assert!(free, "{}: give it an execution-group, or parallel when it changes nothing", text(name));
    }
}

#[test]
fn actions_have_the_parameters_and_defaults_that_users_know() {
    let actions = yaml("actions.yaml");
    assert_eq!(names(&actions), ["create-backup", "list-backups", "restore"]);
    let params = |action: &str| names(&actions[action]["params"]);
    assert_eq!(params("create-backup"), ["type"]);
    assert_eq!(params("list-backups"), ["format"]);
    assert_eq!(params("restore"), ["backup-id"]);
    assert_eq!(actions["create-backup"]["params"]["type"]["default"], "full");
    assert_eq!(actions["list-backups"]["params"]["format"]["default"], "table");
    // The agent refuses a missing id itself, in the words that users of Charmed PostgreSQL know.
    assert!(actions["restore"]["required"].is_null());
}

#[test]
fn every_option_is_described_and_has_a_default_of_its_type() {
    for (name, option) in map(&yaml("config.yaml")["options"]) {
        let name = text(name);
        let kind = option["type"].as_str().unwrap_or_default();
        assert!(OPTION_TYPES.contains(&kind), "{name}: `{kind}` is no type that Juju knows");
        assert!(is_sentence(&option["description"]), "{name}: needs a description");
        let default = &option["default"];
        let fits = match kind {
            "string" => default.is_string(),
            "int" => default.is_i64() || default.is_u64(),
            "float" => default.is_f64(),
            "boolean" => default.is_bool(),
            _ => default.is_null(),
        };
        assert!(fits, "{name}: its default {default:?} is not of type {kind}");
    }
}

#[test]
fn the_charm_can_be_deployed_as_the_manual_says() {
    let metadata = yaml("charm/metadata.yaml");
    // `juju run postgresql/leader create-backup`
    assert_eq!(metadata["name"], "postgresql");
    assert_eq!(metadata["peers"]["database-peers"]["interface"], "postgresql_peers");
    assert_eq!(metadata["requires"]["s3-parameters"]["interface"], "s3");
    assert_eq!(metadata["requires"]["s3-parameters"]["limit"], 1);
    assert_eq!(metadata["storage"]["pgdata"]["type"], "filesystem");
    assert!(is_sentence(&metadata["summary"]) && is_sentence(&metadata["description"]));
}

#[test]
fn charmcraft_and_metadata_share_no_key() {
    let (craft, metadata) = (yaml("charm/charmcraft.yaml"), yaml("charm/metadata.yaml"));
    let both: Vec<_> = names(&craft).into_iter().filter(|key| !metadata[key.as_str()].is_null()).collect();
    assert!(both.is_empty(), "charmcraft refuses keys that stand in both: {both:?}");
    assert!(craft["actions"].is_null() && craft["config"].is_null(), "they have files of their own");
    assert_eq!(craft["type"], "charm");
    assert_eq!(names(&craft["platforms"]), ["amd64", "arm64"]);
    assert_eq!(craft["parts"]["dispatch"]["organize"]["bin/pg-backup-agent"], "dispatch");
}

// The comparisons with the code stand here: names on both sides, and nothing but names.
//
//     names(&yaml("actions.yaml"))            with the actions that `pg_backup_agent::actions` runs
//     names(&yaml("config.yaml")["options"])  with the options that `pg_backup_agent::settings` reads

fn yaml(path: &str) -> Value {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"));
    serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn map(value: &Value) -> &Mapping {
    value.as_mapping().expect("a YAML mapping")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a YAML string")
}

fn names(value: &Value) -> Vec<String> {
    let names: BTreeSet<_> = map(value).keys().map(|key| text(key).to_owned()).collect();
    names.into_iter().collect()
}

fn is_sentence(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.split_whitespace().count() >= 3)
}
