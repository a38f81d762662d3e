//! What the tasks of a drawn project compute: in bash by `lib.sh`, and here.

use std::collections::BTreeMap;

use crate::value::{File, Folder, Value, file};

/// How an output is made from what a task has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    /// All of it, names too.
    Concat,
    /// The first byte: early cutoff.
    First,
    /// The number of bytes.
    Count,
    /// JSON: which of `a`, `b`, `c` occur.
    List,
    /// JSON: how often each of them occurs.
    Object,
    /// A folder: a file for each that occurs, with a folder inside and an empty one.
    Split,
}

impl Make {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Concat => "concat",
            Self::First => "first",
            Self::Count => "count",
            Self::List => "list",
            Self::Object => "object",
            Self::Split => "split",
        }
    }
}

/// What a task has seen: `D` and `C` of `lib.sh`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seen {
    all: String,
    contents: String,
}

impl Seen {
    pub(crate) fn take(&mut self, name: &str, value: Option<&Value>) {
        match value {
            None => self.all.push_str(&format!("({name} absent)")),
            Some(Value::File(file)) => {
                self.all.push_str(&format!("({name}{}:{})", star(file), file.text));
                self.contents.push_str(&file.text);
            }
            Some(Value::Folder(folder)) => {
                self.all.push_str(&format!("({name}/"));
                self.walk(folder);
                self.all.push(')');
            }
        }
    }

    /// Depth first, names in the order of their bytes, every folder named before what is in it.
    fn walk(&mut self, folder: &Folder) {
        let mut entries: Vec<(Vec<&str>, &Option<File>)> =
            folder.iter().map(|(path, entry)| (path.split('/').collect(), entry)).collect();
        entries.sort();
        let mut named: Vec<String> = Vec::new();
        for (parts, entry) in entries {
            let folders = parts.len() - usize::from(entry.is_some());
            for depth in 1..=folders {
                let path = parts[..depth].join("/");
                if !named.contains(&path) {
                    self.all.push_str(&format!("<{path}/>"));
                    named.push(path);
                }
            }
            if let Some(file) = entry {
                self.all.push_str(&format!("<{}{}:{}>", parts.join("/"), star(file), file.text));
                self.contents.push_str(&file.text);
            }
        }
    }

    pub(crate) fn mix(&mut self, name: &str, value: &str) {
        self.all.push_str(&format!("[{name}={value}]"));
        self.contents.push_str(value);
    }

    /// Whether a task that fails on `!` fails.
    pub(crate) fn marked(&self) -> bool {
        self.contents.contains('!')
    }

    pub(crate) fn make(&self, make: Make) -> Value {
        let counts: BTreeMap<char, usize> = ['a', 'b', 'c']
            .into_iter()
            .map(|letter| (letter, self.contents.matches(letter).count()))
            .filter(|(_, count)| *count > 0)
            .collect();
        let join = |items: Vec<String>| items.join(",");
        match make {
            Make::Concat if self.all.len() > 2000 => file(format!("#{}", self.all.len())),
            Make::Concat => file(self.all.clone()),
            Make::First => file(first(&self.contents)),
            Make::Count => file(self.contents.len().to_string()),
            Make::List => file(format!("[{}]", join(counts.keys().map(|letter| format!("\"{letter}\"")).collect()))),
            Make::Object => file(format!(
                "{{{}}}",
                join(counts.iter().map(|(letter, count)| format!("\"{letter}\":{count}")).collect())
            )),
            Make::Split => Value::Folder(self.split(&counts)),
        }
    }

    fn split(&self, counts: &BTreeMap<char, usize>) -> Folder {
        let plain = |text: String| Some(File { text, executable: false });
        let mut folder: Folder =
            counts.iter().map(|(letter, count)| (letter.to_string(), plain(count.to_string()))).collect();
        if counts.contains_key(&'a') {
            folder.insert("sub/first".to_owned(), plain(first(&self.contents)));
        }
        if counts.contains_key(&'c') {
            folder.insert("void".to_owned(), None);
        }
        folder
    }
}

fn star(file: &File) -> &'static str {
    if file.executable { "*" } else { "" }
}

/// The first letter; contents are ASCII.
fn first(text: &str) -> String {
    text.chars().take(1).collect()
}
