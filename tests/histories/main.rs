//! Drawn histories: a drawn project, drawn steps of edit, run, kill and revert, and after each of them what the runner did
//! beside what a reference interpreter says, which knows the rules and nothing of the crate.
//!
//! `HISTORIES=n` plays that many (`./x test` 1,000, `cargo test` alone 60), `HISTORY_SEED=s` begins with that seed: the seed of a failure plays it
//! again. `HISTORY_WAY=inside` runs the loop of the library without processes, for many histories: see `inside.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail anywhere"
)]

mod compare;
mod dice;
mod draw;
mod draw_steps;
mod harm;
mod inside;
mod judge;
mod play;
mod program;
mod project;
mod reference;
mod shrink;
mod space;
mod steps;
mod value;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};

use space::Way;
use steps::History;

/// Two histories at once: each waits for processes most of the time.
const AT_ONCE: usize = 2;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap())
}

/// What differs where a history is played; also where the test itself falls over.
fn difference(history: &History, way: Way) -> Option<String> {
    let played = std::panic::catch_unwind(|| play::play(history, way));
    let told = |panic: Box<dyn std::any::Any + Send>| {
        let text = panic.downcast_ref::<String>().cloned();
        Err(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
    };
    played.unwrap_or_else(told).err()
}

/// The first seed of `first..end` that shows a difference, with its history.
fn search(next: &AtomicU64, end: u64, way: Way) -> Option<(u64, History, String)> {
    loop {
        let seed = next.fetch_add(1, Ordering::Relaxed);
        if seed >= end {
            return None;
        }
        if seed.is_multiple_of(1_000) {
            eprintln!("history {seed}");
        }
        let history = draw_steps::history(seed);
        if let Some(difference) = difference(&history, way) {
            next.store(end, Ordering::Relaxed);
            return Some((seed, history, difference));
        }
    }
}

#[test]
fn drawn_histories_are_what_the_reference_says() {
    let first = number("HISTORY_SEED").unwrap_or(1);
    let end = first + number("HISTORIES").unwrap_or(60);
    let inside = std::env::var("HISTORY_WAY").is_ok_and(|way| way == "inside");
    let way = if inside { Way::Inside } else { Way::Processes };
    let next = AtomicU64::new(first);
    let found = std::thread::scope(|scope| {
        let all = [(); AT_ONCE].map(|()| scope.spawn(|| search(&next, end, way)));
        all.map(|thread| thread.join().unwrap()).into_iter().flatten().next()
    });
    let Some((seed, history, found)) = found else { return };
    eprintln!("HISTORY_SEED={seed} HISTORIES=1: {found}\nmaking it smaller …");
    let (history, difference) = shrink::shrink(history, found, |history| difference(history, way));
    panic!("HISTORY_SEED={seed} HISTORIES=1 shows a difference; the smallest such history:\n{history}\n{difference}");
}
