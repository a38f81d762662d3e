//! Lists of flat JSON objects as tables of text.

use serde_json::Value;
use unicode_width::UnicodeWidthStr as _;

/// What `print` shows: a list of objects as a table, a text as it is, anything else as JSON.
pub fn printed(content: &Value) -> String {
    match content {
        Value::String(text) => text.trim_end().to_owned(),
        Value::Array(rows) if !rows.is_empty() && rows.iter().all(Value::is_object) => json_table(rows),
        other => serde_json::to_string_pretty(other).unwrap_or_default(),
    }
}

fn json_table(rows: &[Value]) -> String {
    let mut header: Vec<String> = Vec::new();
    for name in rows.iter().filter_map(Value::as_object).flat_map(|row| row.keys()) {
        if !header.contains(name) {
            header.push(name.clone());
        }
    }
    let cells = rows.iter().map(|row| header.iter().map(|name| cell(&row[name.as_str()])).collect()).collect();
    table(&header, cells)
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        // Four significant decimals are what a person compares; the file has them all.
        Value::Number(number) if number.is_f64() => {
            let text = format!("{:.4}", number.as_f64().unwrap_or(f64::NAN));
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
        other => other.to_string(),
    }
}

/// Columns as wide as their widest cell, numbers to the right; no line is longer for its last cell.
pub fn table(header: &[String], rows: Vec<Vec<String>>) -> String {
    let numeric: Vec<bool> = (0..header.len())
        .map(|column| rows.iter().all(|row| row[column].is_empty() || row[column].parse::<f64>().is_ok()))
        .collect();
    let mut lines = vec![header.to_vec()];
    lines.extend(rows);
    let widths: Vec<usize> =
        (0..header.len()).map(|column| lines.iter().map(|row| row[column].width()).max().unwrap_or(0)).collect();
    let line = |row: &Vec<String>| {
        let mut text = String::new();
        for ((cell, width), right) in row.iter().zip(&widths).zip(&numeric) {
            let pad = " ".repeat(width - cell.width());
            let (before, after) = if *right { (pad.as_str(), "") } else { ("", pad.as_str()) };
            text.push_str(&format!("{before}{cell}{after}  "));
        }
        text.trim_end().to_owned()
    };
    lines.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_of_objects_is_a_table() {
        let rows = json!([{ "variety": "cu", "skill": 0.05, "why": null }, { "variety": "au", "skill": 12.25, "why": "größe" }]);
        assert_eq!(printed(&rows), "variety  skill  why\ncu        0.05\nau       12.25  größe");
    }

    #[test]
    fn a_text_is_shown_as_it_is() {
        assert_eq!(printed(&json!("a\nb\n")), "a\nb");
    }
}
