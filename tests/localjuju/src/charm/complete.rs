//! What packing would have made of a charmcraft.yaml: metadata.yaml, config.yaml and actions.yaml, where they are
//! missing. Charm libraries read those, not charmcraft.yaml.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use serde_json::{Map, Value};

const METADATA: [&str; 17] = [
    "name",
    "display-name",
    "summary",
    "description",
    "assumes",
    "charm-user",
    "containers",
    "devices",
    "extra-bindings",
    "maintainers",
    "peers",
    "provides",
    "requires",
    "resources",
    "storage",
    "subordinate",
    "terms",
];

pub(crate) fn complete(directory: &Path) -> Result<()> {
    let source = directory.join("charmcraft.yaml");
    if !source.is_file() {
        return Ok(());
    }
    let text = fs::read_to_string(&source).context("reading charmcraft.yaml")?;
    let whole: Map<String, Value> = serde_yaml::from_str(&text).context("parsing charmcraft.yaml")?;
    let write = |name: &str, value: &Value| -> Result<()> {
        let path = directory.join(name);
        if path.exists() {
            return Ok(());
        }
        fs::write(path, serde_yaml::to_string(value)?).with_context(|| format!("writing {name}"))
    };
    if whole.contains_key("name") {
        let mut metadata: Map<String, Value> = whole.clone();
        metadata.retain(|key, _| METADATA.contains(&key.as_str()));
        if let Some(title) = whole.get("title") {
            metadata.insert("display-name".to_owned(), title.clone());
        }
        write("metadata.yaml", &Value::Object(metadata))?;
    }
    for (key, name) in [("config", "config.yaml"), ("actions", "actions.yaml")] {
        if let Some(part) = whole.get(key) {
            write(name, part)?;
        }
    }
    Ok(())
}
