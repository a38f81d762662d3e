//! Standard output: the one way to it, so that nothing is lost without a word.

use std::io::{Error, ErrorKind, IsTerminal as _, Write as _};
use std::sync::Mutex;

use crate::sync::lock;
use crate::text::visible;

/// Why something could not be written, the first time.
static REFUSED: Mutex<Option<Error>> = Mutex::new(None);

/// Prints a line for whoever reads: a program gets names and values as they are; on a terminal they cannot do anything.
pub fn print(text: &str) {
    put(format!("{text}\n").as_bytes());
}

/// The same for what need not be one line, or text.
pub fn put(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    let written = match out.is_terminal() {
        true => out.write_all(visible(&String::from_utf8_lossy(bytes)).as_bytes()),
        false => out.write_all(bytes),
    };
    if let Err(error) = written.and_then(|()| out.flush()) {
        lock(&REFUSED).get_or_insert(error);
    }
}

/// What kept something from being printed. A reader that has gone away is no error.
pub fn unprinted() -> Option<Error> {
    lock(&REFUSED).take().filter(|error| error.kind() != ErrorKind::BrokenPipe)
}
