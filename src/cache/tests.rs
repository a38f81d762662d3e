//! The store as a whole: what it keeps, what it notices, and what it survives.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::time::{Duration, Instant, SystemTime};

use super::*;
use crate::key::{Group, Part};
use crate::provenance::{Execution, Input, Manifest, SCHEMA};

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

#[test]
fn a_file_is_kept_under_its_hash_as_a_read_only_file() {
    let bench = Bench::new();
    let artifact = bench.cache.store(&bench.write("out", "hello")).unwrap();
    assert_eq!(artifact, Artifact { hash: Hash::of(b"hello"), folder: false, size: 5 });
    let object = bench.cache.object_path(&artifact.hash);
    assert_eq!((mode(&object), fs::read(&object).unwrap()), (0o444, b"hello".to_vec()));
    assert!(object.ends_with(format!(
        "v1/objects/{}/{}",
        &artifact.hash.to_string()[..2],
        &artifact.hash.to_string()[2..]
    )));
    assert_eq!(bench.cache.read(&artifact.hash).unwrap(), b"hello");
    assert_eq!(bench.cache.state(&artifact).unwrap(), State::Whole);
    assert_eq!(bench.cache.artifact(&artifact.hash).unwrap(), Some(artifact));
}

#[test]
fn a_folder_comes_back_as_it_went_in_and_is_the_same_as_its_source() {
    let bench = Bench::new();
    let source = bench.cache.hash_source(&full_folder(&bench, "source")).unwrap();
    let stored = bench.cache.store(&full_folder(&bench, "out")).unwrap();
    assert_eq!(stored, source);
    assert_eq!((stored.folder, stored.size), (true, 4));
    let dest = bench.path("copy");
    bench.cache.materialise(&stored, &dest).unwrap();
    assert_eq!(tree(&dest), tree(&bench.path("source")));
    assert_eq!((mode(&dest.join("a.txt")), mode(&dest.join("deep/run.sh"))), (0o444, 0o555));
    assert_eq!(bench.cache.state(&stored).unwrap(), State::Whole);
    assert_eq!(bench.cache.artifact(&stored.hash).unwrap(), Some(stored));
}

#[test]
fn every_change_in_a_folder_changes_its_hash() {
    let bench = Bench::new();
    type Edit = fn(&Path);
    let edits: [Edit; 9] = [
        |folder| fs::write(folder.join("a.txt"), "b").unwrap(),
        |folder| fs::rename(folder.join("a.txt"), folder.join("A.txt")).unwrap(),
        |folder| fs::rename(folder.join("deep/er"), folder.join("deep/ER")).unwrap(),
        |folder| fs::remove_file(folder.join("deep/run.sh")).unwrap(),
        |folder| fs::write(folder.join("new"), "").unwrap(),
        |folder| fs::create_dir(folder.join("deep/none")).unwrap(),
        |folder| fs::remove_dir(folder.join("void")).unwrap(),
        |folder| set_mode(&folder.join("a.txt"), 0o755),
        |folder| {
            fs::remove_file(folder.join("deep/link")).unwrap();
            symlink("../deep/run.sh", folder.join("deep/link")).unwrap();
        },
    ];
    let mut hashes = vec![bench.cache.hash_source(&full_folder(&bench, "base")).unwrap().hash];
    for (index, edit) in edits.into_iter().enumerate() {
        let folder = full_folder(&bench, &format!("edited-{index}"));
        // So that the edit is seen against what is remembered.
        bench.cache.hash_source(&folder).unwrap();
        edit(&folder);
        hashes.push(bench.cache.hash_source(&folder).unwrap().hash);
    }
    let count = hashes.len();
    hashes.sort_unstable();
    hashes.dedup();
    assert_eq!(hashes.len(), count);
}

#[test]
fn the_executable_bit_of_a_lone_file_counts_and_is_kept() {
    let bench = Bench::new();
    let path = bench.write("script", "#!");
    let plain = bench.cache.hash_source(&path).unwrap();
    set_mode(&path, 0o755);
    let program = bench.cache.hash_source(&path).unwrap();
    assert_ne!(plain.hash, program.hash);
    assert_eq!(bench.cache.store(&path).unwrap(), program);
    bench.cache.materialise(&program, &bench.path("copy")).unwrap();
    assert_eq!(mode(&bench.path("copy")), 0o555);
}

#[test]
fn what_cannot_be_an_artifact_is_refused_by_name() {
    let bench = Bench::new();
    type Make = fn(&Path);
    let cases: [(&str, Make); 6] = [
        ("absolute", |folder| symlink("/etc/passwd", folder.join("bad")).unwrap()),
        ("leads out", |folder| symlink("../x", folder.join("bad")).unwrap()),
        ("`..` after a name", |folder| symlink("a/../b", folder.join("bad")).unwrap()),
        ("not UTF-8", |folder| fs::write(folder.join(std::ffi::OsStr::from_bytes(b"bad\xff")), "").unwrap()),
        ("neither a file", |folder| drop(std::os::unix::net::UnixListener::bind(folder.join("bad")).unwrap())),
        ("not UTF-8", |folder| symlink(std::ffi::OsStr::from_bytes(b"x\xff"), folder.join("bad")).unwrap()),
    ];
    for (index, (why, make)) in cases.into_iter().enumerate() {
        let folder = bench.path(&index.to_string());
        fs::create_dir(&folder).unwrap();
        make(&folder);
        for error in [bench.cache.hash_source(&folder).unwrap_err(), bench.cache.store(&folder).unwrap_err()] {
            let text = error.to_string();
            assert!(matches!(error, CacheError::Unfit { .. }) && text.contains(why) && text.contains("bad"), "{text}");
        }
    }
    symlink("script", bench.path("link")).unwrap();
    assert!(matches!(bench.cache.store(&bench.path("link")), Err(CacheError::Unfit { .. })));
}

#[test]
fn an_output_cannot_leave_the_tasks_folder_through_a_link() {
    let bench = Bench::new();
    bench.write("elsewhere/out", "x");
    bench.write("task/sub/out", "y");
    symlink(bench.path("elsewhere"), bench.path("task/away")).unwrap();
    let task = bench.path("task");
    assert!(bench.cache.place_output(&task, Path::new("sub/out")).is_ok());
    let error = bench.cache.place_output(&task, Path::new("away/out")).unwrap_err();
    assert!(error.to_string().contains("out of the task's folder"), "{error}");
}

#[test]
fn an_output_with_a_second_name_is_not_shared_with_it() {
    let bench = Bench::new();
    let kept = bench.write("kept", "before");
    fs::hard_link(&kept, bench.path("out")).unwrap();
    let artifact = bench.cache.store(&bench.path("out")).unwrap();
    fs::write(&kept, "after!").unwrap();
    assert_eq!(bench.cache.read(&artifact.hash).unwrap(), b"before");
}

#[test]
fn damage_is_noticed_however_soon_and_however_well_hidden() {
    let bench = Bench::new();
    for round in 0..30 {
        let text = format!("text {round:02}");
        let artifact = bench.cache.store_bytes(text.as_bytes()).unwrap();
        bench.damage(&artifact.hash, &format!("TEXT {round:02}"));
        assert_eq!(bench.cache.state(&artifact).unwrap(), State::Damaged, "{round}");
        assert!(matches!(bench.cache.read(&artifact.hash), Err(CacheError::Damaged { .. })));
        let dest = bench.path(&format!("dest {round}"));
        assert!(matches!(bench.cache.materialise(&artifact, &dest), Err(CacheError::Damaged { .. })));
        // Made again, it is whole.
        assert_eq!(bench.cache.store_bytes(text.as_bytes()).unwrap(), artifact);
        assert_eq!(bench.cache.state(&artifact).unwrap(), State::Whole);
    }
    // Size and mtime as before; the ctime cannot be set.
    let artifact = bench.cache.store_bytes(b"text").unwrap();
    std::thread::sleep(Duration::from_millis(30));
    let path = bench.cache.object_path(&artifact.hash);
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    bench.damage(&artifact.hash, "TEXT");
    fs::OpenOptions::new().write(true).open(&path).unwrap().file().set_modified(before).unwrap();
    assert_eq!(bench.cache.state(&artifact).unwrap(), State::Damaged);
}

#[test]
fn what_is_missing_or_damaged_in_a_folder_is_noticed() {
    let bench = Bench::new();
    let folder = bench.cache.store(&full_folder(&bench, "out")).unwrap();
    bench.damage(&Hash::of(b"b"), "B");
    assert_eq!(bench.cache.state(&folder).unwrap(), State::Damaged);
    fs::remove_file(bench.cache.object_path(&Hash::of(b"b"))).unwrap();
    assert_eq!(bench.cache.state(&folder).unwrap(), State::Missing);
    assert!(matches!(bench.cache.materialise(&folder, &bench.path("dest")), Err(CacheError::Missing(_))));
    bench.cache.store(&full_folder(&bench, "again")).unwrap();
    assert_eq!(bench.cache.state(&folder).unwrap(), State::Whole);
    fs::remove_file(bench.cache.object_path(&folder.hash)).unwrap();
    assert_eq!(bench.again().state(&folder).unwrap(), State::Missing);
}

#[test]
fn times_and_permissions_that_were_changed_are_no_damage() {
    let bench = Bench::new();
    let artifact = bench.cache.store_bytes(b"text").unwrap();
    let path = bench.cache.object_path(&artifact.hash);
    set_mode(&path, 0o755);
    fs::File::open(&path).unwrap().file().set_modified(SystemTime::now()).unwrap();
    assert_eq!(bench.cache.state(&artifact).unwrap(), State::Whole);
    assert_eq!(mode(&path), 0o444, "it is put right");
}

#[test]
fn a_source_is_read_again_only_when_it_may_have_changed() {
    let bench = Bench::new();
    let path = bench.write("source", "one");
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(bench.cache.hash_source(&path).unwrap().hash, Hash::of(b"one"));
    // What is remembered is trusted: a wrong hash put there by this test is believed.
    let stat = stat::Stat::of(&fs::metadata(&path).unwrap());
    let wrong = Hash::of(b"planted");
    bench.cache.write(|index| tables::set_source(index, &path, stat, wrong)).unwrap();
    assert_eq!(bench.cache.hash_source(&path).unwrap().hash, wrong);
    // An edit that keeps size and mtime.
    let before = fs::metadata(&path).unwrap().modified().unwrap();
    fs::write(&path, "two").unwrap();
    fs::OpenOptions::new().write(true).open(&path).unwrap().file().set_modified(before).unwrap();
    assert_eq!(bench.cache.hash_source(&path).unwrap().hash, Hash::of(b"two"));
}

#[test]
fn edits_in_quick_succession_are_all_seen() {
    let bench = Bench::new();
    for folder in [false, true] {
        let path = bench.path(if folder { "folder" } else { "folder/file" });
        for round in 0..200 {
            let text = format!("{round:03}");
            bench.write("folder/file", &text);
            let artifact = bench.cache.hash_source(&path).unwrap();
            assert_eq!(artifact.hash, Cache::hash_anew(&path).unwrap().hash, "{round}");
        }
    }
}

#[test]
fn a_source_is_copied_only_as_it_was_hashed() {
    let bench = Bench::new();
    for (name, path) in [("file", bench.write("source", "one")), ("folder", full_folder(&bench, "folder"))] {
        let artifact = bench.cache.hash_source(&path).unwrap();
        let dest = bench.path(&format!("copy of {name}"));
        bench.cache.copy_source(&path, &artifact, &dest).unwrap();
        assert_eq!(Cache::hash_anew(&dest).unwrap(), artifact);
    }
    let path = bench.path("source");
    let artifact = bench.cache.hash_source(&path).unwrap();
    fs::write(&path, "two").unwrap();
    let error = bench.cache.copy_source(&path, &artifact, &bench.path("late copy")).unwrap_err();
    assert!(matches!(error, CacheError::Changed(changed) if changed == path));
}

#[test]
fn a_gather_is_the_folder_it_describes() {
    let bench = Bench::new();
    let file = bench.cache.store_bytes(b"1").unwrap();
    let folder = bench.cache.store(&full_folder(&bench, "out")).unwrap();
    fs::create_dir(bench.path("empty")).unwrap();
    let empty = bench.cache.store(&bench.path("empty")).unwrap();
    let parts =
        [("v=cu/x".to_owned(), file.clone()), ("v=au/y".to_owned(), folder.clone()), ("v=ag/z".to_owned(), empty)];
    let computed = bench.cache.gather_hash(&parts).unwrap();
    assert_eq!(bench.cache.state(&computed).unwrap(), State::Missing);
    let gathered = bench.cache.gather(&parts).unwrap();
    assert_eq!(gathered, computed);
    let dest = bench.path("dest");
    bench.cache.materialise(&gathered, &dest).unwrap();
    assert_eq!(fs::read(dest.join("v=cu/x")).unwrap(), b"1");
    assert!(dest.join("v=ag/z").is_dir());
    assert_eq!(bench.cache.hash_source(&dest).unwrap(), gathered);
    // Taking a part gives back what went in.
    assert_eq!(bench.cache.entry(&gathered, "v=cu/x").unwrap(), Some(file.clone()));
    assert_eq!(bench.cache.entry(&gathered, "v=au/y").unwrap(), Some(folder));
    assert_eq!(bench.cache.entry(&gathered, "v=pt").unwrap(), None);
    assert_eq!(bench.cache.entry(&file, "x").unwrap(), None);
    let clash = [("a".to_owned(), file.clone()), ("a/b".to_owned(), file)];
    assert!(matches!(bench.cache.gather(&clash), Err(CacheError::Clash(path)) if path == "a"));
    assert!(bench.cache.gather_hash(&[]).unwrap().folder);
}

#[test]
fn an_export_replaces_whatever_is_there_in_one_step() {
    let bench = Bench::new();
    let file = bench.cache.store_bytes(b"new").unwrap();
    let folder = bench.cache.store(&full_folder(&bench, "out")).unwrap();
    let dest = bench.path("public/deep/dest");
    for artifact in [&file, &folder, &file, &folder, &folder] {
        bench.cache.export(artifact, &dest).unwrap();
        assert_eq!(&bench.cache.hash_source(&dest).unwrap(), artifact);
    }
    // People may change their copy; the cache has its own.
    fs::write(dest.join("a.txt"), "mine").unwrap();
    assert_eq!(bench.cache.state(&folder).unwrap(), State::Whole);
    bench.cache.export(&folder, &dest).unwrap();
    assert_eq!(fs::read(dest.join("a.txt")).unwrap(), b"a");
    // A link is replaced, not followed.
    bench.write("target", "target");
    symlink(bench.path("target"), bench.path("public/link")).unwrap();
    bench.cache.export(&file, &bench.path("public/link")).unwrap();
    assert_eq!(fs::read(bench.path("target")).unwrap(), b"target");
    assert_eq!(fs::read_dir(bench.path("public/deep")).unwrap().count(), 1, "nothing stays behind");
    assert!(bench.cache.export(&file, &bench.path("target/below")).is_err());
}

#[test]
fn what_is_read_ahead_hides_no_change() {
    let bench = Bench::new();
    let source = bench.write("ticks", "old");
    std::thread::sleep(Duration::from_millis(50));
    let first = bench.cache.hash_source(&source).unwrap();
    let [lost, damaged, whole] =
        ["lost", "damaged", "whole"].map(|text| bench.cache.store_bytes(text.as_bytes()).unwrap());
    bench.cache.record(&manifest("a", &[("out", &whole)])).unwrap();
    for cache in [bench.again(), Cache::open_read_only(bench.cache.root()).unwrap()] {
        cache.read_ahead(usize::MAX);
        assert!(cache.object_ahead(&whole.hash).is_some() && cache.result_ahead(&Hash::of(b"a")).is_some());
        assert_eq!(cache.hash_source(&source).unwrap(), first);
        fs::write(&source, "new").unwrap();
        assert_ne!(cache.hash_source(&source).unwrap(), first);
        fs::write(&source, "old").unwrap();
        bench.damage(&damaged.hash, "DAMAGED");
        let _ = fs::remove_file(cache.object_path(&lost.hash));
        let states = [&lost, &damaged, &whole].map(|artifact| cache.state(artifact).unwrap());
        assert_eq!(states, [State::Missing, State::Damaged, State::Whole]);
        bench.cache.record(&manifest("b", &[("out", &whole)])).unwrap();
        assert!(cache.known_result(&Hash::of(b"b")).unwrap().is_some());
        cache.forget_ahead();
        assert!(cache.object_ahead(&whole.hash).is_none());
    }
    let cache = bench.again();
    cache.read_ahead(0);
    assert!(cache.object_ahead(&whole.hash).is_none(), "not where the index holds much more than what is wanted");
}

#[test]
fn what_is_placed_or_recorded_since_counts_before_what_was_read_ahead() {
    let bench = Bench::new();
    let output = bench.cache.store_bytes(b"text").unwrap();
    let manifest = manifest("a", &[("out", &output)]);
    bench.cache.record(&manifest).unwrap();
    let cache = bench.again();
    cache.read_ahead(usize::MAX);
    bench.damage(&output.hash, "other");
    assert_eq!(cache.state(&output).unwrap(), State::Damaged);
    cache.place_bytes(b"text").unwrap();
    assert!(
        cache.placed_stat(&output.hash).is_some()
            && cache.placed_stat(&output.hash) != cache.object_ahead(&output.hash)
    );
    assert_eq!(cache.state(&output).unwrap(), State::Whole);
    cache.record(&manifest).unwrap();
    assert_eq!(cache.state(&output).unwrap(), State::Whole);
    let n = || {
        (cache.known_result(&manifest.key).unwrap().unwrap().n, cache.find_result(&manifest.key).unwrap().unwrap().n)
    };
    assert_eq!(n(), (0, 1), "who holds the lock on a key asks for what is there now");
    cache.forget_ahead();
    assert_eq!(n(), (1, 1));
}

#[test]
fn results_are_found_and_each_execution_is_kept() {
    let bench = Bench::new();
    let (one, two) = (bench.cache.store_bytes(b"1").unwrap(), bench.cache.store_bytes(b"2").unwrap());
    let mut first = manifest("a", &[("out", &one)]);
    let input = Input { artifact: two.clone(), origins: vec![] };
    first.inputs.insert("in".into(), input);
    let key = first.key;
    assert_eq!(bench.cache.find_result(&key).unwrap(), None);
    bench.cache.record(&first).unwrap();
    let found = bench.cache.find_result(&key).unwrap().unwrap();
    assert_eq!((found.outputs, found.n, found.task.as_str()), (first.outputs.clone().into(), 0, "a"));
    let second = manifest("a", &[("out", &two)]);
    bench.again().record(&second).unwrap();
    assert_eq!(bench.cache.find_result(&key).unwrap().unwrap().outputs, second.outputs.clone().into());
    assert_eq!(bench.cache.manifest(&key).unwrap(), Some(second.clone()));
    assert_eq!(bench.cache.executions(&key).unwrap(), [first, second]);
    assert_eq!(bench.cache.manifests().unwrap().len(), 2);
    assert_eq!(bench.cache.last("daily", "a").unwrap(), Some(key));
    let other = Hash::of(b"another key");
    bench.cache.update_last("daily", &[("0", other), ("a", key), ("b", other)]).unwrap();
    bench.cache.update_last("daily", &[("0", key), ("a", key)]).unwrap();
    let last = ["0", "a", "b", "c"].map(|task| bench.cache.last("daily", task).unwrap());
    assert_eq!(last, [Some(key), Some(key), Some(other), None]);
    let all = [("0", key), ("a", key), ("b", other)].map(|(task, key)| (task.to_owned(), key));
    assert_eq!(bench.cache.all_last("daily").unwrap(), BTreeMap::from(all));
    assert_eq!(bench.cache.last("other", "a").unwrap(), None);
    assert_eq!(bench.cache.produced(&two.hash).unwrap(), [(key, "out".to_owned())]);
    assert_eq!(bench.cache.consumed(&two.hash).unwrap(), [(key, "in".to_owned())]);
    assert_eq!(bench.cache.artifact(&one.hash).unwrap(), Some(one.clone()));
    assert_eq!(bench.cache.artifacts_with_prefix(&one.hash.to_string()[..8].to_uppercase(), 9).unwrap(), [one.hash]);
    assert_eq!(bench.cache.keys_with_prefix(&key.to_string()[..8], 9).unwrap(), [key]);
    assert_eq!(bench.cache.artifacts_with_prefix("xyz", 9).unwrap(), []);
}

#[test]
fn an_index_that_is_lost_or_damaged_is_rebuilt_with_a_notice() {
    let bench = Bench::new();
    let output = bench.cache.store_bytes(b"1").unwrap();
    let manifests: Vec<Manifest> = (0..300).map(|index| manifest(&index.to_string(), &[("out", &output)])).collect();
    bench.cache.record_all(&manifests).unwrap();
    let root = bench.cache.root().to_owned();
    let index = bench.cache.folder().join("index.db");
    drop(bench.cache);
    let length = fs::metadata(&index).unwrap().len();
    assert!(length > 10 * 4096);
    let cut = |to: u64| fs::OpenOptions::new().write(true).open(&index).unwrap().set_len(to).unwrap();
    let spoil = |from: usize| {
        let mut bytes = fs::read(&index).unwrap();
        bytes[from..].fill(0x5a);
        fs::write(&index, bytes).unwrap();
    };
    type Harm<'a> = (&'a str, bool, Box<dyn Fn() + 'a>);
    let harms: [Harm<'_>; 7] = [
        ("removed", false, Box::new(|| fs::remove_file(&index).unwrap())),
        ("emptied", true, Box::new(|| cut(0))),
        ("cut in the header", true, Box::new(|| cut(50))),
        ("cut in half", true, Box::new(|| cut(length / 2))),
        ("garbage", true, Box::new(|| fs::write(&index, "not a database at all").unwrap())),
        ("spoilt inside", true, Box::new(|| spoil(4096))),
        (
            "of another version",
            true,
            Box::new(|| {
                Connection::open(&index).unwrap().pragma_update(None, "user_version", 999).unwrap();
            }),
        ),
    ];
    for (name, damaged, harm) in harms {
        harm();
        for read_only in [true, false] {
            let cache = if read_only { Cache::open_read_only(&root) } else { Cache::open(&root) }.unwrap();
            for manifest in &manifests {
                let found = cache.find_result(&manifest.key).unwrap().unwrap();
                assert_eq!(found.outputs, manifest.outputs.clone().into(), "{name}");
                assert_eq!(cache.last("daily", &manifest.task).unwrap(), Some(manifest.key), "{name}");
            }
            assert_eq!(cache.state(&output).unwrap(), State::Whole);
            assert_eq!(cache.take_notices(), [Notice::IndexRebuilt { damaged, results: 300 }], "{name} {read_only}");
        }
        let cache = Cache::open(&root).unwrap();
        assert!(cache.find_result(&manifests[0].key).unwrap().is_some());
        assert_eq!(cache.take_notices(), [], "{name}: it was not rebuilt for good");
    }
}

#[test]
fn an_index_that_is_damaged_while_others_use_it_stops_nobody() {
    let bench = Bench::new();
    let output = bench.cache.store_bytes(b"1").unwrap();
    bench.cache.record(&manifest("a", &[("out", &output)])).unwrap();
    let index = bench.cache.folder().join("index.db");
    drop(fs::File::create(&index).unwrap());
    let mut wal = index.clone().into_os_string();
    wal.push("-wal");
    drop(fs::File::create(wal).unwrap());
    let other = bench.again();
    assert!(other.find_result(&Hash::of(b"a")).unwrap().is_some());
    other.record(&manifest("b", &[("out", &output)])).unwrap();
    assert!(other.find_result(&Hash::of(b"b")).unwrap().is_some());
    assert!(bench.cache.find_result(&Hash::of(b"b")).unwrap().is_some());
}

#[test]
fn a_damaged_manifest_is_a_miss_that_is_told() {
    let bench = Bench::new();
    let output = bench.cache.store_bytes(b"1").unwrap();
    let written = manifest("a", &[("out", &output)]);
    bench.cache.record(&written).unwrap();
    let hex = written.key.to_string();
    let path = bench.cache.folder().join("results").join(&hex[..2]).join(format!("{hex}.json"));
    let root = bench.cache.root().to_owned();
    drop(bench.cache);
    fs::write(&path, "{\"schema\":1").unwrap();
    fs::remove_file(root.join("v1/index.db")).unwrap();
    let cache = Cache::open(&root).unwrap();
    assert_eq!(cache.find_result(&written.key).unwrap(), None);
    let notices = cache.take_notices();
    assert!(
        notices.iter().any(|notice| matches!(notice, Notice::DamagedManifest(text) if text.contains(&hex))),
        "{notices:?}"
    );
    cache.record(&written).unwrap();
    assert_eq!(cache.find_result(&written.key).unwrap().unwrap().n, 1);
}

#[test]
fn reading_only_writes_nothing() {
    let bench = Bench::new();
    let nowhere = Cache::open_read_only(&bench.path("nowhere")).unwrap();
    assert_eq!(nowhere.find_result(&Hash::of(b"a")).unwrap(), None);
    assert_eq!(nowhere.hash_source(&full_folder(&bench, "source")).unwrap().size, 4);
    assert!(!bench.path("nowhere").exists());
    let folder = bench.cache.store(&full_folder(&bench, "out")).unwrap();
    bench.cache.record(&manifest("a", &[("out", &folder)])).unwrap();
    let root = bench.cache.root().to_owned();
    drop(bench.cache);
    let listed = || -> Vec<(PathBuf, u64, SystemTime)> {
        let mut found = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for entry in files::entries(&folder).unwrap() {
                let metadata = entry.metadata().unwrap();
                found.push((entry.path(), metadata.len(), metadata.modified().unwrap()));
                if metadata.is_dir() {
                    folders.push(entry.path());
                }
            }
        }
        found
    };
    let before = listed();
    let cache = Cache::open_read_only(&root).unwrap();
    assert!(cache.find_result(&Hash::of(b"a")).unwrap().is_some());
    assert_eq!(cache.state(&folder).unwrap(), State::Whole);
    assert!(cache.entry(&folder, "deep").unwrap().unwrap().folder);
    assert!(matches!(cache.store(&bench.folder.path().join("source")), Err(CacheError::ReadOnly(_))));
    assert!(matches!(cache.record(&manifest("b", &[])), Err(CacheError::ReadOnly(_))));
    drop(cache);
    assert_eq!(listed(), before);
}

#[test]
fn many_at_once_store_the_same_and_different_things() {
    let bench = Bench::new();
    std::thread::scope(|scope| {
        for worker in 0..8 {
            let bench = &bench;
            scope.spawn(move || {
                // Each with a connection of its own, as a process would have.
                let cache = bench.again();
                for round in 0..25 {
                    let folder = format!("out-{worker}-{round}");
                    bench.write(&format!("{folder}/same"), format!("same {round}"));
                    bench.write(&format!("{folder}/own"), format!("own {worker} {round}"));
                    let artifact = cache.store(&bench.path(&folder)).unwrap();
                    cache.record(&manifest(&folder, &[("out", &artifact)])).unwrap();
                    cache.record(&manifest(&format!("all {round}"), &[("out", &artifact)])).unwrap();
                    assert_eq!(cache.state(&artifact).unwrap(), State::Whole);
                }
            });
        }
    });
    let cache = bench.again();
    for round in 0..25 {
        for worker in 0..8 {
            let found = cache.find_result(&Hash::of(format!("out-{worker}-{round}").as_bytes())).unwrap().unwrap();
            assert_eq!(cache.verify(found.outputs.get("out").unwrap()).unwrap(), State::Whole);
        }
        assert_eq!(cache.executions(&Hash::of(format!("all {round}").as_bytes())).unwrap().len(), 8);
        assert_eq!(cache.find_result(&Hash::of(format!("all {round}").as_bytes())).unwrap().unwrap().n, 7);
    }
}

#[test]
fn errors_name_the_path() {
    let bench = Bench::new();
    let text = bench.cache.hash_source(&bench.path("nothing here")).unwrap_err().to_string();
    assert!(text.contains("nothing here"), "{text}");
    let text = Cache::open(&bench.write("file", "")).unwrap_err().to_string();
    assert!(text.contains("file"), "{text}");
    // A full disk, for as long as nothing can be written.
    let full = Path::new("/dev/full");
    let error = CacheError::Io(fs::write(full, "x").unwrap_err());
    assert!(error.to_string().contains("/dev/full") && error.to_string().contains("free some space"), "{error}");
}

/// `cargo test --release -- --ignored --nocapture figures`
#[test]
#[ignore = "a measurement"]
fn figures() {
    let bench = Bench::new();
    let cache = &bench.cache;
    // Of this thread: what it costs where the machine is busy with something else.
    let on_cpu = || -> f64 {
        let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
        text.split(' ').next().and_then(|text| text.parse().ok()).unwrap_or_default()
    };
    let time = |what: &str, count: usize, work: &mut dyn FnMut()| {
        let (start, cpu) = (Instant::now(), on_cpu());
        work();
        let each = start.elapsed().as_secs_f64() * 1e6 / count as f64;
        let cpu = (on_cpu() - cpu) / 1e3 / count as f64;
        println!("{what:<44} {each:>10.2} µs each, of which on this CPU {cpu:>8.2} µs");
    };
    let count = std::env::var("COUNT").ok().and_then(|text| text.parse().ok()).unwrap_or(20_000);
    let artifact = cache.store_bytes(b"1").unwrap();
    let manifests: Vec<Manifest> =
        (0..count).map(|index| manifest(&format!("task[index={index}]"), &[("out", &artifact)])).collect();
    time("record, one by one", 500, &mut || manifests[..500].iter().for_each(|one| cache.record(one).unwrap()));
    time("record, in groups of 1,000", count - 500, &mut || {
        manifests[500..].chunks(1000).for_each(|part| cache.record_all(part).unwrap());
    });
    time("find_result, hit", count, &mut || {
        manifests.iter().for_each(|one| assert!(cache.find_result(&one.key).unwrap().is_some()));
    });
    let misses: Vec<Hash> = (0..count).map(|index| Hash::of(format!("miss {index}").as_bytes())).collect();
    time("find_result, miss", count, &mut || {
        misses.iter().for_each(|key| assert!(cache.find_result(key).unwrap().is_none()));
    });
    time("state of a file", count, &mut || {
        (0..count).for_each(|_| assert_eq!(cache.state(&artifact).unwrap(), State::Whole));
    });
    time("last", count, &mut || {
        manifests.iter().for_each(|one| assert!(cache.last("daily", &one.task).unwrap().is_some()));
    });
    let outs: Vec<PathBuf> = (0..1000).map(|index| bench.write(&format!("out/{index}"), index.to_string())).collect();
    time("store a small file", 500, &mut || outs[..500].iter().for_each(|path| assert!(cache.store(path).is_ok())));
    for index in 0..20_000 {
        bench.write(&format!("many/{}/{index}", index % 100), format!("{index} of many"));
    }
    let many = bench.path("many");
    std::thread::sleep(Duration::from_millis(100));
    time("hash a folder of 20,000 files, first", 20_000, &mut || assert!(cache.hash_source(&many).is_ok()));
    time("hash a folder of 20,000 files, again", 20_000, &mut || assert!(cache.hash_source(&many).is_ok()));
    let mut folder = None;
    time("store a folder of 20,000 files", 20_000, &mut || folder = Some(cache.store(&many).unwrap()));
    let folder = folder.unwrap();
    time("state of a folder of 20,000 files", 20_000, &mut || assert_eq!(cache.state(&folder).unwrap(), State::Whole));
    time("materialise it", 20_000, &mut || cache.materialise(&folder, &bench.path("copy")).unwrap());
    let parts: Vec<(String, Artifact)> =
        (0..count).map(|index| (format!("index={index}/out"), artifact.clone())).collect();
    time("gather files, for each", count, &mut || assert!(cache.gather_hash(&parts).is_ok()));
    let large = bench.write("large", vec![7; 1 << 30]);
    time("hash a file of 1 GiB", 1, &mut || assert!(cache.hash_source(&large).is_ok()));
    let root = cache.root().to_owned();
    drop(bench.cache);
    fs::remove_file(root.join("v1/index.db")).unwrap();
    time("rebuild the index", count, &mut || {
        let cache = Cache::open(&root).unwrap();
        assert!(cache.find_result(&manifests[0].key).unwrap().is_some());
    });
}
