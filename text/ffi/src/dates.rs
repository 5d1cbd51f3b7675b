//! Dates that exist. llguidance takes a date's format for its shape, and so for a 29th of
//! February in any year; what reads the answer would refuse it.

use serde_json::Value;

/// Schemas by name, or not: what a keyword of JSON Schema holds.
const MAPS_OF_SCHEMAS: [&str; 5] =
    ["properties", "patternProperties", "$defs", "definitions", "dependentSchemas"];
const DATA: [&str; 4] = ["const", "enum", "default", "examples"];

/// Gives each string of format date or date-time, wherever it stands in the schema, a pattern
/// in the format's place. Years are 0001 to 9999, and no second is the 60th: more than that
/// is allowed, but little that reads dates can.
pub fn keep_to_the_calendar(schema: &mut Value) {
    match schema {
        Value::Array(items) => items.iter_mut().for_each(keep_to_the_calendar),
        Value::Object(fields) => {
            let pattern = match fields.get("format").and_then(Value::as_str) {
                Some("date") => Some(format!("^(?:{})$", date())),
                Some("date-time") => Some(format!("^(?:{})[tT]{TIME}$", date())),
                _ => None,
            };
            for (name, value) in fields.iter_mut() {
                if MAPS_OF_SCHEMAS.contains(&name.as_str()) {
                    let schemas = value.as_object_mut().into_iter().flat_map(|map| map.values_mut());
                    schemas.for_each(keep_to_the_calendar);
                } else if !DATA.contains(&name.as_str()) {
                    keep_to_the_calendar(value);
                }
            }
            // One that has a pattern, too, stays as it is: two cannot stand side by side.
            if let Some(pattern) = pattern {
                if !fields.contains_key("pattern") {
                    fields.remove("format");
                    fields.insert("pattern".into(), pattern.into());
                }
            }
        }
        _ => {}
    }
}

const TIME: &str = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?(?:[zZ]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])";

fn date() -> String {
    let year = "(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])";
    let days = concat!(
        "(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])|",
        "(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|",
        "02-(?:0[1-9]|1[0-9]|2[0-8])"
    );
    // By four, of full centuries by four hundred.
    let fours = "(?:0[48]|[2468][048]|[13579][26])";
    format!("{year}-(?:{days})|(?:[0-9]{{2}}{fours}|{fours}00)-02-29")
}
