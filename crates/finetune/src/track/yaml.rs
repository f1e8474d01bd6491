//! YAML as far as trackers need it: nested mappings of scalars and lists, in a form that versions 1.1 and 1.2 read alike.

use serde_json::{Map, Value};

/// A mapping in block style.
pub(super) fn block(entries: &Map<String, Value>) -> String {
    let mut text = String::new();
    write_block(&mut text, entries, 0);
    text
}

fn write_block(text: &mut String, entries: &Map<String, Value>, depth: usize) {
    for (key, value) in entries {
        text.push_str(&"  ".repeat(depth));
        text.push_str(&plain_or_quoted(key));
        text.push(':');
        match value {
            Value::Object(inner) if !inner.is_empty() => {
                text.push('\n');
                write_block(text, inner, depth + 1);
            }
            value => {
                text.push(' ');
                text.push_str(&flow(value));
                text.push('\n');
            }
        }
    }
}

/// A scalar or a list on one line; strings are in double quotes, whose escapes are those of JSON.
fn flow(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(value) if number.is_f64() => float(value),
            _ => number.to_string(),
        },
        Value::Array(items) => format!("[{}]", items.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let entry =
                |(key, value): (&String, &Value)| format!("{}: {}", Value::from(key.as_str()), flow(value));
            format!("{{{}}}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

/// YAML 1.1 takes a number for a float only with a point, and with a sign in its exponent.
fn float(value: f64) -> String {
    let text = format!("{value:?}");
    let Some((mantissa, exponent)) = text.split_once('e') else { return text };
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

/// A key; what YAML could take for something else than a string is quoted.
fn plain_or_quoted(key: &str) -> String {
    let word = key.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let keyword = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let plain = word
        && key.starts_with(|c: char| c.is_ascii_alphabetic())
        && !keyword.contains(&key.to_ascii_lowercase().as_str());
    if plain { key.to_owned() } else { Value::from(key).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn mappings_nest_and_strings_are_quoted() {
        let value = json!({
            "train": {"steps": 6, "epsilon": 1e-8, "big": 1e20, "grid": [0.5, 1], "on": true, "none": null},
            "model": {"family": "it's: \"x\"\n", "empty": {}, "of": [{"a b": 1}]},
        });
        let Value::Object(entries) = value else { unreachable!() };
        let lines = block(&entries);
        for line in [
            "train:",
            "  steps: 6",
            "  epsilon: 1.0e-8",
            "  big: 1.0e+20",
            "  grid: [0.5, 1]",
            "  \"on\": true",
            "  none: null",
            "  family: \"it's: \\\"x\\\"\\n\"",
            "  empty: {}",
            "  of: [{\"a b\": 1}]",
        ] {
            assert!(lines.lines().any(|found| found == line), "{line} is not in\n{lines}");
        }
    }
}
