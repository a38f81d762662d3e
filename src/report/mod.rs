//! Events → terminal, plain lines, JSON lines; a run → an HTML page. A reporter sees every event in order and knows no plan.

mod board;
mod event;
mod failure;
mod human;
mod json;
mod lines;
mod out;
mod page;
mod screen;
mod size;
mod table;
mod timeline;

pub use event::{Event, Failure, Summary, TaskEvent, TaskState};
pub use failure::Call;
pub use human::{Human, Style};
pub use json::Json;
pub use lines::duration;
pub use out::{print, put, unprinted};
pub(crate) use page::STYLE;
pub use page::{FAILURES, Row, RunPage, content, page};
pub use size::size;
pub use table::{printed, table};
pub use timeline::{Bar, Lane, Timeline};

/// Shows events.
pub trait Reporter {
    /// Whether it makes a difference that a task came into a state: what nobody shows is not put into words.
    fn shows(&self, _state: TaskState) -> bool {
        true
    }

    /// Shows one event.
    fn event(&mut self, event: &Event);

    /// Nothing more has happened for now.
    fn pause(&mut self) {}
}
