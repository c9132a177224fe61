//! Prints values in the format asked for, and the tables of the smaller commands.

use std::io::Write as _;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::args::Format;

/// Writes to standard output; a reader that has gone is no fault.
pub(super) fn out(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

pub(super) fn value(value: &Value, format: &Format, default: &str, table: impl FnOnce(&Value) -> String) -> Result<()> {
    let text = match format.format.as_deref().unwrap_or(default) {
        "json" => format!("{value}\n"),
        "yaml" => crate::tools::output::yaml(value),
        "smart" => crate::tools::output::smart(value),
        "tabular" | "plain" | "short" | "summary" | "oneline" | "line" => table(value),
        other => bail!("invalid value {other:?} for option --format: unknown format {other:?}"),
    };
    match &format.output {
        Some(path) => std::fs::write(path, text).with_context(|| format!("writing {}", path.display()))?,
        None => out(&text),
    }
    Ok(())
}

pub(super) fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    value.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

pub(super) fn entries(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Columns two spaces apart, no blanks at line ends.
pub(super) fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count)
        .map(|column| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let line: Vec<String> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

pub(super) fn models(value: &Value) -> String {
    let mut rows =
        vec![["Model", "Cloud/Region", "Type", "Status", "Machines", "Units", "Access"].map(str::to_owned).to_vec()];
    for model in value.get("models").and_then(Value::as_array).into_iter().flatten() {
        let mark = if model.get("is-current") == Some(&Value::Bool(true)) { "*" } else { "" };
        rows.push(vec![
            format!("{}{mark}", text(model, "/short-name")),
            "localhost/localhost".to_owned(),
            "localjuju".to_owned(),
            text(model, "/status/current").to_owned(),
            model.get("machines").and_then(Value::as_object).map_or(0, serde_json::Map::len).to_string(),
            model.get("unit-count").map(Value::to_string).unwrap_or_default(),
            "admin".to_owned(),
        ]);
    }
    format!("Controller: localjuju\n\n{}", columns(&rows))
}

pub(super) fn secrets(value: &Value) -> String {
    let mut rows = vec![["ID", "Name", "Owner", "Rotation", "Revision", "Last updated"].map(str::to_owned).to_vec()];
    for (id, secret) in entries(value) {
        let or = |text: &str, other: &str| if text.is_empty() { other.to_owned() } else { text.to_owned() };
        rows.push(vec![
            id.clone(),
            or(text(secret, "/name"), "-"),
            text(secret, "/owner").to_owned(),
            or(text(secret, "/rotation"), "never"),
            secret.get("revision").map(Value::to_string).unwrap_or_default(),
            text(secret, "/updated").to_owned(),
        ]);
    }
    columns(&rows)
}

pub(super) fn settings(value: &Value) -> String {
    let mut rows = vec![["Attribute", "From", "Value"].map(str::to_owned).to_vec()];
    for (key, entry) in entries(value) {
        let shown = match entry.get("Value") {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        rows.push(vec![key.clone(), text(entry, "/Source").to_owned(), shown]);
    }
    columns(&rows)
}

pub(super) fn storage(value: &Value) -> String {
    let mut rows = vec![["Unit", "Storage ID", "Type", "Size", "Status", "Message"].map(str::to_owned).to_vec()];
    for (id, storage) in entries(value.get("storage").unwrap_or(&Value::Null)) {
        let unit = storage
            .pointer("/attachments/units")
            .and_then(Value::as_object)
            .and_then(|units| units.keys().next().cloned());
        rows.push(vec![
            unit.unwrap_or_default(),
            id.clone(),
            text(storage, "/kind").to_owned(),
            String::new(),
            text(storage, "/status/current").to_owned(),
            String::new(),
        ]);
    }
    if rows.len() == 1 { String::new() } else { columns(&rows) }
}

pub(super) fn operations(value: &Value) -> String {
    let mut rows = vec![["ID", "Status", "Started", "Finished", "Task IDs", "Summary"].map(str::to_owned).to_vec()];
    for (id, operation) in entries(value) {
        let tasks: Vec<String> =
            entries(operation.get("tasks").unwrap_or(&Value::Null)).map(|(id, _)| id.clone()).collect();
        rows.push(vec![
            id.clone(),
            text(operation, "/status").to_owned(),
            text(operation, "/timing/started").to_owned(),
            text(operation, "/timing/completed").to_owned(),
            tasks.join(","),
            text(operation, "/summary").to_owned(),
        ]);
    }
    columns(&rows)
}

pub(super) fn actions(value: &Value) -> String {
    let mut rows = vec![["Action", "Description"].map(str::to_owned).to_vec()];
    for (name, action) in entries(value) {
        rows.push(vec![name.clone(), text(action, "/description").lines().next().unwrap_or_default().to_owned()]);
    }
    columns(&rows)
}
