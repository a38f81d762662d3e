//! What is written down: manifests of tasks, records of runs, and the lineage that follows from them.

mod diff;
mod export;
mod git;
mod lineage;
mod log;
mod openlineage;
mod prov;
mod run;
mod schema;

pub use diff::{Change, PartDiff, RunDiff, Side, TaskDiff, diff};
pub use git::{Commit, commit};
pub use lineage::{Lineage, LineageNode, descendants, lineage};
pub use log::{Tail, log_hash, tail};
pub use run::{
    RunEnd, RunFolder, RunStart, RunTask, RunTaskState, events, executed, file_name, forget_log, is_going_on,
    is_log_kept, list, load, log, tasks_so_far, used_keys,
};
pub use schema::schema as manifest_schema;
