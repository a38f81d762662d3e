//! The code version of every kind: a hash of its crate's sources, of the workspace crates that it uses, and of the
//! locked versions of all libraries below these. So an edit of `train` leaves every `build` result valid, and a new
//! LightGBM or zstd does not leave those that are made with it.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

type Fallible<T> = Result<T, Box<dyn Error>>;

fn main() -> Fallible<()> {
    let tasks = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    let lock = tasks.join("../Cargo.lock");
    println!("cargo::rerun-if-changed={}", tasks.display());
    println!("cargo::rerun-if-changed={}", lock.display());
    let crates = crates(&tasks)?;
    let locked = locked(&lock)?;
    let mut table = String::from("/// The code versions by crate.\npub(crate) const CODE: &[(&str, &str)] = &[\n");
    for name in crates.keys() {
        writeln!(table, "    ({name:?}, {:?}),", version(name, &crates, &locked)?)?;
    }
    table.push_str("];\n");
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("code.rs"), table)?;
    Ok(())
}

/// A workspace crate: its folder and its direct dependencies.
struct Crate {
    folder: PathBuf,
    dependencies: BTreeSet<String>,
}

fn crates(tasks: &Path) -> Fallible<BTreeMap<String, Crate>> {
    let mut crates = BTreeMap::new();
    for entry in fs::read_dir(tasks)? {
        let folder = entry?.path();
        let Ok(text) = fs::read_to_string(folder.join("Cargo.toml")) else { continue };
        let manifest: toml::Table = text.parse()?;
        let name = manifest["package"]["name"].as_str().unwrap_or_default().to_owned();
        let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table);
        let dependencies = dependencies.into_iter().flat_map(|table| table.keys().cloned()).collect();
        crates.insert(name, Crate { folder, dependencies });
    }
    Ok(crates)
}

/// A locked package of somebody else: its versions and what they depend on.
#[derive(Default)]
struct Locked {
    versions: BTreeSet<String>,
    dependencies: BTreeSet<String>,
}

/// The locked packages by name; of a name with several versions, all together.
fn locked(lock: &Path) -> Fallible<BTreeMap<String, Locked>> {
    let lock: toml::Table = fs::read_to_string(lock)?.parse()?;
    let mut locked: BTreeMap<String, Locked> = BTreeMap::new();
    for package in lock["package"].as_array().into_iter().flatten() {
        let text = |key: &str| package.get(key).and_then(toml::Value::as_str).unwrap_or_default().to_owned();
        let entry = locked.entry(text("name")).or_default();
        entry.versions.insert(text("version"));
        // `name`, or `name version` where there are several.
        let dependencies = package.get("dependencies").and_then(toml::Value::as_array).into_iter().flatten();
        let names = dependencies.filter_map(|text| text.as_str()?.split(' ').next().map(str::to_owned));
        entry.dependencies.extend(names);
    }
    Ok(locked)
}

fn version(name: &str, crates: &BTreeMap<String, Crate>, locked: &BTreeMap<String, Locked>) -> Fallible<String> {
    let mut hasher = blake3::Hasher::new();
    let mut seen = BTreeSet::new();
    let mut todo = vec![name.to_owned()];
    while let Some(name) = todo.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        match crates.get(&name) {
            Some(own) => todo.extend(own.dependencies.iter().cloned()),
            None => {
                let Some(package) = locked.get(&name) else { continue };
                todo.extend(package.dependencies.iter().cloned());
                seen.extend(package.versions.iter().map(|version| format!("{name} {version}")));
            }
        }
    }
    for name in seen {
        hasher.update(name.as_bytes()).update(b"\n");
        if let Some(own) = crates.get(&name) {
            hash_folder(&own.folder.join("src"), &mut hasher)?;
            // Data that is compiled in (a calendar, say) computes too.
            hash_folder(&own.folder.join("data"), &mut hasher)?;
        }
    }
    Ok(hasher.finalize().to_hex()[..16].to_owned())
}

fn hash_folder(folder: &Path, hasher: &mut blake3::Hasher) -> Fallible<()> {
    if !folder.is_dir() {
        return Ok(());
    }
    let mut entries: Vec<PathBuf> =
        fs::read_dir(folder)?.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>()?;
    entries.sort();
    for path in entries {
        if path.is_dir() {
            hash_folder(&path, hasher)?;
        } else {
            // Names and not paths: a clone elsewhere gives the same version.
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let bytes = fs::read(&path)?;
            hasher.update(name.as_bytes()).update(&(bytes.len() as u64).to_le_bytes()).update(&bytes);
        }
    }
    Ok(())
}
