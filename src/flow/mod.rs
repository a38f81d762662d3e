//! Flow files: YAML in, a typed [`Flow`] or all errors out. See README.md here.
//!
//! It knows what is written in one file, not what exists: kinds, other tasks' outputs and the joins between tasks are
//! `graph.rs`.

mod expression;
pub(crate) mod files;
mod flatten;
mod inputs;
pub(crate) mod limits;
pub(crate) mod load;
mod matrix;
pub(crate) mod names;
mod outputs;
mod params;
mod secrets;
mod subflow;
mod task;
pub(crate) mod template;
mod types;
pub mod units;
pub(crate) mod walk;
pub mod yaml;
mod yaml_error;

pub use crate::diagnostic::{SourceFile, Span, Spanned};
pub use expression::{Name, Root};
pub(crate) use flatten::lies_in;
pub(crate) use outputs::output_names;
pub use params::{Param, ParamType, Params};
pub use template::{Scope, Template, Uses, text_of};
pub use types::*;

/// The names of the flows in a project's `flows/`, sorted.
///
/// # Errors
/// Where it cannot be read. One that is not there has none.
pub fn in_folder(root: &std::path::Path) -> std::io::Result<Vec<String>> {
    let folder = root.join("flows");
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let path = entry?.path();
        // A name that is not UTF-8 cannot be asked for.
        if path.extension().is_some_and(|extension| extension == "yaml") && path.is_file() {
            names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests;
