//! The store as a whole: what it keeps, what it notices, and what it survives.

mod history;
mod objects;
mod results;
mod sources;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::artifact::Artifact;
use crate::key::{Group, Part};
use crate::manifest::{Execution, Input, Manifest, SCHEMA};

/// The two steps of a run, placing and recording, as one.
impl Cache {
    pub(crate) fn store(&self, path: &Path) -> Result<Artifact> {
        let artifact = self.place(path)?;
        self.record_all(&[]).map(|()| artifact)
    }

    pub(crate) fn store_bytes(&self, bytes: &[u8]) -> Result<Artifact> {
        let artifact = self.place_bytes(bytes)?;
        self.record_all(&[]).map(|()| artifact)
    }

    pub(crate) fn record(&self, manifest: &Manifest) -> Result<()> {
        self.record_all(std::slice::from_ref(manifest))
    }
}

struct Bench {
    folder: tempfile::TempDir,
    cache: Cache,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(&folder.path().join("cache")).unwrap();
        Self { folder, cache }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    /// The same cache, as another process would open it.
    fn again(&self) -> Cache {
        Cache::open(self.cache.root()).unwrap()
    }

    /// Writes into an object, as a disk or a careless person would.
    fn damage(&self, hash: &Hash, text: &str) {
        let path = self.cache.object_path(hash);
        fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, text).unwrap();
    }

    /// Lets an object rot: its bytes change, and the file system says of it what the index says.
    fn rot(&self, hash: &Hash, text: &str) {
        self.damage(hash, text);
        let stat = stat::Stat::of(&fs::metadata(self.cache.object_path(hash)).unwrap());
        self.cache.write(|index| tables::set_object(index, *hash, stat)).unwrap();
    }
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

/// Path and content (or `→ link`, or `/` for an empty folder) of all that is in a folder, executables marked.
fn tree(folder: &Path) -> BTreeMap<String, String> {
    let seen = walk::walk(folder).unwrap().into_iter();
    seen.map(|seen| {
        let text = match seen.what {
            walk::What::EmptyFolder => "/".to_owned(),
            walk::What::Link(link) => format!("→ {link}"),
            walk::What::File { full, .. } => {
                let star = if mode(&full) & 0o111 == 0 { "" } else { "*" };
                format!("{}{star}", String::from_utf8_lossy(&fs::read(full).unwrap()))
            }
        };
        (seen.path, text)
    })
    .collect()
}

fn manifest(name: &str, outputs: &[(&str, &Artifact)]) -> Manifest {
    Manifest {
        schema: SCHEMA,
        key: Hash::of(name.as_bytes()),
        parts: vec![Part { group: Group::Command, name: String::new(), value: name.into() }],
        flow: "daily".into(),
        task: name.into(),
        run: "01RUN".into(),
        inputs: BTreeMap::new(),
        outputs: outputs.iter().map(|(name, artifact)| ((*name).to_owned(), (*artifact).clone())).collect(),
        execution: Execution { finished: "2026-01-01T00:00:00Z".into(), ..Execution::default() },
    }
}

/// A folder with everything that a folder may hold.
fn full_folder(bench: &Bench, name: &str) -> PathBuf {
    bench.write(&format!("{name}/a.txt"), "a");
    bench.write(&format!("{name}/deep/er/-b \n ü.txt"), "b");
    set_mode(&bench.write(&format!("{name}/deep/run.sh"), "#!"), 0o755);
    fs::create_dir_all(bench.path(&format!("{name}/void"))).unwrap();
    symlink("../a.txt", bench.path(&format!("{name}/deep/link"))).unwrap();
    bench.path(name)
}
