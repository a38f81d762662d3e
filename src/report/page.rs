//! A run as one HTML page: summary, timeline, tasks, failures. It needs nothing but itself, and everything that comes from
//! people (names, parameters, logs) is escaped.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::{duration, size};
use crate::text::visible;

/// What a page shows.
#[derive(Debug, Default)]
pub struct Page {
    /// The run's id.
    pub run: String,
    /// What is said at the top: names and values.
    pub facts: Vec<(String, String)>,
    /// How long the run took, in seconds; so far, where it has no end.
    pub seconds: f64,
    /// Its tasks.
    pub tasks: Vec<Row>,
    /// What is to be said of the page itself.
    pub notes: Vec<String>,
}

/// A task on a page.
#[derive(Debug, Default)]
pub struct Row {
    /// The instance.
    pub task: String,
    /// `ran`, `cached`, `failed` or `skipped`.
    pub state: String,
    /// Why.
    pub reason: String,
    /// When it was ready, when it started, and when it ended, in seconds since the run began.
    pub time: Option<[f64; 3]>,
    /// How long it ran, in seconds.
    pub seconds: Option<f64>,
    /// Processor time, in seconds.
    pub cpu: Option<f64>,
    /// Peak memory, in bytes.
    pub memory: Option<u64>,
    /// Attempts, with the last.
    pub attempts: Option<u32>,
    /// The devices that it had.
    pub devices: Vec<u32>,
    /// The end of its log, where it failed.
    pub log: Option<String>,
}

/// At most this many bars: the longest. More than a screen can show tell nothing.
const BARS: usize = 2_000;
/// At most this many tasks that were cached: of them there is little to say.
const CACHED: usize = 5_000;

const STYLE: &str = include_str!("page.css");

/// The page as HTML.
pub fn page(page: &Page) -> String {
    let mut html = String::new();
    // Writing into a text does not fail.
    let _ = write(page, &mut html);
    html
}

fn write(page: &Page, html: &mut String) -> fmt::Result {
    let title = Escaped(&page.run);
    write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n<title>ghtrader {title}</title>\n\
         <style>\n{STYLE}</style>\n</head>\n<body>\n<h1>Run {title}</h1>\n"
    )?;
    summary(page, html)?;
    failures(page, html)?;
    timeline(page, html)?;
    devices(page, html)?;
    tasks(page, html)?;
    for note in &page.notes {
        writeln!(html, "<p>{}</p>", Escaped(note))?;
    }
    html.push_str("</body>\n</html>\n");
    Ok(())
}

fn summary(page: &Page, html: &mut String) -> fmt::Result {
    html.push_str("<dl>\n");
    for (name, value) in &page.facts {
        writeln!(html, "<dt>{}</dt><dd>{}</dd>", Escaped(name), Escaped(value))?;
    }
    html.push_str("</dl>\n");
    for state in ["ran", "cached", "failed", "skipped"] {
        let count = page.tasks.iter().filter(|task| task.state == state).count();
        writeln!(html, "<span class=\"count {state}\">{count} {state}</span>")?;
    }
    Ok(())
}

fn failures(page: &Page, html: &mut String) -> fmt::Result {
    let failed: Vec<&Row> = page.tasks.iter().filter(|task| task.state == "failed").collect();
    if failed.is_empty() {
        return Ok(());
    }
    html.push_str("<h2>Failures</h2>\n");
    for task in failed {
        writeln!(html, "<h3>{}</h3>\n<p>{}</p>", Escaped(&task.task), Escaped(&task.reason))?;
        if let Some(log) = &task.log {
            writeln!(html, "<pre>{}</pre>", Escaped(log))?;
        }
    }
    Ok(())
}

/// A line for each task: a pale bar while it waited, a full one while it ran.
fn timeline(page: &Page, html: &mut String) -> fmt::Result {
    let mut timed: Vec<(&Row, [f64; 3])> = page.tasks.iter().filter_map(|task| Some((task, task.time?))).collect();
    if timed.is_empty() {
        return Ok(());
    }
    let all = timed.len();
    timed.sort_by(|(_, a), (_, b)| (b[2] - b[1]).total_cmp(&(a[2] - a[1])));
    timed.truncate(BARS);
    timed.sort_by(|(a, one), (b, two)| one[1].total_cmp(&two[1]).then_with(|| a.task.cmp(&b.task)));
    let end = timed.iter().map(|(_, time)| time[2]).fold(page.seconds, f64::max).max(1e-9);
    let percent = |seconds: f64| (seconds / end * 100.0).clamp(0.0, 100.0);
    writeln!(html, "<h2>Timeline</h2>\n<p>{} from left to right; pale: ready and waiting.</p>", duration(end))?;
    if all > BARS {
        writeln!(html, "<p>The {BARS} longest of {all} tasks.</p>")?;
    }
    html.push_str("<table class=\"gantt\">\n");
    for (task, [ready, started, ended]) in timed {
        let (ready, started, ended) = (percent(ready), percent(started), percent(ended));
        writeln!(
            html,
            "<tr><th>{}</th><td><i class=\"waits\" style=\"left:{ready:.3}%;width:{:.3}%\"></i>\
             <i class=\"{}\" style=\"left:{started:.3}%;width:{:.3}%\"></i></td></tr>",
            Escaped(&task.task),
            (started - ready).max(0.0),
            Escaped(&task.state),
            (ended - started).max(0.0),
        )?;
    }
    html.push_str("</table>\n");
    Ok(())
}

/// A line for each device: what ran on it, and for how much of the time something did.
fn devices(page: &Page, html: &mut String) -> fmt::Result {
    let mut used: BTreeMap<u32, Vec<(&Row, f64, f64)>> = BTreeMap::new();
    for task in &page.tasks {
        let Some([_, started, ended]) = task.time else { continue };
        for device in &task.devices {
            used.entry(*device).or_default().push((task, started, ended));
        }
    }
    if used.is_empty() {
        return Ok(());
    }
    let last = used.values().flatten().map(|(_, _, ended)| *ended);
    let end = last.fold(page.seconds, f64::max).max(1e-9);
    html.push_str("<h2>Devices</h2>\n<table class=\"gantt\">\n");
    for (device, mut tasks) in used {
        tasks.sort_by(|(_, a, _), (_, b, _)| a.total_cmp(b));
        let (mut busy, mut until) = (0.0, 0.0_f64);
        for (_, started, ended) in &tasks {
            busy += (ended - started.max(until)).max(0.0);
            until = until.max(*ended);
        }
        tasks.sort_by(|(_, a, b), (_, c, d)| (d - c).total_cmp(&(b - a)));
        write!(html, "<tr><th>gpu {device}</th><td title=\"busy {:.0} % of the time\">", busy / end * 100.0)?;
        for (task, started, ended) in tasks.iter().take(BARS) {
            write!(
                html,
                "<i class=\"{}\" style=\"left:{:.3}%;width:{:.3}%\" title=\"{}\"></i>",
                Escaped(&task.state),
                started / end * 100.0,
                (ended - started) / end * 100.0,
                Escaped(&task.task),
            )?;
        }
        html.push_str("</td></tr>\n");
    }
    html.push_str("</table>\n");
    Ok(())
}

fn tasks(page: &Page, html: &mut String) -> fmt::Result {
    html.push_str("<h2>Tasks</h2>\n<table>\n<tr>");
    for name in ["task", "state", "why", "took", "CPU", "peak memory", "attempts"] {
        write!(html, "<th>{name}</th>")?;
    }
    html.push_str("</tr>\n");
    let mut cached = 0;
    for task in &page.tasks {
        cached += usize::from(task.state == "cached");
        if task.state == "cached" && cached > CACHED {
            continue;
        }
        write!(html, "<tr><td>{}</td><td class=\"{}\">", Escaped(&task.task), Escaped(&task.state))?;
        writeln!(
            html,
            "{}</td><td>{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td></tr>",
            Escaped(&task.state),
            Escaped(&task.reason),
            task.seconds.map(duration).unwrap_or_default(),
            task.cpu.map(duration).unwrap_or_default(),
            task.memory.map(size).unwrap_or_default(),
            task.attempts.map(|attempts| attempts.to_string()).unwrap_or_default(),
        )?;
    }
    html.push_str("</table>\n");
    if cached > CACHED {
        writeln!(html, "<p>{} more were cached.</p>", cached - CACHED)?;
    }
    Ok(())
}

/// A text that says in HTML what it says, wherever it stands.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in visible(self.0).chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                c => f.write_char(c)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "<script>alert('1')</script>\"&\u{1b}[31m";

    fn evil() -> Page {
        let row = |state: &str| Row {
            task: EVIL.into(),
            state: state.into(),
            reason: EVIL.into(),
            time: Some([0.0, 1.0, 3.0]),
            seconds: Some(2.0),
            log: Some(EVIL.into()),
            devices: vec![3],
            ..Row::default()
        };
        Page {
            run: EVIL.into(),
            facts: vec![(EVIL.into(), EVIL.into())],
            seconds: 4.0,
            tasks: vec![row("ran"), row("failed")],
            notes: vec![EVIL.into()],
        }
    }

    #[test]
    fn what_people_wrote_is_text_wherever_it_stands() {
        let html = page(&evil());
        assert!(!html.contains("<script") && !html.contains('\u{1b}') && !html.contains("\"&\""));
        assert!(html.matches("&lt;script&gt;").count() >= 10);
    }

    #[test]
    fn a_page_needs_nothing_but_itself() {
        let html = page(&evil());
        for outside in ["http://", "https://", "src=", "href=", "@import", "url("] {
            assert!(!html.contains(outside), "{outside}");
        }
        assert!(html.contains("prefers-color-scheme: dark"));
    }

    #[test]
    fn bars_stand_where_the_time_was() {
        let html = page(&evil());
        assert!(html.contains("class=\"waits\" style=\"left:0.000%;width:25.000%\""));
        assert!(html.contains("class=\"ran\" style=\"left:25.000%;width:50.000%\""));
        assert!(html.contains("<th>gpu 3</th><td title=\"busy 50 % of the time\">"), "two at once count once: {html}");
    }

    #[test]
    fn of_very_many_tasks_the_longest_have_bars_and_it_says_so() {
        let row = |n: usize| Row {
            task: format!("t{n}"),
            state: "ran".into(),
            time: Some([0.0, 0.0, n as f64]),
            ..Row::default()
        };
        let html = page(&Page { tasks: (0..BARS + 5).map(row).collect(), ..Page::default() });
        assert_eq!(html.matches("class=\"waits\"").count(), BARS);
        assert!(html.contains("longest of") && html.contains("<td>t0</td>") && !html.contains("<th>t0</th>"));
    }
}
