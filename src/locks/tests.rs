//! Locks among waiters of one process, which are as far apart as those of several.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use fs_err as fs;

use super::*;

fn locks() -> (tempfile::TempDir, Locks) {
    let folder = tempfile::tempdir().unwrap();
    let locks = Locks::at(folder.path().to_owned());
    (folder, locks)
}

fn holder(task: &str) -> Holder {
    let text = || "x".to_owned();
    Holder { pid: 1, host: text(), who: text(), run: text(), task: task.to_owned(), since: String::new() }
}

fn exclusive(name: &str) -> LockRequest {
    LockRequest::named(name, false)
}

fn shared(name: &str) -> LockRequest {
    LockRequest::named(name, true)
}

fn got(waiter: &mut Waiter) -> Option<Held> {
    match waiter.attempt().unwrap() {
        Attempt::Got(held) => Some(held),
        Attempt::Busy(_) => None,
    }
}

fn tasks(holders: &[Holder]) -> Vec<&str> {
    holders.iter().map(|holder| holder.task.as_str()).collect()
}

#[test]
fn an_exclusive_lock_has_one_holder_and_says_who() {
    let (folder, locks) = locks();
    let held = got(&mut locks.waiter(&[exclusive("a")], holder("one"))).unwrap();
    match locks.waiter(&[exclusive("a")], holder("two")).attempt().unwrap() {
        Attempt::Busy(busy) => assert_eq!((busy.lock.as_str(), busy.holder.unwrap().task), ("a", "one".into())),
        Attempt::Got(_) => panic!("two holders"),
    }
    let error = locks.waiter(&[shared("a")], holder("two")).wait(Some(Duration::ZERO), |_| (), || false).unwrap_err();
    assert!(error.to_string().contains("`a` is held by one"), "{error}");
    drop(held);
    assert!(got(&mut locks.waiter(&[exclusive("a")], holder("two"))).is_some());
    assert_eq!(entries(folder.path()).unwrap().len(), 0, "nothing stays behind");
}

/// Waiters of the same millisecond have no order.
fn later() {
    std::thread::sleep(Duration::from_millis(3));
}

#[test]
fn readers_share_and_a_waiting_writer_is_not_passed_by_later_readers() {
    let (_folder, locks) = locks();
    let one = got(&mut locks.waiter(&[shared("a")], holder("one"))).unwrap();
    later();
    let two = got(&mut locks.waiter(&[shared("a")], holder("two"))).unwrap();
    let mut writer = locks.waiter(&[exclusive("a")], holder("writer"));
    assert!(got(&mut writer).is_none());
    later();
    let mut late = locks.waiter(&[shared("a")], holder("late"));
    assert!(got(&mut late).is_none());
    let listed = locks.list().unwrap();
    assert_eq!((listed.len(), listed[0].shared), (1, true));
    assert_eq!((tasks(&listed[0].holders), tasks(&listed[0].waiters)), (vec!["one", "two"], vec!["writer", "late"]));
    drop(one);
    assert!(got(&mut writer).is_none());
    drop(two);
    assert!(got(&mut late).is_none());
    let written = got(&mut writer).unwrap();
    assert!(got(&mut late).is_none());
    drop(written);
    assert!(got(&mut late).is_some());
}

#[test]
fn a_waiter_that_gives_up_is_in_nobodys_way() {
    let (_folder, locks) = locks();
    let held = got(&mut locks.waiter(&[shared("a")], holder("one"))).unwrap();
    let mut writer = locks.waiter(&[exclusive("a")], holder("writer"));
    assert!(got(&mut writer).is_none());
    drop(writer);
    assert!(got(&mut locks.waiter(&[shared("a")], holder("two"))).is_some());
    drop(held);
    assert!(locks.list().unwrap().is_empty());
}

#[test]
fn what_the_dead_have_written_is_not_shown_and_in_nobodys_way() {
    let (folder, locks) = locks();
    let note = Note { lock: "a".into(), shared: false, waits: true, holder: holder("dead") };
    let text = serde_json::to_string(&note).unwrap();
    let file = exclusive("a").file;
    fs::write(folder.path().join(&file), &text).unwrap();
    fs::create_dir(folder.path().join(format!("{file}.d"))).unwrap();
    fs::write(folder.path().join(format!("{file}.d/00DEAD.json")), &text).unwrap();
    assert_eq!(locks.list().unwrap(), []);
    drop(got(&mut locks.waiter(&[exclusive("a")], holder("one"))).unwrap());
    assert_eq!(entries(folder.path()).unwrap().len(), 0);
}

#[test]
fn several_locks_are_taken_all_or_none() {
    let (_folder, locks) = locks();
    let held = got(&mut locks.waiter(&[exclusive("b")], holder("one"))).unwrap();
    let mut both = locks.waiter(&[exclusive("c"), exclusive("b"), shared("b"), exclusive("a")], holder("two"));
    assert!(got(&mut both).is_none());
    drop(both);
    assert!(got(&mut locks.waiter(&[exclusive("a"), exclusive("c")], holder("three"))).is_some());
    drop(held);
}

#[test]
fn a_lock_lasts_as_long_as_a_descriptor_that_shares_it() {
    let (folder, locks) = locks();
    let held = got(&mut locks.waiter(&[exclusive("a")], holder("one"))).unwrap();
    let descriptors = held.share().unwrap();
    drop(held);
    assert!(got(&mut locks.waiter(&[exclusive("a")], holder("two"))).is_none());
    assert_eq!(tasks(&locks.list().unwrap()[0].holders), ["one"]);
    drop(descriptors);
    assert!(got(&mut locks.waiter(&[exclusive("a")], holder("two"))).is_some());
    assert_eq!(entries(folder.path()).unwrap().len(), 0);
}

#[test]
fn any_text_names_a_lock_of_its_own() {
    let (_folder, locks) = locks();
    let long = "x".repeat(5000);
    let names = ["a/b", "a b", "", "..", "a.d", "-", "ü\n", &long, "hash-a", "a"];
    let held: Vec<Held> =
        names.iter().map(|name| got(&mut locks.waiter(&[exclusive(name)], holder("t"))).unwrap()).collect();
    let mut expected: Vec<&str> = names.to_vec();
    expected.sort_unstable();
    let listed = locks.list().unwrap();
    assert_eq!(listed.iter().map(|state| state.name.as_str()).collect::<Vec<_>>(), expected);
    drop(held);
    assert_eq!(locks.list().unwrap(), []);
}

/// Eight threads, each with descriptors of its own as a process would have, want overlapping sets in changing orders.
#[test]
fn contenders_never_overlap_and_all_get_their_turn() {
    let (folder, locks) = locks();
    let inside: [AtomicUsize; 3] = Default::default();
    let turns = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for contender in 0..8 {
            let (locks, inside, turns) = (&locks, &inside, &turns);
            scope.spawn(move || {
                for turn in 0..15 {
                    let wanted = [(contender + turn) % 3, (contender + 2 * turn + 1) % 3];
                    let requests: Vec<LockRequest> = wanted.iter().map(|index| exclusive(&index.to_string())).collect();
                    let claim = locks.waiter(&requests, holder("t"));
                    let held = claim.wait(Some(Duration::from_secs(60)), |_| (), || false).unwrap();
                    let mut unique = wanted.to_vec();
                    unique.dedup();
                    for index in &unique {
                        assert_eq!(inside[*index].fetch_add(1, Ordering::SeqCst), 0, "two holders");
                    }
                    std::thread::sleep(Duration::from_micros(200));
                    for index in &unique {
                        inside[*index].fetch_sub(1, Ordering::SeqCst);
                    }
                    turns.fetch_add(1, Ordering::SeqCst);
                    drop(held);
                }
            });
        }
    });
    assert_eq!(turns.load(Ordering::SeqCst), 8 * 15);
    assert_eq!(entries(folder.path()).unwrap().len(), 0);
}

/// In a queue, each is told of the holder, and the list keeps the order in which they came.
#[test]
fn who_waits_behind_another_is_told_who_holds_the_lock() {
    let (_folder, locks) = locks();
    let held = got(&mut locks.waiter(&[exclusive("a")], holder("holder"))).unwrap();
    let mut claims: Vec<Waiter> = ["first", "second", "third"]
        .map(|task| {
            later();
            let mut claim = locks.waiter(&[exclusive("a")], holder(task));
            assert!(got(&mut claim).is_none());
            claim
        })
        .into();
    for claim in &mut claims {
        let Attempt::Busy(busy) = claim.attempt().unwrap() else { panic!("two holders") };
        assert_eq!(busy.holder.unwrap().task, "holder");
    }
    let listed = locks.list().unwrap();
    assert_eq!(
        (tasks(&listed[0].holders), tasks(&listed[0].waiters)),
        (vec!["holder"], vec!["first", "second", "third"])
    );
    drop(held);
    assert!(got(&mut claims[1]).is_none(), "who came first is served first");
    let Attempt::Busy(busy) = claims[1].attempt().unwrap() else { panic!("out of turn") };
    assert_eq!(busy.holder, None, "nobody holds it at this moment");
    assert!(got(&mut claims[0]).is_some());
}

#[test]
fn one_of_several_locks_can_be_kept() {
    let (_folder, locks) = locks();
    let held = got(&mut locks.waiter(&[exclusive("a"), exclusive("b"), shared("c")], holder("one"))).unwrap();
    let held = held.keep_only(&exclusive("a"));
    assert!(got(&mut locks.waiter(&[exclusive("b"), exclusive("c")], holder("two"))).is_some());
    assert!(got(&mut locks.waiter(&[exclusive("a")], holder("two"))).is_none());
    drop(held);
    assert!(locks.list().unwrap().is_empty());
}
