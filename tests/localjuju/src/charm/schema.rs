//! Action parameters against their JSON schema (the draft-4 subset charms use). Pure. Texts follow gojsonschema,
//! the library Juju uses.

use regex_lite::Regex;
use serde_json::{Map, Value};

/// Defaults of the schema, put where the parameters have nothing.
pub(crate) fn insert_defaults(schema: &Value, params: &mut Map<String, Value>) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
    for (name, property) in properties {
        if let Some(default) = property.get("default") {
            params.entry(name.clone()).or_insert_with(|| default.clone());
        }
        if property.get("properties").is_some() {
            let had = params.contains_key(name);
            let entry = params.entry(name.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = entry {
                insert_defaults(property, inner);
                if !had && inner.is_empty() {
                    params.remove(name);
                }
            }
        }
    }
}

/// All faults, as `(root).key : text` lines.
pub(crate) fn faults(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "(root)", &mut found);
    found
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if is_whole(number) => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

fn is_whole(number: &serde_json::Number) -> bool {
    !number.is_f64() || number.as_f64().is_some_and(|float| float.fract() == 0.0)
}

fn is_a(value: &Value, wanted: &str) -> bool {
    kind(value) == wanted || (wanted == "number" && value.is_number())
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let mut fault = |text: String| found.push(format!("{at} : {text}, given {}", shown(value)));
    let types: Vec<&str> = match schema.get("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(many)) => many.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    if !types.is_empty() && !types.iter().any(|wanted| is_a(value, wanted)) {
        fault(format!("must be of type {}", types.join(" or ")));
        return;
    }
    if let Some(Value::Array(allowed)) = schema.get("enum")
        && !allowed.contains(value)
    {
        let list: Vec<String> = allowed.iter().map(Value::to_string).collect();
        fault(format!("must match one of the enum values [{}]", list.join(",")));
    }
    match value {
        Value::String(text) => check_text(schema, text, &mut fault),
        Value::Number(number) => check_number(schema, number.as_f64().unwrap_or(0.0), &mut fault),
        Value::Array(items) => check_items(schema, items, at, found),
        Value::Object(map) => check_object(schema, map, at, found),
        _ => {}
    }
    combine(schema, value, at, found);
}

fn shown(value: &Value) -> String {
    value.to_string()
}

fn check_text(schema: &Value, text: &str, fault: &mut impl FnMut(String)) {
    let length = text.chars().count() as u64;
    if let Some(least) = schema.get("minLength").and_then(Value::as_u64).filter(|least| length < *least) {
        fault(format!("string's length must be greater than or equal to {least}"));
    }
    if let Some(most) = schema.get("maxLength").and_then(Value::as_u64).filter(|most| length > *most) {
        fault(format!("string's length must be lower than or equal to {most}"));
    }
    if let Some(pattern) = schema.get("pattern").and_then(Value::as_str)
        && !Regex::new(pattern).is_ok_and(|rule| rule.is_match(text))
    {
        fault(format!("does not match pattern '{pattern}'"));
    }
}

fn check_number(schema: &Value, number: f64, fault: &mut impl FnMut(String)) {
    let strict = |key: &str| schema.get(key).and_then(Value::as_bool).unwrap_or(false);
    if let Some(least) = schema.get("minimum").and_then(Value::as_f64) {
        if strict("exclusiveMinimum") && number <= least {
            fault(format!("must be greater than {least}"));
        } else if number < least {
            fault(format!("must be greater than or equal to {least}"));
        }
    }
    if let Some(most) = schema.get("maximum").and_then(Value::as_f64) {
        if strict("exclusiveMaximum") && number >= most {
            fault(format!("must be lower than {most}"));
        } else if number > most {
            fault(format!("must be lower than or equal to {most}"));
        }
    }
    if let Some(step) = schema.get("multipleOf").and_then(Value::as_f64).filter(|step| (number / step).fract() != 0.0) {
        fault(format!("must be a multiple of {step}"));
    }
}

fn check_items(schema: &Value, items: &[Value], at: &str, found: &mut Vec<String>) {
    let count = items.len() as u64;
    if let Some(least) = schema.get("minItems").and_then(Value::as_u64).filter(|least| count < *least) {
        found.push(format!("{at} : array must have at least {least} items"));
    }
    if let Some(most) = schema.get("maxItems").and_then(Value::as_u64).filter(|most| count > *most) {
        found.push(format!("{at} : array must have at most {most} items"));
    }
    let unique = schema.get("uniqueItems").and_then(Value::as_bool).unwrap_or(false);
    if unique && items.iter().enumerate().any(|(index, item)| items[..index].contains(item)) {
        found.push(format!("{at} : array items must be unique"));
    }
    if let Some(rule) = schema.get("items").filter(|rule| rule.is_object()) {
        for (index, item) in items.iter().enumerate() {
            check(rule, item, &format!("{at}.{index}"), found);
        }
    }
}

fn check_object(schema: &Value, map: &Map<String, Value>, at: &str, found: &mut Vec<String>) {
    let given = Value::Object(map.clone());
    for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        if !map.contains_key(name) {
            found.push(format!("{at} : {name:?} property is missing and required, given {given}"));
        }
    }
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, value) in map {
        let rule = properties.and_then(|properties| properties.get(name));
        match (rule, schema.get("additionalProperties")) {
            (Some(rule), _) => check(rule, value, &format!("{at}.{name}"), found),
            (None, Some(Value::Bool(false))) => {
                found.push(format!("{at} : additional property {name:?} is not allowed, given {given}"));
            }
            (None, Some(rule @ Value::Object(_))) => check(rule, value, &format!("{at}.{name}"), found),
            (None, _) => {}
        }
    }
}

fn combine(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    let matching = |key: &str| {
        let rules = schema.get(key)?.as_array()?;
        Some((rules.iter().filter(|rule| faults(rule, value).is_empty()).count(), rules.len()))
    };
    if matching("anyOf").is_some_and(|(good, _)| good == 0) {
        found.push(format!("{at} : must validate at least one schema (anyOf)"));
    }
    if matching("oneOf").is_some_and(|(good, _)| good != 1) {
        found.push(format!("{at} : must validate one and only one schema (oneOf)"));
    }
    if matching("allOf").is_some_and(|(good, all)| good != all) {
        found.push(format!("{at} : must validate all the schemas (allOf)"));
    }
    if schema.get("not").is_some_and(|rule| faults(rule, value).is_empty()) {
        found.push(format!("{at} : must not validate the schema (not)"));
    }
}
