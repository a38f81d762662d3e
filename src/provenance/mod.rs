//! What is written down: manifests of tasks, records of runs, and the lineage that follows from them.

mod git;
mod lineage;
mod manifest;
mod run;

pub use git::{Commit, commit};
pub use lineage::{Lineage, LineageNode, descendants, lineage};
pub use manifest::{Execution, Input, Manifest, Origin, SCHEMA};
pub use run::{RunEnd, RunFolder, RunStart, RunTask, file_name, list, load, log};
