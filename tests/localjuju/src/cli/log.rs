//! debug-log: picks lines and follows.

use std::io::IsTerminal as _;
use std::time::Duration;

use chrono::{DateTime, Local, Utc};
use serde_json::Value;

use super::args::DebugLog;
use super::client::ask;
use super::print::{out, text};
use super::{Failure, Outcome};
use crate::api::{Call, ModelRef};

const LEVELS: [&str; 6] = ["TRACE", "DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

fn rank(level: &str) -> usize {
    LEVELS.iter().position(|known| known.eq_ignore_ascii_case(level)).unwrap_or(0)
}

/// `unit-x-0`, `x/0`, or `*` at the end of either.
fn names(pattern: &str, entity: &str) -> bool {
    let pattern = if pattern.contains('/') { crate::model::names::unit_tag(pattern) } else { pattern.to_owned() };
    match pattern.strip_suffix('*') {
        Some(start) => entity.starts_with(start),
        None => entity == pattern,
    }
}

fn is_wanted(line: &Value, options: &DebugLog) -> bool {
    let (entity, module) = (text(line, "/entity"), text(line, "/module"));
    (options.include.is_empty() || options.include.iter().any(|pattern| names(pattern, entity)))
        && !options.exclude.iter().any(|pattern| names(pattern, entity))
        && (options.include_module.is_empty()
            || options.include_module.iter().any(|part| module.starts_with(part.as_str())))
        && !options.exclude_module.iter().any(|part| module.starts_with(part.as_str()))
        && options.level.as_deref().is_none_or(|level| rank(text(line, "/level")) >= rank(level))
}

fn show(line: &Value, options: &DebugLog) -> String {
    let time: DateTime<Utc> = text(line, "/t").parse().unwrap_or_default();
    let form = match (options.date, options.ms) {
        (true, true) => "%Y-%m-%d %H:%M:%S%.3f",
        (true, false) => "%Y-%m-%d %H:%M:%S",
        (false, true) => "%H:%M:%S%.3f",
        (false, false) => "%H:%M:%S",
    };
    let time =
        if options.utc { time.format(form).to_string() } else { time.with_timezone(&Local).format(form).to_string() };
    format!(
        "{}: {time} {} {} {}\n",
        text(line, "/entity"),
        text(line, "/level"),
        text(line, "/module"),
        text(line, "/message")
    )
}

pub(super) fn run(model: ModelRef, options: &DebugLog) -> Outcome {
    let first = ask(&Call::Log { model: model.clone(), from: 0 })?;
    let wanted = |value: &Value| -> Vec<String> {
        let lines = value.get("lines").and_then(Value::as_array).into_iter().flatten();
        lines.filter(|line| is_wanted(line, options)).map(|line| show(line, options)).collect()
    };
    let lines = wanted(&first);
    let follow = options.tail || (std::io::stdout().is_terminal() && !options.no_tail && options.limit == 0);
    let most = match (options.limit, options.replay || !follow) {
        (limit @ 1.., _) => limit,
        (0, true) => lines.len(),
        (0, false) => options.lines,
    };
    for line in lines.iter().skip(lines.len().saturating_sub(most)) {
        out(line);
    }
    let mut next = first.get("next").and_then(Value::as_u64).unwrap_or(0);
    if !follow {
        return Ok(());
    }
    loop {
        std::thread::sleep(Duration::from_millis(250));
        let more = ask(&Call::Log { model: model.clone(), from: next }).map_err(Failure::from)?;
        for line in wanted(&more) {
            out(&line);
        }
        next = more.get("next").and_then(Value::as_u64).unwrap_or(next);
    }
}
