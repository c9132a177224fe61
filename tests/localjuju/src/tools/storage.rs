//! storage-list, storage-get, storage-add.

use serde_json::{Value, json};

use super::args::{self, FORMAT, Flag, OUTPUT};
use super::{Answer, Call, Fail};

pub(super) fn list(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT])?;
    parsed.no_more(1)?;
    let unit = &call.context.unit;
    let mut found: Vec<String> = call
        .model
        .storage
        .values()
        .filter(|storage| storage.unit.as_ref() == Some(unit))
        .filter(|storage| parsed.rest.first().is_none_or(|name| &storage.name == name))
        .map(|storage| storage.id.clone())
        .collect();
    found.sort();
    call.answer(&parsed, "smart", &json!(found))
}

pub(super) fn get(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[FORMAT, OUTPUT, Flag::Value(&["s"])])?;
    parsed.no_more(1)?;
    let from_hook = || call.context.hook().and_then(|hook| hook.storage());
    let Some(id) = parsed.value("s").filter(|id| !id.is_empty()).or_else(from_hook) else {
        return Err(Fail::usage("no storage instance specified"));
    };
    if !id.contains('/') {
        return Err(Fail::usage(format!("invalid value {id:?} for option -s: storage {id:?} not found")));
    }
    let own = |storage: &&crate::model::Storage| storage.unit.as_ref() == Some(&call.context.unit);
    let Some(storage) = call.model.storage.get(id).filter(own) else {
        return Err(Fail::usage(format!("invalid value {id:?} for option -s: storage not found")));
    };
    let all = json!({"kind": storage.kind, "location": storage.location});
    let value = match parsed.rest.first() {
        None => all,
        Some(key) => match all.get(key) {
            Some(value) => value.clone(),
            None => return Err(Fail::run(format!("unknown attribute {key:?}"))),
        },
    };
    let value: Value = value;
    call.answer(&parsed, "smart", &value)
}

pub(super) fn add(call: &mut Call<'_>) -> Answer {
    let parsed = args::parse(&call.args, &[])?;
    if parsed.rest.is_empty() {
        return Err(Fail::usage("storage add requires a storage directive"));
    }
    for arg in &parsed.rest {
        let (name, count) = arg.split_once('=').unwrap_or((arg, "1"));
        let count: u32 = count
            .parse()
            .map_err(|_| Fail::usage(format!("storage directives for {name:?}: cannot parse count {count:?}")))?;
        let def = call.app()?.charm.storage.get(name);
        match def {
            None => return Err(Fail::run(format!("storage name {name:?} not found in charm"))),
            Some(def) if !def.multiple => {
                return Err(Fail::run(format!("cannot add storage: charm storage {name:?} is not multiple")));
            }
            Some(_) => {}
        }
        *call.context.buffer.storage.entry(name.to_owned()).or_default() += count;
    }
    Ok(String::new())
}
