//! Refs of a cache in a temporary folder.

use std::collections::BTreeSet;

use super::*;

fn change(text: &str, key: Option<&str>) -> Change {
    Change {
        artifact: Artifact::of_bytes(text.as_bytes()),
        key: key.map(|key| Hash::of(key.as_bytes())),
        flow: Some("daily".into()),
        task: Some("promote[variety=cu]".into()),
        run: None,
        who: "someone".into(),
        at: "2026-01-01T00:00:00Z".into(),
        decision: None,
        reason: String::new(),
    }
}

fn refs() -> (tempfile::TempDir, Refs) {
    let folder = tempfile::tempdir().unwrap();
    let refs = Refs::open(&Cache::open(folder.path()).unwrap());
    (folder, refs)
}

fn value(refs: &Refs, name: &str) -> Option<Artifact> {
    refs.get(name).unwrap().map(|present| present.change.artifact)
}

#[test]
fn a_ref_points_to_its_last_move_and_keeps_the_others() {
    let (_folder, refs) = refs();
    assert_eq!(refs.get("model/cu").unwrap(), None);
    refs.set("model/cu", &change("one", None)).unwrap();
    refs.set("model/cu/h10", &change("deep", None)).unwrap();
    refs.set("model/cu", &change("two", None)).unwrap();
    assert_eq!(value(&refs, "model/cu"), Some(Artifact::of_bytes(b"two")));
    let numbers: Vec<u64> = refs.log("model/cu").unwrap().iter().map(|one| one.n).collect();
    assert_eq!(numbers, [1, 2]);
    let names: Vec<String> = refs.list().unwrap().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["model/cu", "model/cu/h10"]);
}

#[test]
fn a_key_moves_a_ref_once_even_after_a_rollback() {
    let (_folder, refs) = refs();
    refs.set("r", &change("one", Some("k1"))).unwrap();
    refs.set("r", &change("two", Some("k2"))).unwrap();
    refs.rollback("r", "someone", "now", "worse").unwrap();
    assert!(matches!(refs.set("r", &change("two", Some("k2"))).unwrap(), Outcome::Before(before) if before.n == 2));
    assert_eq!(value(&refs, "r"), Some(Artifact::of_bytes(b"one")));
    // A person has no key, and may set it as often as they like.
    refs.set("r", &change("two", None)).unwrap();
    assert!(matches!(refs.set("r", &change("two", None)).unwrap(), Outcome::Moved(again) if again.n == 5));
}

#[test]
fn rollbacks_go_further_back_each_time() {
    let (_folder, refs) = refs();
    assert!(matches!(refs.rollback("r", "w", "t", ""), Err(RefError::Unknown(_))));
    for text in ["one", "two", "three"] {
        refs.set("r", &change(text, None)).unwrap();
    }
    for (text, restores) in [("two", 2), ("one", 1)] {
        assert_eq!(refs.rollback("r", "w", "t", "").unwrap().restores, Some(restores));
        assert_eq!(value(&refs, "r"), Some(Artifact::of_bytes(text.as_bytes())));
    }
    assert!(matches!(refs.rollback("r", "w", "t", ""), Err(RefError::First(_))));
    refs.set("r", &change("four", None)).unwrap();
    // Before `four` came the value that the rollbacks had restored.
    assert_eq!(refs.rollback("r", "w", "t", "").unwrap().restores, Some(1));
}

#[test]
fn concurrent_movers_get_one_number_each_and_a_key_only_one_in_all() {
    let (_folder, refs) = refs();
    let outcomes: Vec<Outcome> = std::thread::scope(|scope| {
        let movers: Vec<_> = (0..8)
            .map(|mover| {
                let refs = &refs;
                scope.spawn(move || {
                    let own =
                        (0..20).map(|turn| refs.set("r", &change("x", Some(&format!("{mover} {turn}")))).unwrap());
                    let mut outcomes: Vec<Outcome> = own.collect();
                    outcomes.push(refs.set("r", &change("x", Some("shared"))).unwrap());
                    outcomes
                })
            })
            .collect();
        movers.into_iter().flat_map(|mover| mover.join().unwrap()).collect()
    });
    let moved: BTreeSet<u64> =
        outcomes.iter().filter_map(|outcome| if let Outcome::Moved(m) = outcome { Some(m.n) } else { None }).collect();
    assert_eq!(moved, (1..=161).collect());
    assert_eq!(refs.log("r").unwrap().len(), 161);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let (_folder, refs) = refs();
    for name in ["", "/a", "a/", "a//b", "../a", "a/./b", "-a", "a b", "1.json", "a\n", &"x".repeat(201)] {
        assert!(matches!(refs.get(name), Err(RefError::Name { .. })), "{name}");
    }
    for name in ["model/cu/h50/production", "a=b,c", "größe", "v1.2"] {
        assert_eq!(refs.get(name).unwrap(), None, "{name}");
    }
}

#[test]
fn a_damaged_move_is_named() {
    let (_folder, refs) = refs();
    refs.set("r", &change("one", None)).unwrap();
    let path = refs.folder.join("r/1.json");
    fs_err::write(&path, "{").unwrap();
    let error = refs.get("r").unwrap_err().to_string();
    assert!(error.contains("r/1.json") && error.contains("not a move"), "{error}");
}
