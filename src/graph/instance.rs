//! How an instance is called: `main-l5[variety=cu,day=2022-02-18]`, the same in messages, records and on the command line.
//!
//! A value that such a name could not be read back from (one with a comma, a bracket, an equals sign, a quote, a pattern's
//! `*` or `?`, a control character, white space at an end, or none at all) is written as a JSON string. It knows no plan.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::text::is_hidden;

/// The name of an instance of `task`; a task without axes is its own instance.
pub fn instance_name<'a>(task: &str, axes: impl IntoIterator<Item = (&'a str, Cow<'a, str>)>) -> String {
    let mut name = task.to_owned();
    let mut open = '[';
    for (axis, value) in axes {
        name.push(open);
        name.extend([axis, "=", &value]);
        open = ',';
    }
    if open == ',' {
        name.push(']');
    }
    name
}

/// A value of an axis, as names have it.
pub fn axis_text(value: &str) -> Cow<'_, str> {
    if is_plain(value) { Cow::Borrowed(value) } else { Cow::Owned(quoted(value)) }
}

fn is_plain(value: &str) -> bool {
    let special = |c: char| matches!(c, ',' | '[' | ']' | '=' | '"' | '*' | '?') || is_hidden(c);
    !value.is_empty() && value.trim() == value && !value.contains(special)
}

/// A JSON string in which nothing is left that a terminal would obey.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            '\n' => text.push_str("\\n"),
            '\t' => text.push_str("\\t"),
            '\r' => text.push_str("\\r"),
            c if is_hidden(c) => {
                // All that is hidden lies in the first plane, so one `\u` is enough. Writing to a string cannot fail.
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_values_that_could_not_be_read_back_are_quoted() {
        for plain in ["cu", "2022-02-18", "a b", "größe", "0.5", "a/b.c", "{x}", "true", "+", "a\\b"] {
            assert_eq!(axis_text(plain), plain);
        }
        for (value, text) in [
            ("", r#""""#),
            ("a,b", r#""a,b""#),
            ("a=1]", r#""a=1]""#),
            ("*", r#""*""#),
            (" a", r#"" a""#),
            ("{\"a\":1}", r#""{\"a\":1}""#),
            ("a\\b,", r#""a\\b,""#),
            ("a\n\u{1b}\u{9b}", r#""a\n\u001b\u009b""#),
        ] {
            assert_eq!(axis_text(value), text);
            assert_eq!(serde_json::from_str::<String>(text).unwrap(), value);
        }
    }
}
