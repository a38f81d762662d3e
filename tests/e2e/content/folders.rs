//! Folders as inputs and outputs: every file, name, empty folder and executable bit in them counts.

use std::os::unix::fs::{PermissionsExt as _, symlink};

use crate::space::{Counts, Space};

/// A task that copies a folder, and one that lists the copy.
fn space() -> Space {
    let space = Space::with_flow(
        r#"
tasks:
  copy: { run: 'cp -r "$INPUT_TREE" "$OUTPUT_TREE"', inputs: { tree: { path: tree } }, outputs: { tree: tree } }
  list:
    run: '(cd "$INPUT_TREE" && find . -printf "%y %p\\0" | LC_ALL=C sort -z) >"$OUTPUT_LIST"'
    inputs: { tree: { from: copy } }
    outputs: { list: list.txt }
    publish: { list: list.txt }
"#,
    );
    space.write("tree/a/b/c/deep.txt", "deep");
    space.write("tree/top.txt", "top");
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    space
}

/// An edit that has to be seen, also in the copy, and that leads back to the earlier results when it is undone.
fn seen(space: &Space, edit: impl Fn(), undo: impl Fn()) {
    edit();
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    undo();
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
}

#[test]
fn an_edit_deep_inside_is_seen() {
    let space = space();
    seen(&space, || space.write("tree/a/b/c/deep.txt", "peed"), || space.write("tree/a/b/c/deep.txt", "deep"));
}

#[test]
fn a_file_added_deep_inside_is_seen() {
    let space = space();
    let more = space.path("tree/a/b/c/more.txt");
    seen(&space, || std::fs::write(&more, "").unwrap(), || std::fs::remove_file(&more).unwrap());
    assert!(!space.read("list.txt").contains("more.txt"));
}

#[test]
fn a_file_removed_deep_inside_is_seen() {
    let space = space();
    let deep = space.path("tree/a/b/c/deep.txt");
    seen(&space, || std::fs::remove_file(&deep).unwrap(), || std::fs::write(&deep, "deep").unwrap());
}

#[test]
fn a_file_renamed_deep_inside_is_seen() {
    let space = space();
    let (from, to) = (space.path("tree/a/b/c/deep.txt"), space.path("tree/a/b/c/renamed.txt"));
    seen(&space, || std::fs::rename(&from, &to).unwrap(), || std::fs::rename(&to, &from).unwrap());
}

#[test]
fn an_empty_folder_counts() {
    let space = space();
    let empty = space.path("tree/a/empty");
    std::fs::create_dir(&empty).unwrap();
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    assert!(space.read("list.txt").contains("d ./a/empty\0"), "it is handed on: {}", space.read("list.txt"));
    std::fs::remove_dir(&empty).unwrap();
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
}

#[test]
fn the_executable_bit_counts() {
    let space = Space::with_flow(
        r#"
tasks:
  copy: { run: 'cp -r "$INPUT_TREE" "$OUTPUT_TREE"', inputs: { tree: { path: tree } }, outputs: { tree: tree } }
  start: { run: '"$INPUT_SCRIPT" >"$OUTPUT_X"', inputs: { script: { from: copy.tree, at: bin/script } }, outputs: { x: x } }
"#,
    );
    space.write("tree/bin/script", "#!/bin/sh\necho started\n");
    let set = |mode| {
        std::fs::set_permissions(space.path("tree/bin/script"), std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(0o644);
    space.refused(&[], 1, &["start failed", "Permission denied"]);
    set(0o755);
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    assert_eq!(space.output("test:start"), "started\n");
}

#[test]
fn other_bits_and_times_do_not_count() {
    let space = space();
    std::fs::set_permissions(space.path("tree/top.txt"), std::fs::Permissions::from_mode(0o600)).unwrap();
    std::fs::set_permissions(space.path("tree/a"), std::fs::Permissions::from_mode(0o700)).unwrap();
    std::fs::rename(space.path("tree"), space.path("moved")).unwrap();
    std::fs::rename(space.path("moved"), space.path("tree")).unwrap();
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
}

#[test]
fn any_name_goes_through() {
    let space = space();
    let names =
        ["with space", "new\nline", "-rf", "größe 漢字", "quote'\"$(x)`", "*?[a]", "%2F=,", "#hash: {}", "trailing "];
    for name in names {
        space.write(&format!("tree/a/{name}/-{name}"), name);
    }
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    let list = space.read("list.txt");
    for name in names {
        assert!(list.contains(&format!("f ./a/{name}/-{name}\0")), "{name:?} is not in {list}");
    }
    assert_eq!(space.up_to_date(&[]), Counts(0, 2, 0, 0));
    let copied = space.call(&["get", "test:copy", "-o", "copied"]);
    assert_eq!(copied.code, 0, "{copied:#?}");
    assert_eq!(space.read("copied/a/new\nline/-new\nline"), "new\nline");
    space.write("tree/a/new\nline/-new\nline", "edited");
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
}

#[test]
fn links_that_stay_inside_are_kept_and_those_that_leave_are_refused() {
    let space = space();
    symlink("../top.txt", space.path("tree/a/link")).unwrap();
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
    assert!(space.read("list.txt").contains("l ./a/link\0"), "{}", space.read("list.txt"));
    for target in ["../../outside.txt", "/etc/hostname"] {
        std::fs::remove_file(space.path("tree/a/link")).unwrap();
        symlink(target, space.path("tree/a/link")).unwrap();
        space.refused(&[], 2, &["tree/a/link"]);
    }
}

#[test]
fn an_input_file_is_handed_over_as_a_file_also_where_its_path_is_a_link() {
    let space = Space::with_flow(
        r#"
tasks:
  a:
    run: 'test ! -L "$INPUT_X" && cat "$INPUT_X" >"$OUTPUT_X"'
    inputs: { x: { path: link.txt } }
    outputs: { x: x }
"#,
    );
    space.write("data/real.txt", "1");
    symlink("data/real.txt", space.path("link.txt")).unwrap();
    assert_eq!(space.up_to_date(&[]), Counts(1, 0, 0, 0));
    space.write("data/real.txt", "2");
    assert_eq!(space.up_to_date(&[]), Counts(1, 0, 0, 0), "what it leads to counts");
}
