//! The outputs of a result, as a plan keeps them for every instance.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};

use crate::artifact::Artifact;

/// Artifacts by the names of the outputs, sorted. A clone shares them.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs(Arc<[(Box<str>, Artifact)]>);

impl Outputs {
    /// An output.
    pub fn get(&self, name: &str) -> Option<&Artifact> {
        self.iter().find(|(own, _)| *own == name).map(|(_, artifact)| artifact)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Artifact)> {
        self.0.iter().map(|(name, artifact)| (&**name, artifact))
    }

    /// The artifacts, by name.
    pub fn values(&self) -> impl Iterator<Item = &Artifact> {
        self.0.iter().map(|(_, artifact)| artifact)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether the task has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Vec<(Box<str>, Artifact)>> for Outputs {
    fn from(mut outputs: Vec<(Box<str>, Artifact)>) -> Self {
        outputs.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        Self(outputs.into())
    }
}

impl From<BTreeMap<String, Artifact>> for Outputs {
    fn from(outputs: BTreeMap<String, Artifact>) -> Self {
        Self(outputs.into_iter().map(|(name, artifact)| (name.into(), artifact)).collect())
    }
}

impl<'de> Deserialize<'de> for Outputs {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> Visitor<'de> for Object {
            type Value = Outputs;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("artifacts by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Outputs, A::Error> {
                let mut outputs = Vec::with_capacity(1);
                while let Some(entry) = map.next_entry()? {
                    outputs.push(entry);
                }
                Ok(outputs.into())
            }
        }
        deserializer.deserialize_map(Object)
    }
}
