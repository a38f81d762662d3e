//! A run as one HTML page: summary, timeline, tasks, failures. It needs nothing but itself, and everything that comes from
//! people (names, parameters, logs) is escaped.

use std::collections::BTreeMap;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{duration, size};
use crate::hash::Hash;
use crate::text::visible;

/// What a page shows.
#[derive(Debug, Default)]
pub struct RunPage {
    /// The run's id.
    pub run: String,
    /// What is said at the top: names and values.
    pub facts: Vec<(String, String)>,
    /// How long the run took, in seconds; so far, where it has no end.
    pub seconds: f64,
    /// Of one that goes on, how many tasks it has, as far as that is known.
    pub expected: Option<usize>,
    /// Its tasks; of one that goes on, all but those that are cached.
    pub tasks: Vec<Row>,
    /// What is to be said of the page itself.
    pub notes: Vec<String>,
}

/// A task on a page.
#[derive(Debug, Default)]
pub struct Row {
    /// The instance.
    pub task: String,
    /// `ran`, `cached`, `failed` or `skipped`; in a run without an end also `running` or `killed`.
    pub state: String,
    /// Why; of one that is running what it reported last.
    pub reason: String,
    /// Its key.
    pub key: Option<Hash>,
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

/// At most this many failures with the ends of their logs.
pub const FAILURES: usize = 20;
/// At most this many bars: the longest. More than a screen can show tell nothing.
const BARS: usize = 2_000;
/// At most this many tasks that were cached: of them there is little to say.
const CACHED: usize = 5_000;

/// How it looks.
pub(crate) const STYLE: &str = include_str!("page.css");

/// The page as HTML.
pub fn page(page: &RunPage) -> String {
    let title = visible(&page.run);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'";
                meta name="viewport" content="width=device-width";
                title { "ghtrader " (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "Run " (title) }
                (content(page, &|_| None))
            }
        }
    }
    .into_string()
}

/// What the page shows, without its title; the names of tasks lead to what `link` says.
pub fn content(page: &RunPage, link: &dyn Fn(&Row) -> Option<String>) -> Markup {
    html! {
        (summary(page))
        (failures(page, link))
        (timeline(page))
        (devices(page))
        (tasks(page, link))
        @for note in &page.notes { p { (visible(note)) } }
    }
}

fn summary(page: &RunPage) -> Markup {
    let of = |state: &str| page.tasks.iter().filter(|task| task.state == state).count();
    html! {
        dl {
            @for (name, value) in &page.facts { dt { (visible(name)) } dd { (visible(value)) } }
        }
        @for state in ["running", "killed", "ran", "cached", "failed", "skipped"] {
            @let (count, told) = (of(state), !["running", "killed"].contains(&state));
            // What is cached is not told before the end.
            @let class = if count > 0 { state } else { "none" };
            @if count > 0 || told && page.expected.is_none() { span class={ "count " (class) } { (count) " " (state) } }
        }
        @if let Some(expected @ 1..) = page.expected { span.count { "of " (expected) " tasks" } }
    }
}

fn failures(page: &RunPage, link: &dyn Fn(&Row) -> Option<String>) -> Markup {
    let failed: Vec<&Row> = page.tasks.iter().filter(|task| task.state == "failed").collect();
    html! {
        @if !failed.is_empty() { h2 { "Failures" } }
        @for task in failed.iter().take(FAILURES) {
            h3 { (name(task, link)) }
            p { (visible(&task.reason)) }
            @if let Some(log) = &task.log { pre { (visible(log)) } }
        }
        @if failed.len() > FAILURES { p { (failed.len() - FAILURES) " more failed." } }
    }
}

/// A task's name, as a link where there is one.
fn name(task: &Row, link: &dyn Fn(&Row) -> Option<String>) -> Markup {
    html! {
        @match link(task) {
            Some(link) => { a href=(link) { (visible(&task.task)) } }
            None => { (visible(&task.task)) }
        }
    }
}

/// A line for each task: a pale bar while it waited, a full one while it ran.
fn timeline(page: &RunPage) -> Markup {
    let mut timed: Vec<(&Row, [f64; 3])> = page.tasks.iter().filter_map(|task| Some((task, task.time?))).collect();
    if timed.is_empty() {
        return html! {};
    }
    let all = timed.len();
    timed.sort_by(|(_, a), (_, b)| (b[2] - b[1]).total_cmp(&(a[2] - a[1])));
    timed.truncate(BARS);
    timed.sort_by(|(a, one), (b, two)| one[1].total_cmp(&two[1]).then_with(|| a.task.cmp(&b.task)));
    let end = timed.iter().map(|(_, time)| time[2]).fold(page.seconds, f64::max).max(1e-9);
    let percent = |seconds: f64| (seconds / end * 100.0).clamp(0.0, 100.0);
    html! {
        h2 { "Timeline" }
        p { (duration(end)) " from left to right; pale: ready and waiting." }
        @if all > BARS { p { "The " (BARS) " longest of " (all) " tasks." } }
        table.gantt {
            @for (task, time) in timed {
                @let [ready, started, ended] = time.map(percent);
                tr {
                    th { (visible(&task.task)) }
                    td {
                        i.waits style=(bar(ready, started)) {}
                        i class=(task.state) style=(bar(started, ended)) {}
                    }
                }
            }
        }
    }
}

/// Where a bar stands, from and to percent of the width.
fn bar(from: f64, to: f64) -> String {
    format!("left:{from:.3}%;width:{:.3}%", (to - from).max(0.0))
}

/// A line for each device: what ran on it, and for how much of the time something did.
fn devices(page: &RunPage) -> Markup {
    let mut used: BTreeMap<u32, Vec<(&Row, f64, f64)>> = BTreeMap::new();
    for task in &page.tasks {
        let Some([_, started, ended]) = task.time else { continue };
        for device in &task.devices {
            used.entry(*device).or_default().push((task, started, ended));
        }
    }
    if used.is_empty() {
        return html! {};
    }
    let last = used.values().flatten().map(|(_, _, ended)| *ended);
    let end = last.fold(page.seconds, f64::max).max(1e-9);
    let percent = |seconds: f64| seconds / end * 100.0;
    html! {
        h2 { "Devices" }
        table.gantt {
            @for (device, mut tasks) in used {
                @let busy = busy(&mut tasks);
                tr {
                    th { "gpu " (device) }
                    td title=(format!("busy {:.0} % of the time", percent(busy))) {
                        @for (task, started, ended) in longest(tasks) {
                            @let style = bar(percent(started), percent(ended));
                            i class=(task.state) style=(style) title=(visible(&task.task)) {}
                        }
                    }
                }
            }
        }
    }
}

/// For how long something ran.
fn busy(tasks: &mut [(&Row, f64, f64)]) -> f64 {
    tasks.sort_by(|(_, a, _), (_, b, _)| a.total_cmp(b));
    let (mut busy, mut until) = (0.0, 0.0_f64);
    for (_, started, ended) in tasks {
        busy += (*ended - started.max(until)).max(0.0);
        until = until.max(*ended);
    }
    busy
}

/// Those that are drawn.
fn longest(mut tasks: Vec<(&Row, f64, f64)>) -> impl Iterator<Item = (&Row, f64, f64)> {
    tasks.sort_by(|(_, a, b), (_, c, d)| (d - c).total_cmp(&(b - a)));
    tasks.into_iter().take(BARS)
}

fn tasks(page: &RunPage, link: &dyn Fn(&Row) -> Option<String>) -> Markup {
    let (cached, others): (Vec<&Row>, Vec<&Row>) = page.tasks.iter().partition(|task| task.state == "cached");
    let left_out = cached.len().saturating_sub(CACHED);
    let mut shown: Vec<&Row> = cached.into_iter().take(CACHED).chain(others).collect();
    shown.sort_by(|a, b| a.task.cmp(&b.task));
    html! {
        h2 { "Tasks" }
        table {
            tr { @for name in ["task", "state", "why", "took", "CPU", "peak memory", "attempts"] { th { (name) } } }
            @for task in shown {
                tr {
                    td { (name(task, link)) }
                    td class=(task.state) { (task.state) }
                    td { (visible(&task.reason)) }
                    td.n { (task.seconds.map(duration).unwrap_or_default()) }
                    td.n { (task.cpu.map(duration).unwrap_or_default()) }
                    td.n { (task.memory.map(size).unwrap_or_default()) }
                    td.n { (task.attempts.map(|attempts| attempts.to_string()).unwrap_or_default()) }
                }
            }
        }
        @if left_out > 0 { p { (left_out) " more were cached." } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVIL: &str = "<script>alert('1')</script>\"&\u{1b}[31m";

    fn evil() -> RunPage {
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
        RunPage {
            run: EVIL.into(),
            facts: vec![(EVIL.into(), EVIL.into())],
            seconds: 4.0,
            expected: None,
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
        let html = page(&RunPage { tasks: (0..BARS + 5).map(row).collect(), ..RunPage::default() });
        assert_eq!(html.matches("class=\"waits\"").count(), BARS);
        assert!(html.contains("longest of") && html.contains("<td>t0</td>") && !html.contains("<th>t0</th>"));
    }
}
