//! What the reference believes the cache and the project hold after the steps so far.

use std::collections::BTreeMap;

use crate::value::{File, Folder, Value};

/// The outputs of a task by name.
pub(crate) type Outputs = BTreeMap<String, Value>;

/// All parts of a task's key, as one text.
pub(crate) type Key = String;

#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    pub(crate) results: BTreeMap<Key, Record>,
    /// Objects that were removed or damaged and not made again since.
    pub(crate) lost: BTreeMap<Object, Loss>,
    /// The moves of each ref.
    pub(crate) refs: Refs,
    /// What lies at published paths.
    pub(crate) published: BTreeMap<String, Value>,
}

pub(crate) type Refs = BTreeMap<String, Vec<Move>>;

/// A ref was moved: to what, and by the result of which key of which instance.
#[derive(Clone, Debug)]
pub(crate) struct Move {
    pub(crate) value: Value,
    pub(crate) key: Key,
    pub(crate) instance: String,
}

/// A recorded result.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) outputs: Outputs,
    /// Not where the runner was killed: it may have got so far or not.
    pub(crate) sure: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    Sure,
    /// Something may have made it again meanwhile.
    Perhaps,
}

/// What is stored as one file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Object {
    File(File),
    Listing(Folder),
}

/// Whether a recorded result can be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Usable {
    Yes,
    No,
    Perhaps,
}

/// What an artifact is stored as.
pub(crate) fn objects(value: &Value) -> Vec<Object> {
    match value {
        Value::File(file) => vec![Object::File(file.clone())],
        Value::Folder(folder) => {
            let files = folder.values().flatten().map(|file| Object::File(file.clone()));
            files.chain([Object::Listing(folder.clone())]).collect()
        }
    }
}

impl World {
    pub(crate) fn usable(&self, key: &str) -> Usable {
        let Some(record) = self.results.get(key) else { return Usable::No };
        let mut usable = if record.sure { Usable::Yes } else { Usable::Perhaps };
        for object in record.outputs.values().flat_map(objects) {
            match self.lost.get(&object) {
                Some(Loss::Sure) => return Usable::No,
                Some(Loss::Perhaps) => usable = Usable::Perhaps,
                None => {}
            }
        }
        usable
    }

    /// Whether there is a result, were it not for its objects.
    pub(crate) fn is_sure(&self, key: &str) -> bool {
        self.results.get(key).is_some_and(|record| record.sure)
    }

    /// A result was recorded: its outputs are stored.
    pub(crate) fn record(&mut self, key: &str, outputs: &Outputs, sure: bool) {
        let before = self.results.get(key).is_some_and(|record| record.sure && record.outputs == *outputs);
        self.results.insert(key.to_owned(), Record { outputs: outputs.clone(), sure: sure || before });
        for value in outputs.values() {
            self.stored(value, sure);
        }
    }

    /// A value was stored, or perhaps was.
    pub(crate) fn stored(&mut self, value: &Value, sure: bool) {
        for object in objects(value) {
            if sure {
                self.lost.remove(&object);
            } else if let Some(loss) = self.lost.get_mut(&object) {
                *loss = Loss::Perhaps;
            }
        }
    }

    /// A result moves a ref at most once.
    pub(crate) fn point(&mut self, name: &str, to: Move) {
        let moves = self.refs.entry(name.to_owned()).or_default();
        if moves.iter().all(|before| before.key != to.key) {
            moves.push(to);
        }
    }

    /// It was seen that a result that might be of use is, or is not.
    pub(crate) fn settle(&mut self, key: &str, usable: bool) {
        let Some(record) = self.results.get_mut(key) else { return };
        if usable {
            record.sure = true;
            for value in record.outputs.clone().values() {
                self.stored(value, true);
            }
        } else if !record.sure {
            // Either it was not recorded, or an object of it is lost: it has to run, and that is all that counts.
            self.results.remove(key);
        }
    }
}
