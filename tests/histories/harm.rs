//! What is done to a cache and to published files from outside.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::play::Play;
use crate::steps::Harm;
use crate::value::{File, Value};
use crate::world::{Loss, Object, objects};

/// A published file is removed or changed.
pub(crate) fn spoil(play: &mut Play, pick: usize, remove: bool) {
    let published = &mut play.world.published;
    let Some(place) = published.keys().nth(pick % published.len().max(1)).cloned() else { return };
    let path = play.space.path("p").join(&place);
    // Until the next run publishes it again, anything may lie there.
    match published.remove(&place) {
        Some(Value::File(_)) if remove => std::fs::remove_file(path).unwrap(),
        Some(Value::File(_)) => {
            let _ = std::fs::remove_file(&path);
            std::fs::write(path, "spoilt").unwrap();
        }
        Some(Value::Folder(_)) if remove => std::fs::remove_dir_all(path).unwrap(),
        _ => {
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
            std::fs::write(path.join("more"), "spoilt").unwrap();
        }
    }
}

/// An object of a recorded result is removed or damaged.
pub(crate) fn lose(play: &mut Play, pick: usize, remove: bool) {
    // Of a ref only the hash is known: what it points to, and is lost, is made again by its own task, for later runs.
    let pointed: Vec<Object> = play.world.refs.values().flatten().flat_map(|one| objects(&one.value)).collect();
    let known: Vec<Object> = play
        .world
        .results
        .values()
        .filter(|record| record.sure)
        .flat_map(|record| record.outputs.values().flat_map(objects))
        .filter(|object| !play.world.lost.contains_key(object) && !pointed.contains(object))
        .collect();
    let Some(object) = known.get(pick % known.len().max(1)) else { return };
    let hash = match object {
        Object::File(file) => blake3::hash(file.text.as_bytes()).to_hex().to_string(),
        Object::Listing(folder) => match listing(&play.space.path("p/cache/v1/objects"), folder) {
            Some(hash) => hash,
            None => return,
        },
    };
    let path = play.space.path("p/cache/v1/objects").join(&hash[..2]).join(&hash[2..]);
    let bytes = std::fs::read(&path).unwrap();
    if remove || bytes.is_empty() {
        std::fs::remove_file(path).unwrap();
    } else {
        // In place, of the same size.
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o644)).unwrap();
        std::fs::write(&path, vec![b'~'; bytes.len()]).unwrap();
    }
    play.world.lost.insert(object.clone(), Loss::Sure);
}

/// The hash of the object that is a folder's listing: the one that reads like it.
fn listing(store: &Path, folder: &std::collections::BTreeMap<String, Option<File>>) -> Option<String> {
    let entry = |file: &Option<File>| match file {
        None => serde_json::json!({ "folder": true }),
        Some(file) => {
            let hash = blake3::hash(file.text.as_bytes()).to_hex().to_string();
            serde_json::json!({ "hash": hash, "size": file.text.len() })
        }
    };
    let wanted: serde_json::Map<String, serde_json::Value> =
        folder.iter().map(|(path, file)| (path.clone(), entry(file))).collect();
    for shard in std::fs::read_dir(store).ok()?.flatten() {
        for object in std::fs::read_dir(shard.path()).ok()?.flatten() {
            let bytes = std::fs::read(object.path()).ok()?;
            if serde_json::from_slice::<serde_json::Map<_, _>>(&bytes).is_ok_and(|map| map == wanted) {
                let name = |path: std::ffi::OsString| path.to_string_lossy().into_owned();
                let hash = name(shard.file_name()) + &name(object.file_name());
                // A task may write a file that reads like a listing.
                return (blake3::hash(&bytes).to_hex().as_str() != hash).then_some(hash);
            }
        }
    }
    None
}

/// The index is removed or damaged.
pub(crate) fn index(path: &Path, harm: Harm) {
    if !path.exists() {
        return;
    }
    for more in ["-wal", "-shm"] {
        let _ = std::fs::remove_file(format!("{}{more}", path.display()));
    }
    match harm {
        Harm::Remove => std::fs::remove_file(path).unwrap(),
        Harm::Truncate => std::fs::write(path, &std::fs::read(path).unwrap()[..100]).unwrap(),
        Harm::Garbage => std::fs::write(path, vec![b'x'; 5000]).unwrap(),
    }
}
