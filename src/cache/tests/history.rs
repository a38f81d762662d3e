//! How long tasks took: from the manifests, in an index that is new, made anew, or of the version before.

use super::*;

/// An execution of an instance that ended at a second of a minute, after so many seconds, of a key of its own.
fn executed(task: &str, command: &str, end: u32, seconds: u32, output: &Artifact) -> Manifest {
    let at = |second: u32| format!("2026-01-01T00:00:{second:02}Z");
    let execution = Execution {
        started: at(end - seconds),
        finished: at(end),
        peak_memory: u64::from(seconds) << 20,
        ..Execution::default()
    };
    let parts = vec![Part { group: Group::Command, name: String::new(), value: command.into() }];
    let key = Hash::of(format!("{task} {command} {end}").as_bytes());
    Manifest { key, task: task.into(), parts, execution, ..manifest(task, &[("out", output)]) }
}

fn seconds(past: &[Past]) -> Vec<f64> {
    past.iter().map(|past| past.seconds).collect()
}

/// What is known of the task `part`, as (of all, of `part[n=1]` with command `a`, number of different works).
fn known(cache: &Cache) -> (Vec<f64>, Vec<f64>, usize) {
    let tasks = cache.past_tasks().unwrap();
    let Some(part) = tasks.iter().find(|task| task.name == "part") else { return Default::default() };
    assert_eq!((part.flow.as_str(), part.kind.as_str()), ("daily", ""));
    let work = Work::of(&executed("part[n=1]", "a", 9, 0, &Artifact::of_bytes(b"")).parts, "part[n=1]");
    let of_work = cache.past_of_work(part.id, work).unwrap();
    let by_work = cache.past_by_work(part.id).unwrap();
    assert_eq!(by_work.get(&work).cloned().unwrap_or_default(), of_work, "asked for one or for all");
    (seconds(&cache.past_of_task(part.id).unwrap()), seconds(&of_work), by_work.len())
}

fn filled() -> (Bench, Vec<Manifest>) {
    let bench = Bench::new();
    let output = bench.cache.store_bytes(b"1").unwrap();
    let mut manifests: Vec<Manifest> = (1..8).map(|n| executed("part[n=1]", "a", 10 + n, n, &output)).collect();
    manifests.push(executed("part[n=1]", "b", 40, 20, &output));
    manifests.push(executed("part[n=2]", "a", 41, 21, &output));
    manifests.push(executed("other", "a", 50, 30, &output));
    bench.cache.record_all(&manifests).unwrap();
    (bench, manifests)
}

const KNOWN: ([f64; 5], [f64; 5], usize) = ([21.0, 20.0, 7.0, 6.0, 5.0], [7.0, 6.0, 5.0, 4.0, 3.0], 3);

fn as_expected(cache: &Cache) -> bool {
    let (all, of_work, works) = known(cache);
    (all.as_slice(), of_work.as_slice(), works) == (&KNOWN.0[..], &KNOWN.1[..], KNOWN.2)
}

#[test]
fn the_last_executions_of_a_task_and_of_what_it_does_are_known() {
    let (bench, manifests) = filled();
    assert!(as_expected(&bench.cache), "{:?}", known(&bench.cache));
    let of_other = bench.cache.past_tasks().unwrap().into_iter().find(|task| task.name == "other").unwrap();
    assert_eq!(bench.cache.past_of_task(of_other.id).unwrap()[0].memory, 30 << 20);
    fs::remove_file(bench.cache.folder().join("index.db")).unwrap();
    assert!(as_expected(&bench.again()), "it follows from the manifests: {} of them", manifests.len());
}

/// Takes the index back to what the version before wrote.
fn make_old(bench: &Bench) {
    let index = Connection::open(bench.cache.folder().join("index.db")).unwrap();
    index.execute_batch("DROP TABLE history; DROP TABLE tasks; PRAGMA user_version = 2").unwrap();
}

#[test]
fn an_index_of_the_version_before_gets_the_history_and_loses_nothing() {
    let (bench, manifests) = filled();
    // A row that no manifest has: the instance was found cached with another key.
    bench.cache.update_last("daily", &[("other", manifests[0].key)]).unwrap();
    let root = bench.cache.root().to_owned();
    make_old(&bench);
    let looks = Cache::open_read_only(&root).unwrap();
    assert_eq!(looks.last("daily", "other").unwrap(), Some(manifests[0].key));
    assert_eq!((known(&looks), looks.take_notices()), (Default::default(), vec![]), "to look changes nothing");
    let upgraded = Cache::open(&root).unwrap();
    assert!(as_expected(&upgraded), "{:?}", known(&upgraded));
    assert_eq!(upgraded.last("daily", "other").unwrap(), Some(manifests[0].key), "nothing is lost");
    assert_eq!(upgraded.take_notices(), []);
    assert!(as_expected(&Cache::open_read_only(&root).unwrap()));
}
