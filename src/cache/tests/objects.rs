//! Objects: in, out, whole or not.

use super::*;

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
fn an_output_that_was_foreseen_can_be_placed_by_pieces() {
    let bench = Bench::new();
    let whole = bench.cache.hash_source(&full_folder(&bench, "source")).unwrap();
    let task = bench.path("task");
    fs::create_dir(&task).unwrap();
    full_folder(&bench, "task/out");
    let (out, gone) = (Path::new("out"), Path::new("gone"));
    let foreseen = bench.cache.foresee_output(&task, out).unwrap();
    assert_eq!((&foreseen, tree(&task.join("out"))), (&whole, tree(&bench.path("source"))), "nothing has moved");
    // One file by one who was killed then; the others by who comes after.
    let first = bench.cache.place_output(&task, Path::new("out/a.txt")).unwrap();
    assert_eq!(bench.cache.state(&first).unwrap(), State::Whole);
    assert_eq!(bench.cache.state(&foreseen).unwrap(), State::Missing);
    let next = Cache::open(bench.cache.root()).unwrap();
    next.place_rest(&task, out).unwrap();
    next.place_rest(&task, gone).unwrap();
    assert_eq!(next.state(&foreseen).unwrap(), State::Whole);
    next.place_rest(&task, out).unwrap();
    next.materialise(&foreseen, &bench.path("copy")).unwrap();
    assert_eq!(tree(&bench.path("copy")), tree(&bench.path("source")));
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
fn what_lies_in_the_place_of_an_object_is_damage_and_gives_way_when_it_is_made_again() {
    type Make = fn(&Path);
    let makes: [Make; 4] = [
        |place| symlink("/etc/passwd", place).unwrap(),
        |place| fs::create_dir_all(place.join("inner")).unwrap(),
        |place| drop(std::os::unix::net::UnixListener::bind(place).unwrap()),
        |place| {
            fs::remove_dir(place.parent().unwrap()).unwrap();
            fs::write(place.parent().unwrap(), "no shard").unwrap();
        },
    ];
    for (index, make) in makes.into_iter().enumerate() {
        let bench = Bench::new();
        let artifact = bench.cache.store_bytes(b"text").unwrap();
        let place = bench.cache.object_path(&artifact.hash);
        fs::remove_file(&place).unwrap();
        make(&place);
        let lost = index == 3;
        assert_eq!(bench.cache.state(&artifact).unwrap(), if lost { State::Missing } else { State::Damaged });
        assert!(matches!(bench.cache.read(&artifact.hash), Err(CacheError::Damaged { .. } | CacheError::Missing(_))));
        let damage = bench.cache.check(&[], |_| ()).unwrap().damage;
        assert!(lost || matches!(&damage[..], [Damage::Object { path, .. }] if *path == place), "{damage:?}");
        assert_eq!(bench.cache.store_bytes(b"text").unwrap(), artifact);
        assert_eq!(
            (bench.cache.state(&artifact).unwrap(), fs::read(&place).unwrap()),
            (State::Whole, b"text".to_vec())
        );
    }
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
fn rot_that_no_time_shows_is_believed_no_longer_once_it_was_read() {
    let bench = Bench::new();
    let artifact = bench.cache.store_bytes(b"text").unwrap();
    bench.rot(&artifact.hash, "TEXT");
    assert_eq!(bench.cache.state(&artifact).unwrap(), State::Whole, "nothing shows it");
    assert!(matches!(bench.cache.read(&artifact.hash), Err(CacheError::Damaged { .. })));
    for cache in [&bench.cache, &bench.again()] {
        assert_eq!(cache.state(&artifact).unwrap(), State::Damaged);
        let copied = cache.materialise(&artifact, &bench.path("dest"));
        assert!(matches!(copied, Err(CacheError::Damaged { .. })), "{copied:?}");
    }
    assert_eq!(bench.cache.store_bytes(b"text").unwrap(), artifact);
    assert_eq!(bench.cache.state(&artifact).unwrap(), State::Whole);
}

#[test]
fn the_listing_of_a_folder_that_rots_makes_the_folder_damaged() {
    let bench = Bench::new();
    let folder = bench.cache.store(&full_folder(&bench, "out")).unwrap();
    bench.rot(&folder.hash, "{}");
    assert_eq!(bench.again().state(&folder).unwrap(), State::Damaged);
}

#[test]
fn rot_of_what_was_placed_and_not_recorded_is_not_approved_by_the_commit() {
    let bench = Bench::new();
    let artifact = bench.cache.place_bytes(b"text").unwrap();
    bench.damage(&artifact.hash, "TEXT");
    assert!(matches!(bench.cache.read(&artifact.hash), Err(CacheError::Damaged { .. })));
    bench.cache.record_all(&[]).unwrap();
    assert_eq!(bench.again().state(&artifact).unwrap(), State::Damaged);
}

#[test]
fn an_output_that_cannot_be_read_is_the_fault_of_its_task() {
    let bench = Bench::new();
    let task = bench.path("task");
    set_mode(&bench.write("task/file", "x"), 0);
    bench.write("task/folder/inner/x", "x");
    set_mode(&bench.path("task/folder/inner"), 0);
    without_privilege(|| {
        for output in ["file", "folder", "nothing", "file/below"] {
            let error = bench.cache.place_output(&task, Path::new(output)).unwrap_err();
            assert!(matches!(error, CacheError::Unfit { .. }), "{output}: {error}");
            assert!(!error.is_of_the_store() && error.to_string().contains(output), "{output}: {error}");
        }
    });
    set_mode(&bench.path("task/folder/inner"), 0o755);
}

/// Runs in a thread that permissions hold for, also where the tests run as root.
fn without_privilege(work: impl FnOnce() + Send) {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut own = capabilities(None).unwrap();
            own.effective.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
            set_capabilities(None, own).unwrap();
            work();
        });
    });
}
