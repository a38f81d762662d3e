//! A task's standard output: protocol lines are taken out, the rest goes to the log.

/// A line of the protocol.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Report {
    Progress { done: u64, total: u64, text: String },
    Metric { name: String, value: f64 },
}

/// Longer than any line of the protocol: what has no newline by then is passed on.
const LONGEST: usize = 64 << 10;

/// Cuts a stream of bytes into lines.
#[derive(Debug, Default)]
pub(super) struct Lines {
    rest: Vec<u8>,
    /// Whether the beginning of the present line was passed on already.
    in_line: bool,
}

impl Lines {
    /// Takes more bytes. Reports are added to `reports`, the rest is appended to `log`.
    pub(super) fn push(&mut self, bytes: &[u8], reports: &mut Vec<Report>, log: &mut Vec<u8>) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.rest.extend_from_slice(piece);
            if self.rest.ends_with(b"\n") {
                self.end_line(reports, log);
            } else if self.rest.len() > LONGEST {
                log.append(&mut self.rest);
                self.in_line = true;
            }
        }
    }

    /// What is left at the end of the stream.
    pub(super) fn end_line(&mut self, reports: &mut Vec<Report>, log: &mut Vec<u8>) {
        match if self.in_line { None } else { report(&self.rest) } {
            Some(report) => reports.push(report),
            None => log.extend_from_slice(&self.rest),
        }
        self.rest.clear();
        self.in_line = false;
    }
}

/// `::progress <done>/<total> <text>` or `::metric <name>=<value>`.
fn report(line: &[u8]) -> Option<Report> {
    if !line.starts_with(b"::") {
        return None;
    }
    let line = str::from_utf8(line).ok()?.trim_end();
    if let Some(progress) = line.strip_prefix("::progress ") {
        let (counts, text) = progress.split_once(' ').unwrap_or((progress, ""));
        let (done, total) = counts.split_once('/')?;
        let (done, total) = (count(done)?, count(total)?);
        return (done <= total && total > 0).then(|| Report::Progress { done, total, text: text.trim().to_owned() });
    }
    let (name, value) = line.strip_prefix("::metric ")?.split_once('=')?;
    let name = name.trim();
    if name.is_empty() || name.chars().any(char::is_control) {
        return None;
    }
    // JSON, in which both manifests and events are written, has no other numbers.
    let value: f64 = value.trim().parse().ok().filter(|value: &f64| value.is_finite())?;
    Some(Report::Metric { name: name.to_owned(), value })
}

/// Digits alone: `+1` is no count.
fn count(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(pieces: &[&[u8]]) -> (Vec<Report>, Vec<u8>) {
        let (mut lines, mut reports, mut log) = (Lines::default(), Vec::new(), Vec::new());
        for piece in pieces {
            lines.push(piece, &mut reports, &mut log);
        }
        lines.end_line(&mut reports, &mut log);
        (reports, log)
    }

    #[test]
    fn reports_are_taken_out_however_the_bytes_arrive() {
        let text: &[u8] = b"one\n::progress 1/2 half way\n::metric loss=0.5\r\ntwo\xff\n::progress 2/2\nend";
        let expected = vec![
            Report::Progress { done: 1, total: 2, text: "half way".into() },
            Report::Metric { name: "loss".into(), value: 0.5 },
            Report::Progress { done: 2, total: 2, text: String::new() },
        ];
        for size in 1..=text.len() {
            let pieces: Vec<&[u8]> = text.chunks(size).collect();
            assert_eq!(split(&pieces), (expected.clone(), b"one\ntwo\xff\nend".to_vec()), "{size}");
        }
    }

    #[test]
    fn what_only_looks_like_a_report_stays_in_the_log() {
        let text: &[u8] = b"::progress x/2 a\n::progress 1\n::metric a\n::metric a=nan\n ::metric a=1\n::set a=1\n\
            ::metric =3\n::metric  =3\n::metric a\x1b=3\n::progress 5/0\n::progress 0/0\n::progress 3/2\n::progress x\n\
            ::progress +1/2\n::progress /2\n::progress 1/\n::progress -1/2\n::progress 1/99999999999999999999\n::progress\n";
        assert_eq!(split(&[text]), (vec![], text.to_vec()));
    }

    #[test]
    fn a_long_line_is_passed_on_before_its_end() {
        let mut text = vec![b'x'; LONGEST + 10];
        text.extend_from_slice(b"::metric a=1\n::metric b=2\n");
        let (reports, log) = split(&text.chunks(1000).collect::<Vec<_>>());
        assert_eq!(reports, [Report::Metric { name: "b".into(), value: 2.0 }]);
        assert_eq!(log.len(), LONGEST + 10 + b"::metric a=1\n".len());
    }
}
