//! What an artifact is to the reference: bytes, and for a folder what lies where. Knows no hash.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A file or a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Value {
    File(File),
    Folder(Folder),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct File {
    pub(crate) text: String,
    pub(crate) executable: bool,
}

/// What lies where, by path; `None` is an empty folder. Folders that hold something are not named.
pub(crate) type Folder = BTreeMap<String, Option<File>>;

pub(crate) fn file(text: impl Into<String>) -> Value {
    Value::File(File { text: text.into(), executable: false })
}

/// What lies at `path` of a folder: a file, a folder, or nothing.
pub(crate) fn at(folder: &Folder, path: &str) -> Option<Value> {
    match folder.get(path) {
        Some(Some(file)) => return Some(Value::File(file.clone())),
        Some(None) => return Some(Value::Folder(Folder::new())),
        None => {}
    }
    let prefix = format!("{path}/");
    let below: Folder = folder
        .iter()
        .filter_map(|(path, entry)| Some((path.strip_prefix(&prefix)?.to_owned(), entry.clone())))
        .collect();
    (!below.is_empty()).then_some(Value::Folder(below))
}

/// Puts a value into a folder, at `path`.
pub(crate) fn graft(folder: &mut Folder, path: &str, value: &Value) {
    match value {
        Value::File(file) => drop(folder.insert(path.to_owned(), Some(file.clone()))),
        Value::Folder(inner) if inner.is_empty() => drop(folder.insert(path.to_owned(), None)),
        Value::Folder(inner) => {
            for (below, entry) in inner {
                folder.insert(format!("{path}/{below}"), entry.clone());
            }
        }
    }
}

/// Removes what lies at `path`; a folder above that holds nothing else stays, empty, as on a disk.
pub(crate) fn cut(folder: &mut Folder, path: &str) {
    let prefix = format!("{path}/");
    folder.retain(|other, _| other != path && !other.starts_with(&prefix));
    if let Some((above, _)) = path.rsplit_once('/')
        && at(folder, above).is_none()
    {
        folder.insert(above.to_owned(), None);
    }
}

/// What lies at a path of the disk.
pub(crate) fn read(path: &Path) -> Option<Value> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    if !metadata.is_dir() {
        return Some(Value::File(read_file(path)));
    }
    let mut folder = Folder::new();
    read_folder(path, "", &mut folder);
    Some(Value::Folder(folder))
}

fn read_file(path: &Path) -> File {
    let text = String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    File { text, executable: std::fs::metadata(path).unwrap().permissions().mode() & 0o111 != 0 }
}

fn read_folder(path: &Path, prefix: &str, folder: &mut Folder) {
    let mut empty = true;
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        empty = false;
        let name = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read_folder(&entry.path(), &format!("{name}/"), folder);
        } else {
            folder.insert(name, Some(read_file(&entry.path())));
        }
    }
    if empty && !prefix.is_empty() {
        folder.insert(prefix.trim_end_matches('/').to_owned(), None);
    }
}

/// Writes a file, in place where there is one.
pub(crate) fn write_file(path: &Path, file: &File) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    // What lay in a folder of that name is gone already.
    if path.is_dir() {
        std::fs::remove_dir_all(path).unwrap();
    }
    std::fs::write(path, &file.text).unwrap();
    let mode = if file.executable { 0o755 } else { 0o644 };
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

/// Makes a folder of the disk hold just this; what is right already is not touched.
pub(crate) fn write_folder(root: &Path, folder: &Folder) {
    std::fs::create_dir_all(root).unwrap();
    let there = match read(root) {
        Some(Value::Folder(there)) => there,
        _ => Folder::new(),
    };
    for (path, entry) in &there {
        if folder.get(path) != Some(entry) {
            let full = root.join(path);
            if entry.is_some() { std::fs::remove_file(full).unwrap() } else { std::fs::remove_dir(full).unwrap() }
        }
    }
    for (path, entry) in folder {
        match entry {
            None => std::fs::create_dir_all(root.join(path)).unwrap(),
            Some(_) if there.get(path) == Some(entry) => {}
            Some(file) => write_file(&root.join(path), file),
        }
    }
    prune(root, root, folder);
}

/// Removes folders that are not in `folder`, from the bottom up.
fn prune(root: &Path, path: &Path, folder: &Folder) {
    for entry in std::fs::read_dir(path).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_dir() {
            prune(root, &entry.path(), folder);
            let full = entry.path();
            let name = full.strip_prefix(root).unwrap().to_str().unwrap();
            if at(folder, name).is_none() {
                std::fs::remove_dir(&full).unwrap();
            }
        }
    }
}
