//! What goes, what stays, and what others do meanwhile.

use std::cell::Cell;
use std::path::Path;
use std::time::Duration;

use super::*;
use crate::cache::State;
use crate::manifest::{Execution, Input, Manifest, SCHEMA};

/// A cache in which `task` was recorded with each of `versions`, one after the other, by a process that has ended.
fn recorded(root: &Path, versions: &[&str]) -> Vec<Artifact> {
    let cache = Cache::open(root).unwrap();
    let artifacts = versions.iter().map(|text| record(&cache, root, text, &[])).collect();
    drop(cache);
    // Older than the clock's grain when the next process comes.
    std::thread::sleep(Duration::from_millis(30));
    artifacts
}

fn written(root: &Path, text: &str) -> PathBuf {
    let folder = root.join(format!("out-{text}"));
    fs::create_dir_all(folder.join("deep")).unwrap();
    fs::write(folder.join("deep/own"), text).unwrap();
    fs::write(folder.join("same"), "same").unwrap();
    folder
}

fn record(cache: &Cache, root: &Path, text: &str, inputs: &[&Artifact]) -> Artifact {
    let output = cache.store(&written(root, text)).unwrap();
    cache.record(&manifest(text, &output, inputs)).unwrap();
    output
}

fn manifest(text: &str, output: &Artifact, inputs: &[&Artifact]) -> Manifest {
    let input = |artifact: &Artifact| Input { artifact: artifact.clone(), origins: Vec::new() };
    Manifest {
        schema: SCHEMA,
        key: Hash::of(text.as_bytes()),
        parts: Vec::new(),
        flow: "daily".into(),
        task: "task".into(),
        run: "01RUN".into(),
        inputs: inputs.iter().enumerate().map(|(n, artifact)| (format!("i{n}"), input(artifact))).collect(),
        outputs: [("out".to_owned(), output.clone())].into(),
        execution: Execution { finished: format!("2026-01-01T00:00:00.{text}Z"), ..Execution::default() },
    }
}

fn roots(artifacts: &[&Artifact]) -> Roots {
    let artifacts = artifacts.iter().map(|artifact| (*artifact).clone()).collect();
    Roots { since: Timestamp::now(), artifacts, ..Roots::default() }
}

fn states(cache: &Cache, artifacts: &[Artifact]) -> Vec<State> {
    artifacts.iter().map(|artifact| cache.state(artifact).unwrap()).collect()
}

#[test]
fn the_last_result_its_inputs_and_what_refs_name_stay() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let old = recorded(root, &["1", "2", "3"]);
    let cache = Cache::open(root).unwrap();
    let last = record(&cache, root, "4", &[&old[0]]);
    drop(cache);
    std::thread::sleep(Duration::from_millis(30));

    let looked = Cache::open_read_only(root).unwrap().collect(|| Ok(roots(&[&old[1]]))).unwrap();
    let cache = Cache::open(root).unwrap();
    let collected = cache.collect(|| Ok(roots(&[&old[1]]))).unwrap();
    // The listing of the third and the one file that no other has.
    assert_eq!((collected.objects.count, collected.results), (2, 1));
    assert_eq!(looked.objects, collected.objects);
    assert_eq!(looked.kept, collected.kept);
    assert_eq!(states(&cache, &old), [State::Whole, State::Whole, State::Missing]);
    assert_eq!(cache.state(&last).unwrap(), State::Whole);
    assert!(cache.was_collected(&Hash::of(b"3"), 0) && !cache.was_collected(&Hash::of(b"2"), 0));
    // Its manifest stays, for lineage.
    assert!(cache.manifest(&Hash::of(b"3")).unwrap().is_some());
    assert_eq!(cache.collect(|| Ok(roots(&[&old[1]]))).unwrap().objects.count, 0);
}

#[test]
fn a_result_that_was_used_or_is_young_or_of_a_living_flow_stays() {
    let folder = tempfile::tempdir().unwrap();
    let old = recorded(folder.path(), &["1", "2"]);
    let cache = Cache::open(folder.path()).unwrap();
    let young = Timestamp::from_second(0).unwrap();
    for kept in [
        Roots { keys: [Hash::of(b"1")].into(), ..roots(&[]) },
        Roots { flows: ["daily".to_owned()].into(), ..roots(&[]) },
        Roots { since: young, ..roots(&[]) },
    ] {
        let kept = Cell::new(Some(kept));
        let collected = cache.collect(|| Ok(kept.take().unwrap_or_else(|| roots(&[])))).unwrap();
        assert_eq!(collected.objects.count, 0);
    }
    assert_eq!(states(&cache, &old), [State::Whole, State::Whole]);
}

#[test]
fn what_is_younger_than_the_oldest_process_stays() {
    let folder = tempfile::tempdir().unwrap();
    let runner = Cache::open(folder.path()).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    let stored = runner.store_bytes(b"about to be recorded").unwrap();
    std::thread::sleep(Duration::from_millis(30));
    let cache = Cache::open(folder.path()).unwrap();
    assert!(cache.in_use_since().unwrap().is_some());
    assert_eq!(cache.collect(|| Ok(roots(&[]))).unwrap().objects.count, 0);
    drop(runner);
    assert_eq!(cache.in_use_since().unwrap(), None);
    assert_eq!(cache.collect(|| Ok(roots(&[]))).unwrap().objects.count, 1);
    assert_eq!(cache.state(&stored).unwrap(), State::Missing);
}

#[test]
fn what_comes_to_be_used_meanwhile_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let old = recorded(root, &["1", "2"]);
    let cache = Cache::open(root).unwrap();
    let turn = Cell::new(0);
    let collected = cache
        .collect(|| {
            turn.set(turn.get() + 1);
            if turn.get() == 2 {
                // Another runner has stored the same bytes before they were set aside, and records them now.
                let again = Manifest { task: "other".into(), ..manifest("5", &old[0], &[]) };
                Cache::open(root).unwrap().record(&again).unwrap();
            }
            Ok(roots(&[]))
        })
        .unwrap();
    assert_eq!((turn.get(), collected.objects.count), (2, 0));
    assert_eq!(states(&cache, &old), [State::Whole, State::Whole]);
}

#[test]
fn two_do_not_collect_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::open(folder.path()).unwrap();
    let other = Cache::open(folder.path()).unwrap();
    let within = || {
        assert!(matches!(other.collect(|| Ok(roots(&[]))), Err(CacheError::Collecting)));
        Ok(roots(&[]))
    };
    cache.collect(within).unwrap();
    other.collect(|| Ok(roots(&[]))).unwrap();
}

#[test]
fn an_old_object_that_a_task_has_written_again_stays_until_its_result_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let old = recorded(root, &["1", "2"]);
    let runner = Cache::open(root).unwrap();
    let output = runner.place_output(&written(root, "1"), Path::new("")).unwrap();
    assert_eq!(output, old[0]);
    let cache = Cache::open(root).unwrap();
    assert_eq!(cache.collect(|| Ok(roots(&[]))).unwrap().objects.count, 0);
    assert_eq!(states(&runner, &old), [State::Whole, State::Whole]);
    runner.record(&manifest("1", &output, &[])).unwrap();
    assert_eq!(states(&cache, &old), [State::Whole, State::Whole]);
}

#[test]
fn what_is_written_again_just_before_it_is_set_aside_is_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    recorded(root, &["1", "2"]);
    let runner = Cache::open(root).unwrap();
    let cache = Cache::open(root).unwrap();
    std::thread::sleep(Duration::from_millis(30));
    let (one, two) = (Hash::of(b"1"), Hash::of(b"2"));
    let begun = cache.begun().unwrap();
    assert_eq!(runner.place_bytes(b"1").unwrap().hash, one);
    let aside = cache.set_aside(&[(one, 1), (two, 1)]).unwrap();
    assert_eq!(touched(&aside, begun).unwrap(), [one]);
}
