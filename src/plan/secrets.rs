//! The secrets that a plan has met, as they enter keys: each is hashed once, for that is slow on purpose.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::key::EnvValue;
use crate::sync::lock;

/// What each variable's value has become.
#[derive(Default)]
pub(super) struct Secrets(Mutex<HashMap<(String, String), EnvValue>>);

impl Secrets {
    pub(super) fn get(&self, name: &str, value: &str) -> EnvValue {
        let mut known = lock(&self.0);
        known.entry((name.to_owned(), value.to_owned())).or_insert_with(|| EnvValue::secret(name, value)).clone()
    }
}
