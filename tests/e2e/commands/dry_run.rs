//! The dry run: what will happen, and why.

use crate::space::{Counts, Space, chain};

#[test]
fn a_dry_run_says_what_will_happen_and_writes_nothing() {
    let space = chain();
    let dry = space.run(&["--dry-run"]);
    assert_eq!(dry.code, 0);
    assert!(dry.err.contains("runs     words (never ran)"), "{dry:#?}");
    assert!(dry.err.contains("may run  count (waits for words)"), "{dry:#?}");
    assert!(!space.exists("cache"));

    space.up_to_date(&[]);
    space.write("text.txt", "b a c");
    let dry = space.run(&["--dry-run"]);
    assert!(dry.err.contains("runs     words (input text changed: text.txt)"), "{dry:#?}");
    assert_eq!(space.up_to_date(&[]), Counts(2, 0, 0, 0));
}

#[test]
fn of_tasks_with_one_key_one_runs_as_the_dry_run_says() {
    let task = |name: &str, more: &str| {
        format!("  {name}: {{ run: 'sleep 0.2; echo 7 >$OUTPUT_O', outputs: {{ o: o }}{more} }}\n")
    };
    let reads = "  r: { run: 'cat $INPUT_O', inputs: { o: { from: b.o } } }\n";
    let space =
        Space::with_flow(&format!("tasks:\n{}{}{}{reads}", task("a", ""), task("b", ""), task("c", ", cache: false")));
    let first = space.run(&["-n", "-v"]);
    assert_eq!(first.counts(), Counts(3, 1, 0, 0), "{first:#?}");
    for part in ["runs     a (never ran)", "cached   b", "runs     c (cache: false)", "may run  r (waits for b)"] {
        assert!(first.err.contains(part), "{part}: {first:#?}");
    }
    assert_eq!(space.up_to_date(&[]), Counts(3, 1, 0, 0));
    for args in [&[][..], &["a", "b", "c", "--force", "a", "--force", "b"]] {
        let dry = space.run(&[&["-n"], args].concat()).counts();
        assert_eq!(space.up_to_date(args), dry, "{args:?}");
    }
}
