//! action-get, action-set, action-fail, action-log.

use serde_json::{Map, Value};

use super::args::{self, FORMAT, OUTPUT};
use super::{Answer, Call, Fail};
use crate::model::names::is_action_word;
use crate::uniter::context::Run;

const RESERVED: [&str; 4] = ["stdout", "stdout-encoding", "stderr", "stderr-encoding"];

fn in_action(call: &Call<'_>) -> Result<u64, Fail> {
    match &call.context.run {
        Run::Action { task, .. } => Ok(*task),
        _ => Err(Fail::run("not running an action")),
    }
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT])?;
    parsed.no_more(1)?;
    in_action(call)?;
    let Run::Action { params, .. } = &call.context.run else { return Ok(String::new()) };
    let mut value = Value::Object(params.clone());
    if let Some(path) = parsed.rest.first().filter(|path| !path.is_empty()) {
        for key in path.split('.') {
            value = value.get_mut(key).map(Value::take).unwrap_or(Value::Null);
        }
    }
    call.answer(&parsed, "smart", &value)
}

pub(super) fn set(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[])?;
    let mut values = Vec::new();
    for arg in &parsed.rest {
        let Some((path, value)) = arg.split_once('=') else {
            return Err(Fail::usage(format!("argument {arg:?} must be of the form key...=value")));
        };
        let keys: Vec<&str> = path.split('.').collect();
        for key in &keys {
            if RESERVED.contains(key) {
                return Err(Fail::usage(format!("cannot set reserved action key {key:?}")));
            }
            if !is_action_word(key) {
                return Err(Fail::usage(format!(
                    "key {key:?} must start and end with lowercase alphanumeric, and contain only lowercase alphanumeric, hyphens and periods"
                )));
            }
        }
        values.push((keys, value));
    }
    in_action(call)?;
    for (keys, value) in values {
        nest(&mut call.context.action.results, &keys, Value::from(value));
    }
    Ok(String::new())
}

/// `a.b=1` -> `{a: {b: 1}}`; what stands in the way is replaced.
pub(crate) fn nest(map: &mut Map<String, Value>, keys: &[&str], value: Value) {
    match keys {
        [] => {}
        [last] => {
            map.insert((*last).to_owned(), value);
        }
        [first, more @ ..] => {
            let entry = map.entry(*first).or_insert_with(|| Value::Object(Map::new()));
            if !entry.is_object() {
                *entry = Value::Object(Map::new());
            }
            if let Value::Object(inner) = entry {
                nest(inner, more, value);
            }
        }
    }
}

pub(super) fn fail(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[])?;
    parsed.no_more(1)?;
    in_action(call)?;
    let default = "action failed without reason given, check action for errors";
    let message = parsed.rest.first().filter(|message| !message.is_empty());
    call.context.action.failed = Some(message.map_or(default, String::as_str).to_owned());
    Ok(String::new())
}

pub(super) fn log(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[])?;
    if parsed.rest.is_empty() {
        return Err(Fail::usage("no message specified"));
    }
    let task = in_action(call)?;
    let message = parsed.rest.join(" ");
    let now = call.now;
    if let Some(task) = call.model.tasks.get_mut(&task) {
        task.log.push((now, message));
    }
    call.changed = true;
    Ok(String::new())
}
