//! Real flows, broken at random: whatever comes of them is a graph, or errors that can be shown; nothing panics.
//!
//! `DRAWN=1000000 cargo test --release -p ghtrader --lib mutated` for the long one.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::tests::kinds;
use super::{Check, Graph, Selector};
use crate::diagnostic::render;
use crate::flow::Flow;
use crate::flow::files::Files;

/// The flows of the repository, whole and broken.
static SEEDS: LazyLock<Vec<String>> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["flows", "tests/errors", "examples/first-flow/flows", "examples/own-kind/flows"];
    let mut seeds: Vec<String> = folders
        .iter()
        .flat_map(|folder| fs_err::read_dir(root.join(folder)).unwrap())
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| String::from_utf8_lossy(&fs_err::read(path).unwrap()).into_owned())
        .collect();
    seeds.sort();
    assert!(seeds.len() > 50);
    seeds
});

/// Words and marks of all seeds, to put in the place of others.
static TOKENS: LazyLock<Vec<&'static str>> = LazyLock::new(|| {
    let mut tokens: Vec<&str> =
        SEEDS.iter().flat_map(|seed| tokens(seed)).map(|(at, end, seed)| &seed[at..end]).collect();
    tokens.extend([
        "\t", "\u{feff}", "\u{0}", "\u{85}", "\r", "&a ", "*a", "!!str ", "---\n", "? ", "|2-\n", ">", "<<: ", "é",
        "\u{202e}",
    ]);
    tokens.sort_unstable();
    tokens.dedup();
    tokens
});

/// Words and single marks, by their places.
fn tokens(text: &str) -> Vec<(usize, usize, &str)> {
    let mut found = Vec::new();
    let mut start = None;
    for (at, c) in text.char_indices() {
        let in_word = c.is_alphanumeric() || c == '_';
        if let (Some(from), false) = (start, in_word) {
            found.push((from, at, text));
            start = None;
        }
        match (in_word, start) {
            (true, None) => start = Some(at),
            (false, _) => found.push((at, at + c.len_utf8(), text)),
            _ => {}
        }
    }
    found.extend(start.map(|from| (from, text.len(), text)));
    found
}

/// One change; numbers choose places.
type Change = (u8, u16, u16);

fn changed(text: &str, (what, one, two): Change) -> String {
    let floor = |at: usize| (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    let place = |number: u16| floor(usize::from(number) * text.len() / 65_535);
    let (from, to) = (place(one.min(two)), place(one.max(two)));
    let near = floor(from + usize::from(two % 40));
    let token = TOKENS[usize::from(two) * (TOKENS.len() - 1) / 65_535];
    let all = tokens(text);
    let replaced = |token: &str| match all.get(usize::from(one) * all.len() / 65_536) {
        Some((start, end, _)) => format!("{}{token}{}", &text[..*start], &text[*end..]),
        None => token.to_owned(),
    };
    match what % 9 {
        0 => format!("{}{}", &text[..from], &text[near.max(from)..]),
        1 => format!("{}{}{}", &text[..to], &text[from..near.max(from)], &text[to..]),
        2 => format!("{}{token}{}", &text[..from], &text[from..]),
        3 | 4 => replaced(token),
        5 => replaced(""),
        6 => format!("{}{}", &text[..from], "[{("[usize::from(two % 3)..].repeat(usize::from(two % 90))),
        7 => indented(text, usize::from(one), usize::from(two % 7)),
        _ => text[..from].to_owned(),
    }
}

/// A text in which one line begins elsewhere.
fn indented(text: &str, which: usize, blanks: usize) -> String {
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let which = which.checked_rem(lines.len()).unwrap_or(0);
    let shifted = |(place, line): (usize, &&str)| match place == which {
        true => format!("{}{}", " ".repeat(blanks), line.trim_start_matches(' ')),
        false => (*line).to_owned(),
    };
    lines.iter().enumerate().map(shifted).collect()
}

fn check(text: String) {
    thread_local! { static KINDS: crate::kinds::Kinds = kinds(); }
    KINDS.with(|kinds| {
        let (root, path) = (Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors"), Path::new("x.yaml"));
        let checks = |flow: &Flow| Check::of(flow, kinds).errors;
        let errors = match Files::load(&root, path, "x.yaml", text, checks) {
            Ok(flow) => {
                bind(&flow);
                Graph::new(&flow, kinds).err().unwrap_or_default()
            }
            Err(errors) => errors,
        };
        for error in errors.iter().take(5) {
            assert!(error.place().is_some(), "no place: {error:?}");
            assert!(!render(std::slice::from_ref(error), false).is_empty());
        }
    });
}

/// Each parameter with values of all types.
fn bind(flow: &Flow) {
    for param in flow.params.iter().take(2) {
        for value in ["", "1", "[a, b]", "x: y", "2022-02-18", "${{ 1 }}", "&a *a", "\u{0}", "'", "1e999"] {
            let _ = flow.bind(&[(param.name.value.clone(), value.to_owned())], None);
        }
    }
}

fn cases(fewer: u32) -> u32 {
    std::env::var("DRAWN").ok().and_then(|text| text.parse().ok()).unwrap_or(fewer)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(1_500), failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_flows_are_flows_or_have_errors(
        seed in any::<prop::sample::Index>(),
        changes in prop::collection::vec(any::<Change>(), 1..8),
    ) {
        let seed = SEEDS[seed.index(SEEDS.len())].clone();
        check(changes.into_iter().fold(seed, |text, change| changed(&text, change)));
    }

    #[test]
    fn any_text_is_a_selector_or_is_refused(text in "[a-c*?\\[\\]=,\"\\\\+ \\x00-\\x1f\u{202e}é]{0,30}") {
        match text.parse::<Selector>() {
            // What is shown is read as the same.
            Ok(selector) => {
                let shown = selector.to_string();
                prop_assert_eq!(shown.parse::<Selector>().unwrap().to_string(), shown);
            }
            Err(error) => {
                let shown = render(&[error], false);
                prop_assert!(!shown.contains('\u{1b}'), "{}", shown);
            }
        }
    }
}
