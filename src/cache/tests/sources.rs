//! Files outside, and copies.

use super::*;

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
    let gathered = bench.cache.place_gather(&parts).unwrap();
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
    // A folder in a folder is no object of its own before somebody needs it.
    let above = bench.cache.entry(&gathered, "v=cu").unwrap().unwrap();
    assert_eq!(bench.cache.state(&above).unwrap(), State::Missing);
    bench.cache.place_subfolder(&gathered, "v=cu").unwrap();
    assert_eq!(bench.cache.state(&above).unwrap(), State::Whole);
    let clash = [("a".to_owned(), file.clone()), ("a/b".to_owned(), file)];
    assert!(matches!(bench.cache.place_gather(&clash), Err(CacheError::Clash(path)) if path == "a"));
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
fn exports_of_a_folder_to_one_new_place_at_once_all_succeed() {
    let bench = Bench::new();
    let folder = bench.cache.store(&full_folder(&bench, "out")).unwrap();
    for round in 0..50 {
        let dest = bench.path(&format!("public/{round}"));
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| bench.cache.export(&folder, &dest).unwrap());
            }
        });
        assert_eq!(bench.cache.hash_source(&dest).unwrap(), folder);
    }
}
