//! What identifies a task. One walk over the parts gives both the hash and its explanation, so the two cannot disagree.
//!
//! | part | in the key | why |
//! |---|---|---|
//! | kind and code version, or the command | yes | other code, other bytes |
//! | `with` values after defaults | yes | as canonical JSON, sorted by name: the order in the file is cosmetic |
//! | matrix values | yes | a task may read them |
//! | inputs | name and content hash | where a file lies, and when it was written, changes nothing |
//! | `env` values | yes; a secret's as a slow hash | a secret is not to be found in a manifest |
//! | outputs | name and relative path | a command reads the path |
//! | device class | of a kind that says that its bytes depend on it | the same program rounds otherwise on another device |
//! | task name, flow, resources, locks, retries, machine, times | no | they do not change what is computed |

use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::hash::Hash;

/// Everything that identifies a task. Each list is sorted by name.
#[derive(Clone, Debug)]
pub struct Identity {
    /// What computes.
    pub action: Action,
    /// `with` values after defaults.
    pub with: Vec<(String, Value)>,
    /// Matrix values.
    pub matrix: Vec<(String, Value)>,
    /// Content of the inputs.
    pub inputs: Vec<(String, Hash)>,
    /// Values of the caller's variables that the task sees.
    pub env: Vec<(String, EnvValue)>,
    /// Relative paths of the outputs.
    pub outputs: Vec<(String, String)>,
    /// What it runs on, where its kind says that its bytes depend on that.
    pub device: Option<DeviceClass>,
}

/// What a task runs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceClass {
    /// Processor cores alone.
    #[default]
    Cpu,
    /// Devices too.
    Gpu,
}

impl DeviceClass {
    /// That of a task with devices, or without.
    pub fn of(devices: bool) -> Self {
        if devices { Self::Gpu } else { Self::Cpu }
    }

    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Gpu => "gpu",
        }
    }
}

/// What computes.
#[derive(Clone, Debug)]
pub enum Action {
    /// A task kind and the version of its code.
    Kind {
        /// Its name.
        name: String,
        /// Its code version.
        code: String,
    },
    /// A shell command.
    Command(String),
}

/// The value of a variable of the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvValue {
    /// Not set.
    Unset,
    /// Set, and not secret.
    Plain(String),
    /// Set and secret: only a hash of it is kept.
    Secret(Hash),
}

/// How often the hash of a secret is hashed: a few milliseconds for us, and for each guess of somebody who has a manifest.
const ROUNDS: usize = 1 << 15;

impl EnvValue {
    /// A secret as it enters a key. The same on every machine, for the same work has the same key there; so it is salted
    /// with the variable's name only, and made slow to guess. A secret that is short is found by trying all the same.
    pub fn secret(name: &str, value: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("ghtrader 2026 secret variable v1");
        hasher.update(&(name.len() as u64).to_le_bytes());
        hasher.update(name.as_bytes());
        hasher.update(value.as_bytes());
        let first = hasher.finalize();
        Self::Secret((0..ROUNDS).fold(first, |hash, _| blake3::keyed_hash(first.as_bytes(), hash.as_bytes())).into())
    }
}

/// One part of a key, as it is written into manifests and shown by `explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What kind of part.
    pub group: Group,
    /// Its name; empty for a command.
    pub name: String,
    /// Its value as text.
    pub value: String,
}

/// The kinds of parts, in the order in which a difference is the more likely cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// The kind, with its code version as value.
    Kind,
    /// The command.
    Command,
    /// A parameter.
    With,
    /// A matrix value.
    Matrix,
    /// An input.
    Input,
    /// A variable of the caller.
    Env,
    /// An output's path.
    Output,
    /// What it runs on.
    Device,
}

/// Sees every part of an identity in a fixed order.
trait Visitor {
    fn part(&mut self, group: Group, name: &str, value: &str);
}

impl Identity {
    fn walk(&self, visitor: &mut impl Visitor) {
        match &self.action {
            Action::Kind { name, code } => visitor.part(Group::Kind, name, code),
            Action::Command(text) => visitor.part(Group::Command, "", text),
        }
        for (name, value) in &self.with {
            visitor.part(Group::With, name, &canonical(value));
        }
        for (name, value) in &self.matrix {
            visitor.part(Group::Matrix, name, &canonical(value));
        }
        for (name, hash) in &self.inputs {
            visitor.part(Group::Input, name, &hash.hex());
        }
        for (name, value) in &self.env {
            match value {
                EnvValue::Unset => visitor.part(Group::Env, name, "unset"),
                EnvValue::Plain(text) => visitor.part(Group::Env, name, &format!("={text}")),
                EnvValue::Secret(hash) => visitor.part(Group::Env, name, &format!("secret {hash}")),
            }
        }
        for (name, path) in &self.outputs {
            visitor.part(Group::Output, name, path);
        }
        if let Some(class) = self.device {
            visitor.part(Group::Device, "", class.name());
        }
    }

    /// The key.
    pub fn key(&self) -> Hash {
        let mut hasher = KeyHasher(HASHER.clone());
        self.walk(&mut hasher);
        hasher.0.finalize().into()
    }

    /// The parts, for the manifest and for `explain`.
    pub fn parts(&self) -> Vec<Part> {
        let mut parts = Parts(Vec::new());
        self.walk(&mut parts);
        parts.0
    }
}

/// Ready to take the parts: the context is hashed once.
static HASHER: LazyLock<blake3::Hasher> = LazyLock::new(|| blake3::Hasher::new_derive_key("ghtrader 2026 task key v1"));

struct KeyHasher(blake3::Hasher);

impl Visitor for KeyHasher {
    fn part(&mut self, group: Group, name: &str, value: &str) {
        // Lengths go first, so that no two lists of parts give the same bytes.
        self.0.update(&[group as u8]);
        for text in [name, value] {
            self.0.update(&(text.len() as u64).to_le_bytes());
            self.0.update(text.as_bytes());
        }
    }
}

struct Parts(Vec<Part>);

impl Visitor for Parts {
    fn part(&mut self, group: Group, name: &str, value: &str) {
        self.0.push(Part { group, name: name.to_owned(), value: value.to_owned() });
    }
}

/// JSON with sorted keys and no spaces: the same value gives the same text, however it was written.
pub fn canonical(value: &Value) -> String {
    let mut text = String::new();
    write_canonical(value, &mut text);
    text
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_canonical(item, text);
            }
            text.push(']');
        }
        Value::Object(map) => {
            let mut names: Vec<&String> = map.keys().collect();
            names.sort_unstable();
            text.push('{');
            for (index, name) in names.into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                text.push_str(&Value::from(name.as_str()).to_string());
                text.push(':');
                write_canonical(&map[name], text);
            }
            text.push('}');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity() -> Identity {
        Identity {
            action: Action::Command("true".into()),
            with: vec![("a".into(), json!({ "y": 1, "x": [1.5, null] }))],
            matrix: vec![("day".into(), json!("2022-02-18"))],
            inputs: vec![("ticks".into(), Hash::of(b"ticks"))],
            env: vec![("LANG".into(), EnvValue::Plain("C".into()))],
            outputs: vec![("out".into(), "out.txt".into())],
            device: None,
        }
    }

    #[test]
    fn canonical_json_does_not_depend_on_the_order_of_keys() {
        assert_eq!(canonical(&json!({ "y": 1, "x": [1.5, null, "ü\n"] })), r#"{"x":[1.5,null,"ü\n"],"y":1}"#);
    }

    #[test]
    fn every_part_changes_the_key() {
        type Edit = fn(&mut Identity);
        let edits: [Edit; 11] = [
            |i| i.action = Action::Command("false".into()),
            |i| i.action = Action::Kind { name: String::new(), code: "true".into() },
            |i| i.with[0].1 = json!(2),
            |i| i.with[0].0 = "b".into(),
            |i| i.matrix[0].1 = json!("2022-02-19"),
            |i| i.inputs[0].1 = Hash::of(b"other"),
            |i| i.env[0].1 = EnvValue::Unset,
            |i| i.env[0].1 = EnvValue::Secret(Hash::of(b"C")),
            |i| i.outputs[0].1 = "else.txt".into(),
            |i| i.device = Some(DeviceClass::Cpu),
            |i| i.device = Some(DeviceClass::Gpu),
        ];
        let mut keys = vec![identity().key()];
        for edit in edits {
            let mut edited = identity();
            edit(&mut edited);
            keys.push(edited.key());
        }
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }

    #[test]
    fn moving_text_between_neighbouring_parts_changes_the_key() {
        let mut one = identity();
        one.with = vec![("a".into(), json!("bc")), ("d".into(), json!("e"))];
        let mut two = identity();
        two.with = vec![("a".into(), json!("b")), ("cd".into(), json!("e"))];
        assert_ne!(one.key(), two.key());
    }

    #[test]
    fn a_secret_is_in_no_part() {
        let mut secret = identity();
        secret.env[0].1 = EnvValue::secret("TOKEN", "hunter2");
        let plain = Hash::of(b"hunter2").to_string();
        assert!(secret.parts().iter().all(|part| !part.value.contains("hunter2") && !part.value.contains(&plain)));
        assert_eq!(secret.env[0].1, EnvValue::secret("TOKEN", "hunter2"), "the same in every process");
        assert_ne!(EnvValue::secret("TOKEN", "hunter2"), EnvValue::secret("OTHER", "hunter2"));
    }

    /// The recorded results of everybody who has some.
    #[test]
    fn the_key_of_a_task_whose_bytes_do_not_depend_on_the_device_is_as_it_always_was() {
        assert_eq!(identity().key().to_string(), "7e4b58e65f79287338887443629b94f83876d7b50bf8af232a111674337e4b78");
    }
}
