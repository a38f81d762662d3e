//! A text file in chunks of whole lines.

use std::io::{Error, ErrorKind, Read, Result};

/// Bytes that are read at a time: some hundred rows, which fit into a core's cache.
const CHUNK: usize = 1 << 18;
/// A line longer than this is none of a table.
const LONGEST: usize = 1 << 24;

/// Whole lines of a file.
pub(crate) struct Lines {
    /// The lines with their ends.
    pub(crate) text: Vec<u8>,
    /// The number of the first one, from 1.
    pub(crate) first: u64,
    /// How many have an end.
    pub(crate) count: usize,
    /// Whether the last one, which is the file's last, has no end.
    pub(crate) cut: bool,
}

/// Reads chunks of lines.
pub(crate) struct LineReader<R> {
    reader: R,
    /// Read, and not given yet: the begin of a line.
    rest: Vec<u8>,
    /// The number of the next line.
    pub(crate) line: u64,
    ended: bool,
}

impl<R: Read> LineReader<R> {
    pub(crate) fn new(reader: R) -> Self {
        Self { reader, rest: Vec::new(), line: 1, ended: false }
    }

    /// The next lines; nothing after the end of the file.
    ///
    /// # Errors
    /// Those of the reader; a line that is too long. `line` is where it is.
    pub(crate) fn read(&mut self) -> Result<Option<Lines>> {
        if self.ended {
            return Ok(None);
        }
        let mut text = std::mem::take(&mut self.rest);
        let end = loop {
            let wanted = CHUNK.max(text.len());
            text.reserve_exact(wanted);
            self.ended = self.reader.by_ref().take(wanted as u64).read_to_end(&mut text)? < wanted;
            match whole_lines(&text) {
                _ if self.ended => break text.len(),
                0 if text.len() > LONGEST => {
                    let what = "the line has more than 16 MB: a quotation mark without its end, or no table at all?";
                    return Err(Error::new(ErrorKind::InvalidData, what));
                }
                0 => {}
                end => break end,
            }
        };
        self.rest.extend_from_slice(&text[end..]);
        text.truncate(end);
        let (first, count) = (self.line, count(&text));
        self.line += count as u64;
        let cut = self.ended && !matches!(text.last(), None | Some(b'\n' | b'\r'));
        Ok(Some(Lines { text, first, count, cut }))
    }
}

/// Line ends in a text.
pub(crate) fn count(text: &[u8]) -> usize {
    memchr::memchr_iter(b'\n', text).count()
}

/// Where the last whole line ends; a line end between quotation marks is none.
fn whole_lines(text: &[u8]) -> usize {
    if memchr::memchr(b'"', text).is_none() {
        return memchr::memrchr(b'\n', text).map_or(0, |at| at + 1);
    }
    let (mut end, mut quoted) = (0, false);
    for at in memchr::memchr2_iter(b'"', b'\n', text) {
        match text[at] {
            b'"' => quoted = !quoted,
            _ if !quoted => end = at + 1,
            _ => {}
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_hold_whole_lines_and_all_of_them() {
        let text: String = (0..60_000).map(|line| format!("{line},\"a\nb\"\"\",{line}\n")).collect();
        let mut reader = LineReader::new(text.as_bytes());
        let (mut all, mut chunks) = (Vec::new(), 0);
        while let Some(lines) = reader.read().unwrap() {
            assert_eq!(lines.first, 1 + count(&all) as u64, "the number of the first line");
            assert!(lines.text.is_empty() || lines.text.ends_with(b"\n") && lines.text[0].is_ascii_digit());
            all.extend(lines.text);
            chunks += 1;
        }
        assert!(chunks > 3 && all == text.as_bytes());
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let text = vec![b'x'; 2 * LONGEST + CHUNK];
        let error = LineReader::new(text.as_slice()).read().err().unwrap();
        assert!(error.to_string().contains("16 MB"), "{error}");
    }
}
