//! The part of JSON Schema that docs/list-backups.schema.json uses.

use serde_json::Value;

pub fn check(document: &Value) {
    let schema = serde_json::from_str(include_str!("../../docs/list-backups.schema.json")).expect("the schema");
    fits(&schema, document, "$");
}

fn fits(schema: &Value, value: &Value, at: &str) {
    let is = |name: &Value| match name.as_str().unwrap_or_default() {
        "null" => value.is_null(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{at}: type `{other}` in the schema"),
    };
    let types = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
    assert!(types.iter().any(is), "{at}: {value} is not {types:?}");
    if let (Some(allowed), false) = (schema["enum"].as_array(), value.is_null()) {
        assert!(allowed.contains(value), "{at}: {value} is not one of {allowed:?}");
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        assert!(value.get(name).is_some(), "{at}.{name} is missing");
    }
    for (name, field) in value.as_object().into_iter().flatten() {
        assert!(schema["properties"][name].is_object(), "{at}.{name} is not in the schema");
        fits(&schema["properties"][name], field, &format!("{at}.{name}"));
    }
    for (number, item) in value.as_array().into_iter().flatten().enumerate() {
        fits(&schema["items"], item, &format!("{at}[{number}]"));
    }
}
