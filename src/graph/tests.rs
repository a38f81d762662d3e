//! Flows and their graphs: what is right gives the right graph; what is wrong is shown as stored in `tests/errors`.

use std::path::{Path, PathBuf};

use ghtrader_kit::Program;

use super::*;
use crate::diagnostic::render;

fn errors_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/errors")
}

fn kinds() -> Kinds {
    let text = fs_err::read_to_string(errors_folder().join("kinds.json")).unwrap();
    Kinds::of(serde_json::from_str::<Program>(&text).unwrap().kinds)
}

fn errors_of(name: &str, text: &str, kinds: &Kinds) -> Vec<Diagnostic> {
    match parse(Path::new(name), name, text.to_owned(), kinds) {
        Err(errors) => errors,
        Ok(flow) => Graph::new(&flow, kinds).err().unwrap_or_default(),
    }
}

/// Every `tests/errors/*.yaml` is a broken flow; the `.txt` beside it is what a user reads. `UPDATE=1` writes them anew.
#[test]
fn broken_flows_are_explained() {
    let kinds = kinds();
    let mut names: Vec<PathBuf> = fs_err::read_dir(errors_folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "yaml"));
    names.sort();
    assert!(names.len() >= 25, "{} flows", names.len());
    let mut wrong = Vec::new();
    for path in names {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let errors = errors_of(&name, &fs_err::read_to_string(&path).unwrap(), &kinds);
        assert!(!errors.is_empty(), "{name} has no error");
        let shown = render(&errors, false);
        let stored = path.with_extension("txt");
        if std::env::var_os("UPDATE").is_some() {
            fs_err::write(&stored, &shown).unwrap();
        }
        if fs_err::read_to_string(&stored).unwrap_or_default() != shown {
            wrong.push(format!("{name}:\n{shown}"));
        }
    }
    assert!(wrong.is_empty(), "not as stored (UPDATE=1 stores them):\n{}", wrong.join("\n"));
}
