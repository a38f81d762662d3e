//! Results and the index; many at once; reading only.

use super::*;

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
    // Each works on a copy of the index, and has the other's newest result all the same.
    let key = Hash::of(b"a");
    assert_eq!(other.newer_result(&key, Some(0)).unwrap(), None);
    bench.cache.record(&manifest("a", &[("out", &output)])).unwrap();
    assert_eq!(other.newer_result(&key, Some(0)).unwrap().unwrap().n, 1);
    assert_eq!(other.newer_result(&key, Some(1)).unwrap(), None);
    assert_eq!(other.newer_result(&Hash::of(b"c"), None).unwrap(), None);
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
        notices.iter().any(|notice| matches!(notice, Notice::DamagedManifest { path: named, .. } if *named == path)),
        "{notices:?}"
    );
    cache.record(&written).unwrap();
    assert_eq!(cache.find_result(&written.key).unwrap().unwrap().n, 1);
}

#[test]
fn a_damaged_manifest_among_several_is_set_aside_and_its_number_is_not_given_again() {
    let bench = Bench::new();
    let output = bench.cache.store_bytes(b"1").unwrap();
    let written = manifest("a", &[("out", &output)]);
    (0..3).for_each(|_| bench.cache.record(&written).unwrap());
    let path = |n| bench.cache.manifest_path(&written.key, n);
    fs::write(path(0), "{").unwrap();
    fs::remove_file(path(2)).unwrap();
    fs::create_dir(path(2)).unwrap();
    let damage = bench.cache.check(&[], |_| ()).unwrap().damage;
    assert!(matches!(&damage[..], [Damage::Manifest { n: 0, .. }, Damage::Manifest { n: 2, .. }]), "{damage:?}");
    bench.cache.forget_results(&[(written.key, 0), (written.key, 2)]).unwrap();
    assert_eq!(bench.cache.find_result(&written.key).unwrap().unwrap().n, 1, "the newest that is whole");
    assert_eq!((bench.cache.take_notices().len(), path(0).exists(), path(2).exists()), (2, false, false));
    assert!(fs::read(path(0).with_extension("damaged")).unwrap() == b"{" && path(2).with_extension("damaged").is_dir());
    bench.cache.record(&written).unwrap();
    assert_eq!(bench.cache.find_result(&written.key).unwrap().unwrap().n, 3);
    assert_eq!(bench.cache.executions(&written.key).unwrap().len(), 2);
    assert_eq!(bench.cache.check(&[], |_| ()).unwrap().damage, []);
}

#[test]
fn a_pipe_in_the_place_of_a_manifest_is_not_waited_for() {
    let bench = Bench::new();
    let written = manifest("a", &[("out", &bench.cache.store_bytes(b"1").unwrap())]);
    bench.cache.record(&written).unwrap();
    let path = bench.cache.manifest_path(&written.key, 0);
    fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(bench.again().manifest(&written.key).unwrap(), None);
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
            cache.read(&found.outputs.get("out").unwrap().hash).unwrap();
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
