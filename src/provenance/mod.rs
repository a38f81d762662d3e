//! What is written down: manifests of tasks, records of runs, and the lineage that follows from them.

mod diff;
mod export;
mod find;
mod git;
mod lineage;
mod log;
mod openlineage;
mod page;
mod prov;
mod run;
mod schema;

pub use diff::{Change, PartDiff, RunDiff, Side, TaskDiff, diff};
pub use find::{FindError, Found, find, find_run, instance, parts};
pub use git::{Commit, commit};
pub use lineage::{Line, Lineage, LineageNode, descendants, lineage};
pub use log::{Tail, log_hash, open_log, tail};
pub use page::{run_page, task_row};
pub use run::{
    RunEnd, RunFolder, RunStart, RunTask, RunTaskState, events, executed, file_name, forget_log, is_going_on,
    is_log_kept, list, load, load_counts, load_start, log, tasks_so_far, unfinished, used_keys,
};
pub use schema::schema as manifest_schema;
