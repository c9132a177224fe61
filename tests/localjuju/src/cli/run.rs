//! run and exec: schedules tasks, shows their log lines live, prints results the way Juju 3 does.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::anyhow;
use serde_json::{Map, Value, json};

use super::args::{Format, Waiting};
use super::client::ask;
use super::print::{self, out};
use super::{Failure, Outcome};
use crate::api::{Call, ModelRef};
use crate::model::names::{app_of, is_action_word, unit_tag};
use crate::tools::output::yaml;
use crate::uniter::commit::duration;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Action,
    Exec,
}

impl Kind {
    fn patience(self) -> Duration {
        match self {
            Self::Action => Duration::from_secs(60),
            Self::Exec => Duration::from_secs(300),
        }
    }
}

pub(super) struct Wanted {
    pub(super) units: Vec<String>,
    pub(super) action: String,
    pub(super) arguments: Vec<(Vec<String>, String)>,
}

fn is_unit_or_leader(word: &str) -> bool {
    word.split_once('/').is_some_and(|(app, number)| {
        crate::model::names::is_application(app) && (number == "leader" || number.parse::<u32>().is_ok())
    })
}

/// `unit… action key.key=value…`
pub(super) fn read(words: &[String]) -> anyhow::Result<Wanted> {
    let units: Vec<String> = words.iter().take_while(|word| is_unit_or_leader(word)).cloned().collect();
    let action = words.get(units.len());
    if let Some(word) = action.filter(|word| !is_action_word(word)) {
        return Err(anyhow!("invalid unit or action name {word:?}"));
    }
    if units.is_empty() {
        return Err(anyhow!("no unit specified"));
    }
    let action = action.ok_or_else(|| anyhow!("no action specified"))?.clone();
    if units.iter().any(|unit| app_of(unit) != app_of(&units[0])) {
        return Err(anyhow!("all units must be of the same application"));
    }
    let mut arguments = Vec::new();
    for word in words.iter().skip(units.len() + 1) {
        let (path, value) = word
            .split_once('=')
            .ok_or_else(|| anyhow!("argument {word:?} must be of the form key.key.key...=value"))?;
        let keys: Vec<String> = path.split('.').map(str::to_owned).collect();
        if let Some(key) = keys.iter().find(|key| !is_action_word(key)) {
            return Err(anyhow!(
                "key {key:?} must start and end with lowercase alphanumeric, and contain only lowercase alphanumeric and hyphens"
            ));
        }
        arguments.push((keys, value.to_owned()));
    }
    Ok(Wanted { units, action, arguments })
}

pub(super) fn parameters(
    mut params: Map<String, Value>,
    arguments: &[(Vec<String>, String)],
    strings: bool,
) -> anyhow::Result<Map<String, Value>> {
    for (keys, text) in arguments {
        let value = if strings { Value::from(text.clone()) } else { yaml_value(text)? };
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        crate::tools::nest(&mut params, &keys, value);
    }
    Ok(params)
}

fn yaml_value(text: &str) -> anyhow::Result<Value> {
    // YAML 1.1, which Juju reads, has more words for true and false.
    match text {
        "y" | "Y" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => return Ok(Value::Bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => return Ok(Value::Bool(false)),
        _ => {}
    }
    Ok(serde_yaml::from_str(text)?)
}

fn failed(code: u8, text: impl Into<String>) -> Failure {
    Failure { code, text: text.into() }
}

pub(super) fn follow(model: &ModelRef, scheduled: &Value, waiting: &Waiting, format: &Format, kind: Kind) -> Outcome {
    if waiting.background && waiting.wait.is_some() {
        return Err(failed(2, "cannot specify both --wait and --background"));
    }
    let patience = match waiting.wait.as_deref() {
        None => kind.patience(),
        Some(text) => {
            let time = duration(text).and_then(|time| time.to_std().ok());
            time.filter(|time| !time.is_zero()).unwrap_or(kind.patience())
        }
    };
    let operation = scheduled.get("operation").map(Value::to_string).unwrap_or_default();
    let tasks: Vec<(u64, String)> = scheduled
        .get("tasks")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(|task| Some((task.get("id")?.as_u64()?, task.get("unit")?.as_str()?.to_owned())))
        .collect();
    let errors: Vec<&str> =
        scheduled.get("errors").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
    let progress = |text: &str| {
        if kind == Kind::Action {
            eprintln!("{text}");
        }
    };
    if !waiting.background && !tasks.is_empty() {
        progress(&format!(
            "Running operation {operation} with {} task{}",
            tasks.len(),
            if tasks.len() > 1 { "s" } else { "" }
        ));
        for (id, unit) in &tasks {
            progress(&format!("  - task {id} on {}", unit_tag(unit)));
        }
        progress("");
    }
    if tasks.is_empty() {
        eprintln!("Operation {operation} failed to schedule any tasks:\n{}", errors.join("\n"));
        return Ok(());
    }
    if !errors.is_empty() {
        eprintln!("Some actions could not be scheduled:\n{}\n", errors.join("\n"));
    }
    if waiting.background {
        background(&operation, &tasks);
        return Ok(());
    }
    let deadline = Instant::now() + patience;
    let mut results: Map<String, Value> = Map::new();
    let mut bad: BTreeMap<u64, i64> = BTreeMap::new();
    for (index, (id, unit)) in tasks.iter().enumerate() {
        progress(&format!("Waiting for task {id}...\n"));
        let Some(task) = wait(model, *id, deadline, tasks.len() == 1)? else {
            let missing: Vec<String> = tasks.iter().skip(index).map(|(_, unit)| format!("unit {unit}")).collect();
            return Err(failed(1, format!("timed out waiting for results from: {}", missing.join(", "))));
        };
        let code = task
            .pointer("/results/return-code")
            .map_or(-1, |code| code.as_i64().or_else(|| code.as_str()?.parse().ok()).unwrap_or(-1));
        if code >= 1 {
            bad.insert(*id, code);
        }
        results.insert(unit.clone(), task);
    }
    let results = Value::Object(results);
    print::value(
        &results,
        format,
        "plain",
        |value| if kind == Kind::Action { plain(value) } else { plain_exec(value) },
    )?;
    if bad.is_empty() {
        return Ok(());
    }
    let plural = if bad.len() > 1 { "s" } else { "" };
    let list: Vec<String> = bad.iter().map(|(id, code)| format!(" - id \"{id}\" with return code {code}")).collect();
    Err(failed(
        1,
        format!(
            "the following task{plural} failed:\n{}\n\nuse 'juju show-task' to inspect the failure{plural}\n",
            list.join("\n")
        ),
    ))
}

fn background(operation: &str, tasks: &[(u64, String)]) {
    match tasks {
        [(id, _)] => {
            eprintln!("Scheduled operation {operation} with task {id}");
            eprintln!("Check operation status with 'juju show-operation {operation}'");
            eprintln!("Check task status with 'juju show-task {id}'");
        }
        _ => {
            eprintln!("Scheduled operation {operation} with {} tasks", tasks.len());
            let info: Map<String, Value> =
                tasks.iter().map(|(id, unit)| (unit.clone(), json!({"id": id.to_string()}))).collect();
            out(&yaml(&Value::Object(info)));
            eprintln!("Check operation status with 'juju show-operation {operation}'");
            eprintln!("Check task status with 'juju show-task <id>'");
        }
    }
}

/// The finished task, or none when the time is over. Log lines go to standard error as they come.
pub(super) fn wait(model: &ModelRef, id: u64, deadline: Instant, show: bool) -> Result<Option<Value>, Failure> {
    let mut seen = 0;
    loop {
        let mut news = ask(&Call::Task { model: model.clone(), id, logs_seen: seen, wait: true })?;
        let lines = news.get("lines").and_then(Value::as_array).cloned().unwrap_or_default();
        seen += lines.len();
        for line in lines.iter().filter_map(Value::as_str).filter(|_| show) {
            eprintln!("{line}");
        }
        if news.get("over") == Some(&Value::Bool(true)) {
            if seen > 0 && show {
                eprintln!("\n");
            }
            return Ok(news.get_mut("task").map(Value::take));
        }
        if Instant::now() >= deadline {
            return Ok(None);
        }
    }
}

const STREAMS: [&str; 5] = ["return-code", "stdout", "stderr", "stdout-encoding", "stderr-encoding"];

fn shown_results(task: &Value) -> String {
    match task.get("results").and_then(Value::as_object) {
        Some(results) => {
            let own: Map<String, Value> = results
                .iter()
                .filter(|(key, _)| !STREAMS.contains(&key.as_str()))
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect();
            if own.is_empty() { String::new() } else { yaml(&Value::Object(own)) }
        }
        None => format!("Task {} {}\n", print::text(task, "/id"), print::text(task, "/status")),
    }
}

pub(super) fn plain(value: &Value) -> String {
    let many: Vec<(&String, &Value)> = print::entries(value).collect();
    let [(_, task)] = many.as_slice() else {
        let all: Map<String, Value> = many
            .iter()
            .map(|(unit, task)| {
                let mut info =
                    json!({"id": task.get("id"), "output": shown_results(task), "status": task.get("status")});
                if let (Some(message), Value::Object(map)) = (task.get("message"), &mut info) {
                    map.insert("message".to_owned(), message.clone());
                }
                ((*unit).clone(), info)
            })
            .collect();
        return yaml(&Value::Object(all));
    };
    let mut text = String::new();
    if print::text(task, "/status") == "failed" {
        text.push_str(&format!("Action id {} failed: {}\n", print::text(task, "/id"), print::text(task, "/message")));
    }
    text.push_str(&shown_results(task));
    text.push('\n');
    for stream in ["/results/stdout", "/results/stderr"] {
        let said = print::text(task, stream).trim_matches('\n');
        if !said.is_empty() {
            text.push_str(said);
            text.push('\n');
        }
    }
    text
}

fn plain_exec(value: &Value) -> String {
    let said: Vec<(&String, String)> = print::entries(value)
        .map(|(name, task)| {
            (name, format!("{}{}", print::text(task, "/results/stdout"), print::text(task, "/results/stderr")))
        })
        .collect();
    let mut text = String::new();
    for (name, output) in &said {
        if said.len() > 1 {
            text.push_str(&format!("{name}:\n{output}\n"));
        } else {
            text.push_str(output);
        }
    }
    text
}
