//! YAML as Juju's own writer puts it (go-yaml): strings that would read as something else stand in double quotes,
//! several lines as a block. Pure.

use serde_json::Value;

pub(crate) fn write(value: &Value) -> String {
    let mut text = String::new();
    match value {
        Value::Null => {}
        Value::Object(map) if map.is_empty() => text.push_str("{}\n"),
        Value::Array(items) if items.is_empty() => text.push_str("[]\n"),
        Value::Object(_) | Value::Array(_) => block(value, 0, &mut text),
        scalar => {
            text.push_str(&inline(scalar, 0));
            text.push('\n');
        }
    }
    text
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Object(map) => !map.is_empty(),
        Value::Array(items) => !items.is_empty(),
        _ => false,
    }
}

fn block(value: &Value, depth: usize, text: &mut String) {
    let indent = "  ".repeat(depth);
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                text.push_str(&format!("{indent}{}:", word(key)));
                if is_block(value) {
                    text.push('\n');
                    // Lists are not indented below their key.
                    block(value, depth + usize::from(value.is_object()), text);
                } else {
                    text.push_str(&format!(" {}\n", inline(value, depth + 1)));
                }
            }
        }
        Value::Array(items) => {
            for item in items {
                let mut inner = String::new();
                if is_block(item) {
                    block(item, depth + 1, &mut inner);
                } else {
                    inner = format!("{indent}  {}\n", inline(item, depth + 1));
                }
                let tail = inner.get(indent.len() + 2..).unwrap_or_default();
                text.push_str(&format!("{indent}- {tail}"));
            }
        }
        _ => {}
    }
}

fn inline(value: &Value, depth: usize) -> String {
    match value {
        Value::String(lines) if is_literal(lines) => {
            let indent = "  ".repeat(depth);
            let (body, mark) = match lines.strip_suffix('\n') {
                Some(body) if body.ends_with('\n') => (body, "|+"),
                Some(body) => (body, "|"),
                None => (lines.as_str(), "|-"),
            };
            let line = |line: &str| if line.is_empty() { String::new() } else { format!("{indent}{line}") };
            let body: Vec<String> = body.split('\n').map(line).collect();
            format!("{mark}\n{}", body.join("\n"))
        }
        Value::String(text) => word(text),
        Value::Object(_) => "{}".to_owned(),
        Value::Array(_) => "[]".to_owned(),
        other => other.to_string(),
    }
}

/// Lines that need no escapes.
fn is_literal(text: &str) -> bool {
    text.contains('\n')
        && text.trim() != ""
        && !text.starts_with([' ', '\n', '\t'])
        && !text.chars().any(|letter| letter.is_control() && letter != '\n' && letter != '\t')
}

fn word(text: &str) -> String {
    const WORDS: [&str; 22] = [
        "", "~", "null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE", "y", "Y", "yes", "Yes",
        "YES", "n", "N", "no", "No", "NO", "<<",
    ];
    const SWITCHES: [&str; 6] = ["on", "On", "ON", "off", "Off", "OFF"];
    let reads_otherwise = WORDS.contains(&text)
        || SWITCHES.contains(&text)
        || !matches!(serde_yaml::from_str::<serde_yaml::Value>(text), Ok(serde_yaml::Value::String(read)) if read == text)
        || looks_like_time_or_number(text);
    if reads_otherwise || text.contains('\n') {
        return quoted(text);
    }
    text.to_owned()
}

/// Dates and base-60 numbers are words to one reader of YAML and values to another.
fn looks_like_time_or_number(text: &str) -> bool {
    let plain = text.chars().all(|letter| letter.is_ascii_digit() || "-:_.,+".contains(letter));
    let time = text.len() >= 10
        && text.as_bytes().get(4) == Some(&b'-')
        && text.chars().take(4).all(|letter| letter.is_ascii_digit());
    let time = time
        && chrono::NaiveDate::parse_from_str(text.get(..10).unwrap_or_default(), "%Y-%m-%d").is_ok()
        && (text.len() == 10 || text.ends_with('Z'));
    (plain && text.chars().any(|letter| letter.is_ascii_digit()) && !text.contains('.')) || time
}

fn quoted(text: &str) -> String {
    // A JSON string is a double-quoted YAML string.
    Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_look_as_juju_prints_them() {
        #[rustfmt::skip]
        let table = [
            (json!(null),                          ""),
            (json!({}),                            "{}\n"),
            (json!({"a": "1", "b": 1}),            "a: \"1\"\nb: 1\n"),
            (json!({"a": {"b": "yes", "c": ""}}),  "a:\n  b: \"yes\"\n  c: \"\"\n"),
            (json!({"a": ["x", {"k": "v", "l": []}]}), "a:\n- x\n- k: v\n  l: []\n"),
            (json!({"a": "one\ntwo\n"}),           "a: |\n  one\n  two\n"),
            (json!({"a": "one\ntwo"}),             "a: |-\n  one\n  two\n"),
            (json!({"a": "k: v"}),                 "a: \"k: v\"\n"),
            (json!({"a": "- x"}),                  "a: \"- x\"\n"),
            (json!({"a": "<model>"}),              "a: <model>\n"),
            (json!({"a": "127.0.0.1"}),            "a: 127.0.0.1\n"),
            (json!({"a": true, "b": [1, 2]}),      "a: true\nb:\n- 1\n- 2\n"),
            (json!("text"),                        "text\n"),
        ];
        for (value, expected) in table {
            assert_eq!(write(&value), expected, "{value}");
        }
    }

    #[test]
    fn what_is_written_reads_as_it_was() {
        for text in [
            "",
            " x",
            "x ",
            "a: b",
            "#x",
            "x #y",
            "'",
            "\"",
            "\t",
            "\n",
            "a\n\nb\n",
            "a\nb\n\n",
            "1e3",
            "0x1f",
            "null",
            "2026-01-01",
            "12:30:45",
            "[x",
            "{x",
            "*x",
            "&x",
            "!x",
            "%x",
            "@x",
            "`x",
            "\u{1b}[0m",
            "é",
            "-",
            "?",
            "? x",
            "a\r\nb",
        ] {
            let value = json!({"key": {"inner": [text, {"deep": text}]}, text: 1});
            let read: Value = serde_yaml::from_str(&write(&value))
                .unwrap_or_else(|fault| panic!("{text:?}: {fault}\n{}", write(&value)));
            assert_eq!(read, value, "{text:?}");
        }
    }
}
