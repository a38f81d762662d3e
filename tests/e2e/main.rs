//! The runner end to end, by topic, on one small test bench.

mod contract;
mod daily;
mod failures;
mod gather;
mod history;
mod kill;
mod locks;
mod messages;
mod plan;
mod refs;
mod space;
