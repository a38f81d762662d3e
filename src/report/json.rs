//! One JSON object a line on standard output.

use super::{Event, Reporter, print};

/// The reporter of `--format json`.
#[derive(Debug, Default)]
pub struct Json;

impl Reporter for Json {
    fn event(&mut self, event: &Event) {
        let Ok(line) = serde_json::to_string(event) else { return };
        // A reader that has gone away, or a full disk, is no reason to stop a run.
        print(&line);
    }
}
