//! The charm's surface is whole and agrees with itself: actions.yaml, config.yaml, charm/metadata.yaml, charm/charmcraft.yaml.
//! What an option or action means is the agent's business (`settings`, `actions`); here only their names and shapes count,
//! and that the code, the README and the published schema know the same ones.

use std::collections::BTreeSet;
use std::path::Path;

use pg_backup_agent::actions;
use pg_backup_agent::settings::Config;
use serde_json::json;
use serde_yaml::{Mapping, Value};

/// Keys that Juju knows beside the parameters; any other would silently become part of the JSON schema.
const ACTION_KEYS: &[&str] =
    &["title", "description", "params", "required", "additionalProperties", "parallel", "execution-group"];

const OPTION_TYPES: &[&str] = &["string", "int", "float", "boolean", "secret"];

/// An action, the files that make its results, and how many results there are at least.
const RESULTS: [(&str, &[&str], usize); 6] = [
    ("cancel-restore", &["src/actions/restore/cancel.rs"], 1),
    ("continue-restore", &["src/actions/restore/held.rs"], 3),
    ("create-backup", &["src/report/results.rs", "src/actions/create_backup.rs"], 9),
    ("list-backups", &["src/actions/list_backups.rs"], 2),
    ("restore", &["src/actions/restore/mod.rs", "src/report/plan.rs"], 16),
    ("undo-restore", &["src/actions/restore/undo.rs"], 4),
];

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
            assert!(schema["type"].is_string() || schema["type"].is_sequence(), "{at}: needs a type");
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
    assert_eq!(
        names(&actions),
        ["cancel-restore", "continue-restore", "create-backup", "list-backups", "restore", "undo-restore"]
    );
    let params = |action: &str| names(&actions[action]["params"]);
    assert_eq!(params("create-backup"), ["type"]);
    assert_eq!(params("list-backups"), ["format"]);
    let targets = ["restore-to-lsn", "restore-to-name", "restore-to-time", "restore-to-xid", "timeline"];
    assert_eq!(params("restore"), [&["backup-id", "dry-run", "exclusive", "hold"], &targets[..]].concat());
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

#[test]
fn the_actions_are_those_that_the_agent_runs() {
    let mut runs = actions::NAMES;
    runs.sort_unstable();
    assert_eq!(names(&yaml("actions.yaml")), runs);
    // Their parameters are compared by asking the binary: tests/dispatch.rs.
}

#[test]
fn the_options_are_those_that_the_agent_reads() {
    // No option is a list: whoever is read is refused, by its name.
    let refused = |option: &str| Config::from_json(&json!({option: [1]})).err().map(|bad| bad.option);
    for option in names(&yaml("config.yaml")["options"]) {
        assert_eq!(refused(&option), Some(option.as_str()), "config.yaml has an option that the agent does not read");
    }
    assert_eq!(refused("no-such-option"), None);
    // The other way round: every name that the agent asks for stands in config.yaml.
    let listed = names(&yaml("config.yaml")["options"]);
    let mut asked = quoted(&source("src/settings/config.rs"), "(options, \"");
    asked.sort_unstable();
    asked.dedup();
    assert_eq!(asked, listed, "left: src/settings/config.rs, right: config.yaml");
}

#[test]
fn the_defaults_of_config_yaml_are_those_of_the_agent() {
    let options = yaml("config.yaml")["options"].clone();
    let defaults = map(&options).iter().filter(|(_, option)| !option["default"].is_null());
    let defaults: serde_json::Map<_, _> = defaults
        .map(|(name, option)| (text(name).to_owned(), serde_json::to_value(&option["default"]).expect("a JSON value")))
        .collect();
    assert!(!defaults.is_empty());
    assert_eq!(Config::from_json(&json!(defaults)), Config::from_json(&json!({})));
}

/// `From 1 … to 86400`, as the description has it, and no number more.
#[test]
fn the_ranges_of_config_yaml_are_those_of_the_agent() {
    let options = yaml("config.yaml")["options"].clone();
    for option in ["archive-timeout", "keep-old-data"] {
        let description = text(&options[option]["description"]);
        let words: Vec<_> = description.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let after = |word: &str| words.windows(2).filter(|pair| pair[0] == word).find_map(|pair| pair[1].parse().ok());
        let (low, high): (i64, i64) =
            after("From").zip(after("to")).unwrap_or_else(|| panic!("{option}: {description}"));
        let table = [(low - 1, false), (low, true), (high, true), (high + 1, false)];
        for (value, good) in table {
            let taken = Config::from_json(&json!({option: value}));
            assert_eq!(taken.is_ok(), good, "{option} {value}; config.yaml says {low} to {high}");
        }
    }
    for (level, good) in [(1, true), (22, true), (23, false)] {
        assert!(text(&options["compression-level"]["description"]).contains("zst 1 to 22"));
        assert_eq!(Config::from_json(&json!({"compression-level": level})).is_ok(), good, "zst {level}");
    }
}

#[test]
fn endpoints_and_storages_of_the_code_are_those_of_metadata() {
    let metadata = yaml("charm/metadata.yaml");
    let endpoints = ["peers", "requires"].iter().flat_map(|role| names(&metadata[*role]));
    let (endpoints, storages): (BTreeSet<_>, BTreeSet<_>) =
        (endpoints.collect(), names(&metadata["storage"]).into_iter().collect());
    let code = sources();
    let storage = quoted(&code, ".storage(\"").into_iter().collect();
    assert_eq!(storages, storage, "left: charm/metadata.yaml, right: src/");
    // `juju.relation_ids(PEERS)`, and somewhere `const PEERS: &str = "database-peers";`
    let after = code.split(".relation_ids(").skip(1).filter(|rest| !rest.starts_with('&'));
    let names: BTreeSet<_> = after.filter_map(|rest| rest.split(')').next()).collect();
    let value = |name: &&str| quoted(&code, &format!("const {name}: &str = \"")).pop();
    let asked: BTreeSet<_> =
        names.iter().map(|name| value(name).unwrap_or_else(|| panic!("no const `{name}` in src/"))).collect();
    assert_eq!(endpoints, asked, "left: charm/metadata.yaml, right: src/");
}

#[test]
fn the_readme_tells_every_action_parameter_and_result() {
    let readme = source("README.md");
    let row = |action: &str| {
        let begins = format!("| `{action}` |");
        let mut rows = readme.lines().filter(|line| line.starts_with(&begins));
        rows.next().unwrap_or_else(|| panic!("README.md has no row for {action}")).to_owned()
    };
    assert_eq!(names(&yaml("actions.yaml")), RESULTS.map(|(action, ..)| action));
    for (action, files, at_least) in RESULTS {
        let row = row(action);
        for name in names(&yaml("actions.yaml")[action]["params"]) {
            assert!(row.contains(&format!("`{name}`")), "parameter `{name}` of {action} is not in README.md: {row}");
        }
        let keys = results(files);
        assert!(keys.len() >= at_least, "this test does not find the results of {action} any more: {keys:?}");
        for key in keys {
            assert!(row.contains(&format!("`{key}`")), "result `{key}` of {action} is not in README.md: {row}");
        }
    }
}

#[test]
fn results_have_keys_that_juju_takes() {
    const RESERVED: [&str; 5] = ["stdout", "stderr", "stdout-encoding", "stderr-encoding", "return-code"];
    for key in RESULTS.iter().flat_map(|(_, files, _)| results(files)) {
        let good = key.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
        assert!(good && !key.starts_with('-') && !key.ends_with('-'), "{key}");
        assert!(!RESERVED.contains(&key.as_str()), "{key}");
    }
}

#[test]
fn the_published_schema_is_a_schema() {
    let schema: serde_json::Value = serde_json::from_str(&source("docs/list-backups.schema.json")).expect("valid JSON");
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["type"], "object");
    every_required_key_is_described(&schema, "$");
    // The README leads there.
    assert!(source("README.md").contains("(docs/list-backups.schema.json)"));
}

fn every_required_key_is_described(schema: &serde_json::Value, at: &str) {
    let known = schema["properties"].as_object();
    for key in schema["required"].as_array().into_iter().flatten() {
        let key = key.as_str().expect("a key");
        assert!(known.is_some_and(|known| known.contains_key(key)), "{at}: `{key}` is required and not described");
    }
    for (key, inner) in known.into_iter().flatten() {
        every_required_key_is_described(inner, &format!("{at}.{key}"));
    }
    if !schema["items"].is_null() {
        every_required_key_is_described(&schema["items"], &format!("{at}[]"));
    }
}

/// The results of an action: the keys in files that make nothing else of the form `("key", …)` or `("key".to_owned(), …)`.
fn results(files: &[&str]) -> Vec<String> {
    let code: String = files.iter().map(|file| without_tests(&source(file))).collect();
    let is_key = |text: &String| {
        let [plain, owned] = [format!("(\"{text}\", "), format!("(\"{text}\".to_owned(), ")];
        !text.contains([' ', '{']) && (code.contains(&plain) || code.contains(&owned))
    };
    quoted(&code, "(\"").into_iter().filter(is_key).collect()
}

/// The string literals that begin after `beginning`, which ends with a quote.
fn quoted(code: &str, beginning: &str) -> Vec<String> {
    code.split(beginning).skip(1).filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect()
}

/// All of `src/`, without its tests.
fn sources() -> String {
    fn walk(folder: &Path, code: &mut String) {
        for entry in std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()) {
            match entry.extension() {
                _ if entry.is_dir() => walk(&entry, code),
                Some(extension) if extension == "rs" => {
                    code.push_str(&without_tests(&std::fs::read_to_string(&entry).expect("a source")));
                }
                _ => {}
            }
        }
    }
    let mut code = String::new();
    walk(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut code);
    code
}

fn without_tests(code: &str) -> String {
    code.split("#[cfg(test)]").next().unwrap_or_default().to_owned()
}

fn source(path: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&source(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
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
