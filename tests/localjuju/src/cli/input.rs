//! Reads what stands on the command line: key=value words and files, in the user's own directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use serde_json::{Map, Value};

pub(super) fn pairs(words: &[String]) -> Result<BTreeMap<String, String>> {
    words
        .iter()
        .map(|word| match word.split_once('=') {
            Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
            _ => Err(anyhow!("expected \"key=value\", got {word:?}")),
        })
        .collect()
}

/// `k=@file` reads the value from the file, as `juju config` does.
pub(super) fn with_files(set: BTreeMap<String, String>) -> Result<BTreeMap<String, String>> {
    set.into_iter()
        .map(|(key, value)| match value.strip_prefix('@').filter(|path| !path.is_empty()) {
            Some(path) => Ok((
                key,
                std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read configuration from file {path:?}"))?,
            )),
            None => Ok((key, value)),
        })
        .collect()
}

pub(super) fn yaml_map(path: &Path) -> Result<Map<String, Value>> {
    let text = if path == Path::new("-") {
        std::io::read_to_string(std::io::stdin())?
    } else {
        std::fs::read_to_string(path).with_context(|| format!("open {}", path.display()))?
    };
    match serde_yaml::from_str(&text).with_context(|| format!("parsing {}", path.display()))? {
        Value::Object(map) => Ok(map),
        Value::Null => Ok(Map::new()),
        _ => bail!("{} must contain a YAML map with string keys", path.display()),
    }
}

/// A file of settings: flat, or below the application's name, or below `settings` as `juju config` prints it.
pub(super) fn settings(mut map: Map<String, Value>, app: &str) -> Map<String, Value> {
    if let Some(Value::Object(inner)) = map.get_mut(app).map(Value::take) {
        return inner;
    }
    match map.get_mut("settings").map(Value::take) {
        Some(Value::Object(inner)) => {
            inner.into_iter().filter_map(|(key, entry)| Some((key, entry.get("value")?.clone()))).collect()
        }
        _ => map,
    }
}

pub(super) fn secret_content(words: &[String], file: Option<&PathBuf>) -> Result<BTreeMap<String, String>> {
    let mut given: Vec<(String, String)> = Vec::new();
    if let Some(file) = file {
        let text = std::fs::read_to_string(file).with_context(|| format!("open {}", file.display()))?;
        given.extend(crate::tools::args::string_map(&text).map_err(|fault| anyhow!(fault))?);
    }
    given.extend(
        words
            .iter()
            .map(|word| {
                word.split_once('=')
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .ok_or_else(|| anyhow!("key value {word:?} not valid"))
            })
            .collect::<Result<Vec<_>>>()?,
    );
    let read =
        |name: &str| std::fs::read(name).map_err(|fault| format!("open {name}: {}", crate::tools::args::plain(&fault)));
    crate::tools::secret_content(given, read).map_err(|fault| anyhow!(fault))
}
