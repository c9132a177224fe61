//! Flags the way Juju's commands read them: mixed with arguments, `--` ends them, errors exit 2. Pure.

use std::collections::BTreeMap;

use super::Fail;

/// One option: all its spellings, the first is its name.
#[derive(Clone, Copy)]
pub(crate) enum Flag {
    Switch(&'static [&'static str]),
    Value(&'static [&'static str]),
}

pub(crate) const FORMAT: Flag = Flag::Value(&["format"]);
pub(crate) const OUTPUT: Flag = Flag::Value(&["o", "output"]);
pub(crate) const RELATION: Flag = Flag::Value(&["r", "relation"]);

#[derive(Debug, Default)]
pub(crate) struct Parsed {
    flags: BTreeMap<&'static str, String>,
    pub(crate) rest: Vec<String>,
}

impl Parsed {
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.flags.get(name).is_some_and(|value| value == "true")
    }

    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.flags.get(name).map(String::as_str)
    }

    /// No argument may be left.
    pub(crate) fn no_more(&self, from: usize) -> Result<(), Fail> {
        match self.rest.get(from..) {
            None | Some([]) => Ok(()),
            Some(more) => Err(Fail::usage(format!("unrecognized args: {more:?}"))),
        }
    }
}

pub(crate) fn parse(args: &[String], known: &[Flag]) -> Result<Parsed, Fail> {
    let mut parsed = Parsed::default();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            parsed.rest.extend(args.cloned());
            break;
        }
        if !arg.starts_with('-') || arg == "-" {
            parsed.rest.push(arg.clone());
            continue;
        }
        let body = arg.trim_start_matches('-');
        let (name, inline) = match body.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (body, None),
        };
        if matches!(name, "help" | "h") {
            return Err(Fail::Help);
        }
        let found = known.iter().find_map(|flag| {
            let (names, takes) = match flag {
                Flag::Switch(names) => (names, false),
                Flag::Value(names) => (names, true),
            };
            names.contains(&name).then(|| (names[0], takes))
        });
        match (found, inline) {
            (None, _) => return Err(Fail::usage(format!("option provided but not defined: {}", dashes(arg, name)))),
            (Some((flag, _)), Some(value)) => parsed.flags.insert(flag, value),
            (Some((flag, false)), None) => parsed.flags.insert(flag, "true".to_owned()),
            (Some((flag, true)), None) => {
                let value = args.next().cloned();
                let value =
                    value.ok_or_else(|| Fail::usage(format!("option needs an argument: {}", dashes(arg, name))))?;
                parsed.flags.insert(flag, value)
            }
        };
    }
    Ok(parsed)
}

fn dashes(arg: &str, name: &str) -> String {
    let count = arg.len() - arg.trim_start_matches('-').len();
    format!("{}{name}", "-".repeat(count))
}

/// `k=v` arguments; the error text is Juju's.
pub(crate) fn key_values(args: &[String]) -> Result<BTreeMap<String, String>, Fail> {
    let mut found = BTreeMap::new();
    for arg in args {
        match arg.split_once('=') {
            Some((key, value)) if !key.is_empty() => found.insert(key.to_owned(), value.to_owned()),
            _ => return Err(Fail::usage(format!("expected \"key=value\", got {arg:?}"))),
        };
    }
    Ok(found)
}

/// A YAML or JSON map of strings, as `--file` takes it.
pub(crate) fn string_map(text: &str) -> Result<BTreeMap<String, String>, String> {
    let value: serde_yaml::Value = serde_yaml::from_str(text).map_err(|fault| format!("yaml: {fault}"))?;
    let map = match value {
        serde_yaml::Value::Null => return Ok(BTreeMap::new()),
        serde_yaml::Value::Mapping(map) => map,
        _ => return Err("yaml: unmarshal errors: cannot unmarshal into map[string]string".to_owned()),
    };
    map.into_iter()
        .map(|(key, value)| match (scalar(&key), scalar(&value)) {
            (Some(key), Some(value)) => Ok((key, value)),
            _ => Err("yaml: unmarshal errors: cannot unmarshal into string".to_owned()),
        })
        .collect()
}

fn scalar(value: &serde_yaml::Value) -> Option<String> {
    match value {
        serde_yaml::Value::String(text) => Some(text.clone()),
        serde_yaml::Value::Bool(flag) => Some(flag.to_string()),
        serde_yaml::Value::Number(number) => Some(number.to_string()),
        serde_yaml::Value::Null => Some(String::new()),
        _ => None,
    }
}

/// An I/O fault in Go's words.
pub(crate) fn plain(fault: &std::io::Error) -> String {
    match fault.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ => fault.to_string(),
    }
}
