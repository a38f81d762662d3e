//! `ghtrader.yaml` in the project root: what holds for all flows of a project. A project without it has the defaults.
//!
//! It is read as flow files are: unknown keys are errors, and all errors are told at once, each with its place. To add a
//! key: a field of [`Settings`], its name in [`KEYS`], and a line in [`read`] that reads it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use crate::cache::Address;
use crate::diagnostic::{Diagnostic, SourceFile, in_order};
use crate::flow::limits::size;
use crate::flow::load::text_of;
use crate::flow::walk::Walk;
use crate::flow::yaml::{self, Data, Node};
use crate::machine::{Declared, Devices};
use crate::resources::{CPU, GPU, MEMORY};

/// The file's name.
pub const FILE: &str = "ghtrader.yaml";

/// What a project says for all of its flows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settings {
    /// What the machine has.
    pub machine: Declared,
    /// The cache that it shares with other machines.
    pub cache: Option<Address>,
}

const KEYS: [&str; 2] = ["machine", "cache"];
const MACHINE: [&str; 4] = ["cpus", "memory", "gpus", "tokens"];

impl Settings {
    /// Those of the project with this root.
    ///
    /// # Errors
    /// All that is wrong with the file, in the order of its places.
    pub fn load(root: &Path) -> Result<Self, Vec<Diagnostic>> {
        let path = root.join(FILE);
        // Anything else that is there is for `text_of` to refuse.
        if matches!(path.symlink_metadata(), Err(error) if error.kind() == std::io::ErrorKind::NotFound) {
            return Ok(Self::default());
        }
        Self::parse(text_of(&path, FILE).map_err(|error| vec![error])?, root)
    }

    /// The same from a text.
    ///
    /// # Errors
    /// As [`Settings::load`].
    pub fn parse(text: String, root: &Path) -> Result<Self, Vec<Diagnostic>> {
        let file = Arc::new(SourceFile { name: FILE.to_owned(), text });
        let (node, errors) = yaml::parse(&file);
        let mut walk = Walk { file, errors };
        let settings = node.map(|node| read(&mut walk, &node, root)).unwrap_or_default();
        if walk.errors.is_empty() { Ok(settings) } else { Err(in_order(walk.errors)) }
    }
}

fn read(walk: &mut Walk, node: &Node, root: &Path) -> Settings {
    if node.data == Data::Null {
        return Settings::default();
    }
    let Some(fields) = walk.fields(node, FILE, &KEYS) else { return Settings::default() };
    Settings {
        machine: fields.get("machine").map(|node| machine(walk, node)).unwrap_or_default(),
        cache: fields.get("cache").and_then(|node| cache(walk, node, root)),
    }
}

fn cache(walk: &mut Walk, node: &Node, root: &Path) -> Option<Address> {
    const FORMS: &str = "where machines share results: s3://bucket/prefix, or a folder that all of them see";
    let text = walk.text(node, "`cache`", FORMS)?;
    Address::parse(text, root)
        .map_err(|why| walk.error_help(node.span, format!("`cache` {why}"), "here", format!("write {FORMS}")))
        .ok()
}

fn machine(walk: &mut Walk, node: &Node) -> Declared {
    let Some(fields) = walk.fields(node, "`machine`", &MACHINE) else { return Declared::default() };
    Declared {
        cpus: fields.get("cpus").and_then(|node| some(walk, node, "`cpus`")),
        memory: fields.get("memory").and_then(|node| size(walk, node, "`memory`")),
        devices: fields.get("gpus").and_then(|node| gpus(walk, node)),
        tokens: fields.get("tokens").map(|node| tokens(walk, node)).unwrap_or_default(),
    }
}

/// A number above 0.
fn some(walk: &mut Walk, node: &Node, what: &str) -> Option<f64> {
    let amount = walk.amount(node, what, "how many there are: 8")?;
    if amount == 0.0 {
        walk.error_help(node.span, format!("{what} has to be more than 0"), "nothing would run", "leave it out");
        return None;
    }
    Some(amount)
}

fn tokens(walk: &mut Walk, node: &Node) -> BTreeMap<String, f64> {
    let mut tokens = BTreeMap::new();
    for (name, node) in walk.named(node, "`tokens`", "token") {
        if [CPU, MEMORY, GPU].contains(&name.value.as_str()) {
            let help = "write machine: { cpus: 8, memory: 32GiB, gpus: 4 }";
            walk.error_help(name.span, format!("`{name}` is no token"), "every machine has it", help);
        } else if let Some(amount) = some(walk, node, &format!("`{name}`")) {
            tokens.insert(name.value.clone(), amount);
        }
    }
    tokens
}

const GPUS: &str = "how many there are, or their indices: 4, [2, 5] or [{ index: 0, memory: 24GiB }]";

fn gpus(walk: &mut Walk, node: &Node) -> Option<Devices> {
    let Data::List(items) = &node.data else { return count(walk, node).map(Devices::Count) };
    let mut devices = BTreeMap::new();
    for item in items {
        let Some((index, memory)) = gpu(walk, item) else { continue };
        if devices.insert(index, memory).is_some() {
            walk.error(item.span, format!("the device {index} is given twice"), "again here");
        }
    }
    Some(Devices::Listed(devices))
}

fn count(walk: &mut Walk, node: &Node) -> Option<u32> {
    let most = Devices::MOST;
    let count = number(node).filter(|count| *count <= most);
    if count.is_none() {
        walk.wrong(node, "`gpus`", &format!("a number up to {most} or a list"), GPUS);
    }
    count
}

fn gpu(walk: &mut Walk, node: &Node) -> Option<(u32, Option<u64>)> {
    let (index, memory) = match node.data {
        Data::Map(_) => {
            let fields = walk.fields(node, "a device", &["index", "memory"])?;
            let memory = fields.get("memory").and_then(|node| size(walk, node, "`memory`"));
            let Some(index) = fields.get("index") else {
                if !fields.misspells(&["index"]) {
                    walk.error_help(node.span, "a device has no `index`", "here", "write { index: 0, memory: 24GiB }");
                }
                return None;
            };
            (index, memory)
        }
        _ => (node, None),
    };
    let found = number(index);
    if found.is_none() {
        walk.wrong(index, "a device", "an index: 0, 1, …", GPUS);
    }
    Some((found?, memory))
}

fn number(node: &Node) -> Option<u32> {
    match &node.data {
        Data::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::render;

    fn parsed(text: &str) -> Declared {
        Settings::parse(text.to_owned(), Path::new("/project"))
            .unwrap_or_else(|errors| panic!("{}", render(&errors, false)))
            .machine
    }

    #[test]
    fn all_that_a_machine_may_have_is_read() {
        let text =
            "machine: { cpus: 1.5, memory: 200GiB, gpus: [{ index: 2, memory: 24GiB }, 5], tokens: { tqsdk: 4 } }";
        let devices = BTreeMap::from([(2, Some(24 << 30)), (5, None)]);
        let expected = Declared {
            cpus: Some(1.5),
            memory: Some(200 << 30),
            devices: Some(Devices::Listed(devices)),
            tokens: BTreeMap::from([("tqsdk".to_owned(), 4.0)]),
        };
        assert_eq!(parsed(text), expected);
        assert_eq!(parsed("machine: { gpus: 4 }").devices, Some(Devices::Count(4)));
        assert_eq!(parsed("machine: { gpus: [] }").devices, Some(Devices::Listed(BTreeMap::new())));
        for nothing in ["", "machine:", "machine: {}", "# only a word\n"] {
            assert_eq!(parsed(nothing), Declared::default(), "{nothing}");
        }
    }

    #[test]
    fn all_that_is_wrong_is_told_at_once_with_its_place() {
        let text = "\
machin: 1
machine:
  cpus: 0
  memory: plenty
  gpu: 1
  gpus: [1, x, 1, { memory: 1GiB }]
  tokens: { cpu: 4, Seat: 1, tqsdk: -1 }
";
        let errors = Settings::parse(text.to_owned(), Path::new("/project")).unwrap_err();
        let told: Vec<(String, String)> =
            errors.iter().map(|error| (error.place().unwrap(), error.message.clone())).collect();
        let expected = [
            ("1:1", "ghtrader.yaml has no key `machin`"),
            ("3:9", "`cpus` has to be more than 0"),
            ("4:11", "`memory` has to be a size"),
            ("5:3", "`machine` has no key `gpu`"),
            ("6:13", "a device has to be an index: 0, 1, …"),
            ("6:16", "the device 1 is given twice"),
            ("6:19", "a device has no `index`"),
            ("7:13", "`cpu` is no token"),
            ("7:21", "`Seat` is not a name for a token"),
            ("7:37", "`tqsdk` has to be a number that is not negative"),
        ];
        let expected: Vec<(String, String)> = expected
            .map(|(place, message)| (format!("ghtrader.yaml:{place}"), message.to_owned()))
            .into_iter()
            .collect();
        assert_eq!(told, expected);
        assert!(errors.iter().all(|error| error.help.is_some() || error.message.contains("twice")), "{errors:#?}");
        for text in ["machine: [", "[]", "machine: 4", "machine: { gpus: 2000 }", "machine: { gpus: -1 }"] {
            assert!(Settings::parse(text.to_owned(), Path::new("/project")).is_err(), "{text}");
        }
    }

    #[test]
    fn a_project_need_not_have_the_file() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(Settings::load(root.path()), Ok(Settings::default()));
        std::fs::create_dir(root.path().join(FILE)).unwrap();
        assert!(Settings::load(root.path()).is_err());
    }
}
