//! A shared folder, as several machines use it.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;

use super::*;
use crate::artifact::Artifact;

fn machine(folder: &Path, name: &str) -> Cache {
    std::fs::create_dir_all(folder.join("shared")).unwrap();
    Cache::open(&folder.join(name)).unwrap().shared_with(Address::Folder(folder.join("shared")))
}

fn claim(cache: &Cache, key: &Hash, who: &str, watch: &mut Watch, lost: Duration) -> Claimed {
    cache.remote.as_ref().unwrap().claim(key, &json!(who), watch, lost).unwrap()
}

const HOUR: Duration = Duration::from_secs(3600);

#[test]
fn a_claim_is_of_one_until_it_lets_go() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (machine(folder.path(), "one"), machine(folder.path(), "two"));
    let (key, mut watch) = (Hash::of(b"key"), Watch::default());
    let Claimed::Got(held) = claim(&one, &key, "one", &mut Watch::default(), HOUR) else { panic!("it is free") };
    for _ in 0..2 {
        assert!(matches!(claim(&two, &key, "two", &mut watch, HOUR), Claimed::Busy(who) if who == "one"));
    }
    assert!(matches!(claim(&two, &Hash::of(b"other"), "two", &mut Watch::default(), HOUR), Claimed::Got(_)));
    drop(held);
    let begun = Instant::now();
    while let Claimed::Busy(_) = claim(&two, &key, "two", &mut watch, HOUR) {
        assert!(begun.elapsed() < Duration::from_secs(20), "in vain");
    }
}

#[test]
fn a_claim_that_nobody_renews_is_taken_over() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (machine(folder.path(), "one"), machine(folder.path(), "two"));
    let (key, mut watch) = (Hash::of(b"key"), Watch::default());
    let Claimed::Got(held) = claim(&one, &key, "one", &mut Watch::default(), HOUR) else { panic!("it is free") };
    let short = Duration::from_millis(50);
    assert!(matches!(claim(&two, &key, "two", &mut watch, short), Claimed::Busy(_)), "seen for the first time");
    std::thread::sleep(short);
    let Claimed::Got(taken) = claim(&two, &key, "two", &mut watch, short) else { panic!("it is of one who is gone") };
    // Whoever was only slow lets go of what it had, and of nothing else.
    drop(held);
    drop(one);
    let three = machine(folder.path(), "three");
    assert!(matches!(claim(&three, &key, "three", &mut Watch::default(), HOUR), Claimed::Busy(who) if who == "two"));
    drop(taken);
    drop(two);
    assert!(matches!(claim(&three, &key, "three", &mut Watch::default(), HOUR), Claimed::Got(_)));
}

#[test]
fn of_many_that_claim_at_once_one_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let machines: Vec<Cache> = (0..8).map(|name| machine(folder.path(), &name.to_string())).collect();
    let key = Hash::of(b"key");
    let claimed: Vec<Claimed> = std::thread::scope(|scope| {
        let claims = machines.iter().map(|cache| scope.spawn(|| claim(cache, &key, "x", &mut Watch::default(), HOUR)));
        claims.collect::<Vec<_>>().into_iter().map(|claim| claim.join().unwrap()).collect()
    });
    assert_eq!(claimed.iter().filter(|claimed| matches!(claimed, Claimed::Got(_))).count(), 1);
}

#[test]
fn a_claim_that_cannot_be_read_is_nobodys_in_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let one = machine(folder.path(), "one");
    let (key, mut watch) = (Hash::of(b"key"), Watch::default());
    let claims = folder.path().join(format!("shared/v1/claims/{key}"));
    std::fs::create_dir_all(&claims).unwrap();
    std::fs::write(claims.join("7.json"), "{").unwrap();
    assert!(matches!(claim(&one, &key, "one", &mut watch, Duration::ZERO), Claimed::Busy(_)));
    assert!(matches!(claim(&one, &key, "one", &mut watch, Duration::ZERO), Claimed::Got(_)));
    assert!(claims.join("8.json").exists());
}

#[test]
fn an_object_comes_whole_or_not_at_all() {
    let folder = tempfile::tempdir().unwrap();
    let (one, two) = (machine(folder.path(), "one"), machine(folder.path(), "two"));
    let [good, bad] = [&b"good"[..], b"bad"].map(|bytes| one.place_bytes(bytes).unwrap());
    for artifact in [&good, &bad] {
        one.share_artifact(artifact).unwrap();
    }
    let there = |artifact: &Artifact| folder.path().join("shared").join(object_name(&artifact.hash));
    std::fs::write(there(&bad), "other").unwrap();
    assert_eq!((two.bring(&good.hash).unwrap(), two.bring(&bad.hash).unwrap()), (true, false));
    assert_eq!(two.read(&good.hash).unwrap(), b"good");
    assert!(matches!(two.read(&bad.hash), Err(crate::cache::CacheError::Missing(_))));
    assert_eq!(two.take_notices().len(), 1, "told once");
    // Whoever has it whole puts it right.
    two.place_bytes(b"bad").unwrap();
    two.share_artifact(&bad).unwrap();
    assert_eq!(std::fs::read(there(&bad)).unwrap(), b"bad");
}

#[test]
fn addresses_are_read_as_they_are_written() {
    let root = Path::new("/project");
    for (text, shown) in [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("s3://bucket/a/b/", "s3://bucket/a/b"),
        ("/mnt/shared", "/mnt/shared"),
        ("file:///mnt/shared", "/mnt/shared"),
        ("shared", "/project/shared"),
    ] {
        assert_eq!(Address::parse(text, root).unwrap().to_string(), shown);
    }
    for text in ["", "s3://", "s3://a", "s3://Bucket/x", "s3://bucket/a//b", "s3://bucket/..", "file://x", "http://x/y"]
    {
        assert!(Address::parse(text, root).is_err(), "{text}");
    }
}
