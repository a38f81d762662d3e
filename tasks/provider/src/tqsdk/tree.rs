//! The data tree of the DIFF protocol, and its merge patches.
//!
//! A patch is a JSON object: objects are merged, `null` deletes, all else replaces (as RFC 7396 has it). Numbers that are
//! missing come as nothing, as `null`, or as texts (`"NaN"`, `"-"`); some writers of JSON put bare `NaN`, which is no JSON.

use std::borrow::Cow;

use serde_json::{Map, Value};

/// Applies a patch.
pub fn merge(target: &mut Value, patch: Value) {
    let Value::Object(patch) = patch else {
        *target = patch;
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Value::Object(target) = target else { return };
    for (name, value) in patch {
        if value.is_null() {
            target.remove(&name);
        } else {
            merge(target.entry(name).or_insert(Value::Null), value);
        }
    }
}

/// A message as JSON; bare `NaN` and `Infinity` count as null.
///
/// # Errors
/// Where it is no JSON in other ways.
pub fn parse(text: &str) -> Result<Value, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| match without_bare_numbers(text) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(text) => serde_json::from_str(&text),
    })
}

/// The text with `null` for `NaN`, `Infinity` and `-Infinity` outside of strings.
fn without_bare_numbers(text: &str) -> Cow<'_, str> {
    let (mut out, mut rest, mut quoted, mut changed) = (String::with_capacity(text.len()), text, false, false);
    while let Some(first) = rest.chars().next() {
        let word = ["NaN", "-Infinity", "Infinity"].into_iter().find(|word| !quoted && rest.starts_with(word));
        let taken = match (word, first) {
            (Some(word), _) => {
                out.push_str("null");
                changed = true;
                word.len()
            }
            // What is escaped ends no string.
            (None, '\\') if quoted => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            (None, _) => {
                quoted ^= first == '"';
                first.len_utf8()
            }
        };
        if word.is_none() {
            out.push_str(&rest[..taken]);
        }
        rest = &rest[taken..];
    }
    if changed { Cow::Owned(out) } else { Cow::Borrowed(text) }
}

/// A whole number; also one that was written with a point.
pub(super) fn integer(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_f64().filter(|number| number.fract() == 0.0).map(|number| number as i64))
}

/// A number; NaN where there is none.
pub(super) fn number(value: Option<&Value>) -> f64 {
    value.and_then(Value::as_f64).unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn patches_merge_delete_and_replace() {
        let mut tree = json!({ "a": { "b": 1, "c": { "d": 2 } }, "e": [1, 2] });
        merge(&mut tree, json!({ "a": { "b": null, "c": { "f": "x" } }, "e": [3], "g": { "h": null, "i": {} } }));
        assert_eq!(tree, json!({ "a": { "c": { "d": 2, "f": "x" } }, "e": [3], "g": { "i": {} } }));
        merge(&mut tree, json!({ "a": 5, "g": null }));
        merge(&mut tree, json!({ "a": { "now": "an object" } }));
        assert_eq!(tree, json!({ "a": { "now": "an object" }, "e": [3] }));
    }

    #[test]
    fn bare_numbers_that_are_none_count_as_null() {
        let parsed = parse(r#"{"a":NaN,"b":[-Infinity,Infinity],"c":"NaN \" NaN","d":"\\"}"#).unwrap();
        assert_eq!(parsed, json!({ "a": null, "b": [null, null], "c": "NaN \" NaN", "d": "\\" }));
        for bad in ["", "{", r#"{"a":NaN"#, r#"{"a":nan}"#, "\"\\", "\u{fffd}NaN"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<i32>().prop_map(Value::from), "[a-c]".prop_map(Value::from)];
        leaf.prop_recursive(4, 24, 4, |inner| {
            prop::collection::btree_map("[a-c]", inner, 0..4).prop_map(|map| Value::Object(map.into_iter().collect()))
        })
    }

    /// The MergePatch pseudo-code of RFC 7396, section 2.
    fn rfc(target: Value, patch: &Value) -> Value {
        let Value::Object(patch) = patch else { return patch.clone() };
        let mut target = target.as_object().cloned().unwrap_or_default();
        for (name, value) in patch {
            let old = target.remove(name);
            if !value.is_null() {
                target.insert(name.clone(), rfc(old.unwrap_or(Value::Null), value));
            }
        }
        Value::Object(target)
    }

    proptest! {
        #[test]
        fn it_is_the_merge_of_the_rfc(target in value(), patches in prop::collection::vec(value(), 0..4)) {
            let (mut ours, mut theirs) = (target.clone(), target);
            for patch in patches {
                theirs = rfc(theirs, &patch);
                merge(&mut ours, patch);
            }
            prop_assert_eq!(ours, theirs);
        }

        #[test]
        fn no_text_is_a_panic(text in "[\\-\"\\\\NaInfty,:{}é]{0,40}") {
            let _ = parse(&text);
        }
    }
}
