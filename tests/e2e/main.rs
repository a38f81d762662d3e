//! The runner end to end, by topic, on one small test bench (`space`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test may fail anywhere"
)]

mod audit;
mod backfill;
mod daily;
mod examples;
mod fetch;
#[path = "../markets/mod.rs"]
mod markets;
mod record;
mod reference;
mod service;
mod space;

/// What a result depends on, and what it does not.
mod content {
    mod edits;
    mod folders;
    mod key;
    mod manifests;
    mod objects;
    mod secrets;
    mod unreadable;
}

/// The language of flow files.
mod flow {
    mod dynamic;
    mod expressions;
    mod gather;
    mod inputs;
    mod matrix;
    mod publish;
    mod subflows;
}

/// What a task sees, and how kinds are added.
mod contract {
    mod environment;
    mod kinds;
}

/// Tasks while they run: failures, kills, several runners, what a machine has.
mod running {
    mod commit;
    mod devices;
    mod failures;
    pub(crate) mod full;
    mod isolation;
    mod kill;
    mod leases;
    mod locks;
    mod machine;
    mod order;
    mod runners;
    mod settings;
    mod skips;
}

/// The command line.
mod commands {
    mod completions;
    mod diff;
    mod dry_run;
    mod export;
    mod history;
    mod line;
    mod manifests;
    mod messages;
    mod provenance;
    mod refs;
    mod refs_upstream;
    mod report;
    mod select;
    mod serve;
    mod store;
    mod terminal;
    mod verify;
    mod watch;
}
