//! state-get, state-set, state-delete: the unit's own small store.

use serde_json::{Map, Value};

use super::args::{self, FORMAT, Flag, OUTPUT};
use super::{Answer, Call, Fail};

const KEY_LIMIT: usize = 256;
const VALUE_LIMIT: usize = 64 << 10;

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT, Flag::Switch(&["strict"])])?;
    parsed.no_more(1)?;
    let mut state = call.unit()?.state.clone();
    for (key, change) in &call.context.buffer.state {
        match change {
            Some(value) => state.insert(key.clone(), value.clone()),
            None => state.remove(key),
        };
    }
    let value = match parsed.rest.first().map(String::as_str).filter(|key| !matches!(*key, "" | "-")) {
        Some(key) => match state.get(key) {
            Some(value) => Value::from(value.clone()),
            None if parsed.is_set("strict") => return Err(Fail::run(format!("{key:?} not found"))),
            None => Value::from(""),
        },
        None => Value::Object(state.into_iter().map(|(key, value)| (key, Value::from(value))).collect::<Map<_, _>>()),
    };
    call.answer(&parsed, "smart", &value)
}

pub(super) fn set(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[Flag::Value(&["file"])])?;
    let arguments = args::key_values(&parsed.rest)?;
    let mut changes = match parsed.value("file") {
        Some(file) => args::string_map(&call.read_file(file)?).map_err(Fail::run)?,
        None => Default::default(),
    };
    changes.extend(arguments);
    if changes.is_empty() && parsed.value("file").is_none() {
        return Err(Fail::usage("no values specified"));
    }
    for (key, value) in &changes {
        if key.len() > KEY_LIMIT {
            return Err(Fail::run(format!("max allowed key length ({KEY_LIMIT}) exceeded")));
        }
        if value.len() > VALUE_LIMIT {
            return Err(Fail::run(format!("max allowed value length ({VALUE_LIMIT}) exceeded")));
        }
    }
    call.context.buffer.state.extend(changes.into_iter().map(|(key, value)| (key, Some(value))));
    Ok(String::new())
}

pub(super) fn delete(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[])?;
    let Some(key) = parsed.rest.first() else { return Err(Fail::usage("no key specified")) };
    parsed.no_more(1)?;
    call.context.buffer.state.insert(key.clone(), None);
    Ok(String::new())
}
