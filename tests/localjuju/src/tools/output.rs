//! Formats of answers: json, yaml, and `smart` (plain words for plain values). Pure but for `-o FILE`.

use serde_json::Value;

use super::args::Parsed;
use super::{Answer, Call, Fail};

pub(crate) fn json(value: &Value) -> String {
    format!("{value}\n")
}

pub(crate) fn yaml(value: &Value) -> String {
    match serde_yaml::to_string(value) {
        Ok(text) if value.is_null() => text.replace("null\n", ""),
        Ok(text) => text,
        Err(_) => String::new(),
    }
}

pub(crate) fn smart(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "True\n".to_owned(),
        Value::Bool(false) => "False\n".to_owned(),
        Value::String(text) if text.is_empty() => String::new(),
        Value::String(text) => format!("{text}\n"),
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().filter_map(Value::as_str).map(|item| format!("{item}\n")).collect()
        }
        other => yaml(other),
    }
}

impl Call<'_> {
    pub(super) fn answer(&self, parsed: &Parsed, default: &str, value: &Value) -> Answer {
        let text = match parsed.value("format").unwrap_or(default) {
            "json" => json(value),
            "yaml" => yaml(value),
            "smart" => smart(value),
            other => {
                return Err(Fail::usage(format!(
                    "invalid value {other:?} for option --format: unknown format {other:?}"
                )));
            }
        };
        let Some(file) = parsed.value("o") else { return Ok(text) };
        std::fs::write(self.directory.join(file), text).map_err(|fault| Fail::run(fault.to_string()))?;
        Ok(String::new())
    }
}
