//! One JSON object a line on standard output.

use std::io::Write as _;

use super::{Event, Reporter};

/// The reporter of `--format json`.
#[derive(Debug, Default)]
pub struct Json;

impl Reporter for Json {
    fn event(&mut self, event: &Event) {
        let Ok(line) = serde_json::to_string(event) else { return };
        // A reader that has gone away is no reason to stop a run.
        let _ = writeln!(std::io::stdout().lock(), "{line}");
    }
}
