//! Objects that are lost or damaged, and an index that is.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::space::{Counts, Space, chain};

#[test]
fn a_lost_or_damaged_object_is_made_again() {
    let space = chain();
    space.up_to_date(&[]);
    let before = space.call(&["get", "test:words", "-o", "words"]);
    assert_eq!(before.code, 0, "{before:#?}");
    let hash = before.out.split(' ').next().unwrap().to_owned();
    let object = space.path(&format!("cache/v1/objects/{}/{}", &hash[..2], &hash[2..]));
    assert!(object.is_file(), "{object:?}");
    std::fs::remove_file(&object).unwrap();
    let dry = space.run(&["--dry-run"]);
    assert!(dry.err.contains("runs     words (output words is lost)"), "{dry:#?}");
    assert_eq!(space.up_to_date(&[]), Counts(1, 1, 0, 0));

    let mut permissions = std::fs::metadata(&object).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o644);
    std::fs::set_permissions(&object, permissions).unwrap();
    std::fs::write(&object, "X\nb\n").unwrap();
    let answer = space.run(&["--dry-run"]);
    assert!(answer.err.contains("words (output words is damaged)"), "{answer:#?}");
    assert_eq!(space.up_to_date(&[]), Counts(1, 1, 0, 0));
    assert_eq!(std::fs::read_to_string(&object).unwrap(), "a\nb\n");
}

fn overwrite(object: &Path, text: &str) {
    std::fs::set_permissions(object, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(object, text).unwrap();
}

#[test]
fn a_deleted_object_is_made_again() {
    let space = chain();
    space.up_to_date(&[]);
    let object = space.object("test:words");
    std::fs::remove_file(&object).unwrap();
    let answer = space.run(&[]);
    assert_eq!((answer.code, answer.counts()), (0, Counts(1, 1, 0, 0)), "{answer:#?}");
    assert!(answer.err.contains("output words is lost"), "{answer:#?}");
    assert_eq!(std::fs::read_to_string(&object).unwrap(), "a\nb\n");
}

#[test]
fn what_was_put_in_the_place_of_an_object_is_named_and_the_object_is_made_again() {
    let space = chain();
    space.up_to_date(&[]);
    for kind in ["link", "folder"] {
        let object = space.object("test:words");
        std::fs::remove_file(&object).unwrap();
        match kind {
            "link" => std::os::unix::fs::symlink("/etc/passwd", &object).unwrap(),
            _ => std::fs::create_dir_all(object.join("inner")).unwrap(),
        }
        let verified = space.call(&["cache", "verify"]);
        assert_eq!(verified.code, 4, "{verified:#?}");
        assert!(verified.out.contains(&format!("{}\n", object.display())), "{verified:#?}");
        let dry = space.run(&["-n"]);
        assert!(dry.err.contains("runs     words (output words is damaged)"), "{dry:#?}");
        let answer = space.run(&[]);
        assert_eq!((answer.code, answer.counts()), (0, Counts(1, 1, 0, 0)), "{kind}: {answer:#?}");
        assert!(answer.err.contains("output words is damaged"), "{kind}: {answer:#?}");
        assert_eq!(space.call(&["cache", "verify"]).code, 0);
    }
}

#[test]
fn a_damaged_object_is_a_miss_that_is_reported_and_is_never_fed_on() {
    let space = chain();
    space.up_to_date(&[]);
    overwrite(&space.object("test:words"), "evil\nmore\nlines\n");
    space.flow(&crate::space::CHAIN.replace("wc -l", "cat"));
    let answer = space.run(&[]);
    assert_eq!((answer.code, answer.counts()), (0, Counts(2, 0, 0, 0)), "{answer:#?}");
    assert!(answer.err.contains("words") && answer.err.contains("output words is damaged"), "{answer:#?}");
    assert_eq!(space.output("test:count"), "a\nb\n");
}

#[test]
fn a_damaged_object_is_not_handed_out_by_get() {
    let space = chain();
    space.up_to_date(&[]);
    overwrite(&space.object("test:words"), "evil");
    let answer = space.call(&["get", "test:words", "-o", "copy.txt"]);
    assert_ne!(answer.code, 0, "{answer:#?}");
    assert!(!space.exists("copy.txt"));
}

#[test]
fn a_member_of_a_folder_that_is_lost_or_damaged_is_made_again() {
    let space = Space::with_flow(
        r#"
tasks:
  parts: { run: 'mkdir $OUTPUT_F; echo one >$OUTPUT_F/one; echo two >$OUTPUT_F/two', outputs: { f: f } }
  join: { run: 'cat $INPUT_F/* >$OUTPUT_X', inputs: { f: { from: parts } }, outputs: { x: x } }
  one: { run: 'cat $INPUT_X $INPUT_X >$OUTPUT_X', inputs: { x: { from: parts.f, at: one } }, outputs: { x: x } }
"#,
    );
    space.up_to_date(&[]);
    let hash = blake3_of("two\n", &space);
    std::fs::remove_file(&hash).unwrap();
    assert_eq!(space.up_to_date(&[]), Counts(1, 2, 0, 0));
    overwrite(&hash, "tow\n");
    assert_eq!(space.up_to_date(&[]), Counts(1, 2, 0, 0));
    assert_eq!(std::fs::read_to_string(&hash).unwrap(), "two\n");
}

/// The object with this content.
fn blake3_of(text: &str, space: &Space) -> std::path::PathBuf {
    let objects = crate::space::files_below(&space.path("cache/v1/objects"));
    objects.into_iter().find(|path| std::fs::read_to_string(path).is_ok_and(|found| found == text)).unwrap()
}

#[test]
fn a_truncated_index_is_rebuilt_from_the_manifests_with_a_notice() {
    let space = chain();
    space.up_to_date(&[]);
    let index = space.path("cache/v1/index.db");
    let length = std::fs::metadata(&index).unwrap().len();
    for kept in [length / 2, 100, 0] {
        std::fs::File::options().write(true).open(&index).unwrap().set_len(kept).unwrap();
        let answer = space.run(&[]);
        assert_eq!((answer.code, answer.counts()), (0, Counts(0, 2, 0, 0)), "{kept}: {answer:#?}");
        assert!(answer.err.contains("index"), "{kept}: {answer:#?}");
        let quiet = space.run(&[]);
        assert!(!quiet.err.contains("index"), "told once: {quiet:#?}");
    }
}

#[test]
fn an_index_that_is_gone_is_made_anew() {
    let space = chain();
    space.up_to_date(&[]);
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(space.path(&format!("cache/v1/{name}")));
    }
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
    let lineage = space.call(&["lineage", "test:count"]);
    assert!(lineage.out.contains("text: text.txt"), "{lineage:#?}");
}

#[test]
fn an_index_of_garbage_is_made_anew_with_a_notice() {
    let space = chain();
    space.up_to_date(&[]);
    space.write("cache/v1/index.db", &"not a database ".repeat(1000));
    let answer = space.run(&[]);
    assert_eq!((answer.code, answer.counts()), (0, Counts(0, 2, 0, 0)), "{answer:#?}");
    assert!(answer.err.contains("index"), "{answer:#?}");
}

#[test]
fn objects_are_plain_files_with_the_bytes_of_the_output() {
    let space = chain();
    space.up_to_date(&[]);
    assert_eq!(std::fs::read_to_string(space.object("test:words")).unwrap(), "a\nb\n");
}

#[test]
fn an_index_that_cannot_be_rebuilt_is_exit_4() {
    let space = chain();
    space.up_to_date(&[]);
    for name in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(space.path(&format!("cache/v1/{name}")));
    }
    std::fs::create_dir_all(space.path("cache/v1/index.db/in-the-way")).unwrap();
    let answer = space.run(&[]);
    assert_eq!(answer.code, 4, "{answer:#?}");
    assert!(answer.err.contains("index.db"), "{answer:#?}");
    let dry = space.run(&["-n"]);
    assert_eq!((dry.code, dry.counts()), (0, Counts(0, 2, 0, 0)), "who only reads has one in memory: {dry:#?}");
}

#[test]
fn a_stray_file_among_objects_and_results_is_named_and_keeps_nothing_else_from_being_looked_at() {
    let space = chain();
    space.up_to_date(&[]);
    let strays = ["objects/zz", "objects/readme", "results/foo", "scratch/bar", "runs/note", "refs/note"];
    strays.iter().for_each(|stray| space.write(&format!("cache/v1/{stray}"), "mine"));
    let shard = space.object("test:words").parent().unwrap().join("mine");
    std::fs::write(&shard, "mine").unwrap();
    let verified = space.call(&["cache", "verify"]);
    assert_eq!(verified.code, 0, "{verified:#?}");
    assert!(verified.out.contains("all whole"), "{verified:#?}");
    for stray in [&space.path("cache/v1/objects/zz"), &space.path("cache/v1/results/foo"), &shard] {
        assert!(verified.out.contains(&format!("stray    {}", stray.display())), "{verified:#?}");
    }
    for args in [&["cache", "stats"][..], &["cache", "gc", "--keep-days", "0"], &["runs"], &["refs"], &["run", "test"]]
    {
        let answer = space.call(args);
        assert_eq!(answer.code, 0, "{answer:#?}");
    }
    assert!(strays.iter().all(|stray| space.exists(&format!("cache/v1/{stray}"))));
    std::fs::remove_file(space.path("cache/v1/index.db")).unwrap();
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0), "the index is rebuilt around them");
    overwrite(&space.object("test:words"), "evil");
    assert_eq!(space.call(&["cache", "verify"]).code, 4, "what is damaged is still found");
}
