//! The dry run: what will happen, and why.

use crate::space::{Counts, chain};

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
