//! A time line as text: a row for each task, the longest ones where there are many, and a row for each resource.

use unicode_width::UnicodeWidthStr as _;

use super::board::fit;
use super::duration;
use crate::text::visible_line;

/// What a time line shows; times are in seconds.
#[derive(Debug, Default)]
pub struct Timeline {
    /// From the start to the end of the last task.
    pub seconds: f64,
    /// The tasks.
    pub bars: Vec<Bar>,
    /// The resources.
    pub lanes: Vec<Lane>,
}

/// When a task runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Bar {
    /// The instance.
    pub task: String,
    /// From when to when.
    pub time: (f64, f64),
    /// The devices it has.
    pub devices: Vec<u32>,
}

/// How much of a resource is in use.
#[derive(Clone, Debug, PartialEq)]
pub struct Lane {
    /// `cpu`, `gpu 2`.
    pub name: String,
    /// From when to when which share of it.
    pub used: Vec<(f64, f64, f64)>,
}

/// At most this many rows of tasks, and of devices.
const ROWS: usize = 24;
/// Columns of the drawing itself, and the most for a name.
const DRAWING: usize = 34;
const NAME: usize = 26;

impl Timeline {
    /// Lines of at most 80 columns.
    pub fn lines(&self) -> Vec<String> {
        if self.bars.is_empty() {
            return Vec::new();
        }
        let mut order: Vec<&Bar> = self.bars.iter().collect();
        let length = |bar: &Bar| bar.time.1 - bar.time.0;
        order.sort_by(|a, b| length(b).total_cmp(&length(a)));
        let rest = order.split_off(ROWS.min(order.len()));
        order.sort_by(|a, b| a.time.0.total_cmp(&b.time.0).then_with(|| a.task.cmp(&b.task)));
        let mut lines = vec![row("", &axis(self.seconds), "")];
        for bar in order {
            let devices: Vec<String> = bar.devices.iter().map(u32::to_string).collect();
            let on = if devices.is_empty() { String::new() } else { format!("  gpu {}", devices.join(",")) };
            lines.push(row(&bar.task, &self.bar(bar.time), &format!("{}{on}", duration(length(bar)))));
        }
        if !rest.is_empty() {
            let sum: f64 = rest.iter().map(|bar| length(bar)).sum();
            let most = rest.first().map_or(0.0, |bar| length(bar));
            let (count, sum, most) = (rest.len(), duration(sum), duration(most));
            lines.push(format!("… and {count} more, of {most} at most; {sum} in all"));
        }
        lines.push(String::new());
        for lane in self.lanes.iter().take(ROWS) {
            let (levels, busy) = self.levels(lane);
            lines.push(row(&lane.name, &levels, &format!("{:.0} % in use", busy * 100.0)));
        }
        let more = self.lanes.len().saturating_sub(ROWS);
        if more > 0 {
            lines.push(format!("… and {more} more"));
        }
        lines
    }

    fn column(&self, at: f64) -> f64 {
        (at / self.seconds.max(1e-9) * DRAWING as f64).clamp(0.0, DRAWING as f64)
    }

    fn bar(&self, (start, end): (f64, f64)) -> String {
        let first = (self.column(start).floor() as usize).min(DRAWING - 1);
        let last = (self.column(end).ceil() as usize).clamp(first + 1, DRAWING);
        format!("{}{}", " ".repeat(first), "█".repeat(last - first))
    }

    /// How full it is in each column, and in the mean.
    fn levels(&self, lane: &Lane) -> (String, f64) {
        let mut full = [0.0; DRAWING];
        for (start, end, share) in &lane.used {
            let (start, end) = (self.column(*start), self.column(*end));
            for (index, full) in
                full.iter_mut().enumerate().skip(start as usize).take_while(|(index, _)| (*index as f64) < end)
            {
                *full += (end.min(index as f64 + 1.0) - start.max(index as f64)) * share;
            }
        }
        let level = |full: &f64| {
            let eighths = (full * 8.0).ceil().clamp(0.0, 8.0) as usize;
            [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'].get(eighths).copied().unwrap_or('█')
        };
        (full.iter().map(level).collect(), full.iter().sum::<f64>() / DRAWING as f64)
    }
}

fn row(name: &str, drawing: &str, end: &str) -> String {
    let name = fit(&visible_line(name), NAME);
    let pad = |text: &str, width: usize| " ".repeat(width.saturating_sub(text.width()));
    let line = format!("{name}{} │{drawing}{}│ {end}", pad(&name, NAME), pad(drawing, DRAWING));
    fit(&line, 80).trim_end().to_owned()
}

fn axis(seconds: f64) -> String {
    let end = duration(seconds);
    format!("0{}{end}", " ".repeat(DRAWING.saturating_sub(1 + end.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(task: &str, start: f64, end: f64, devices: &[u32]) -> Bar {
        Bar { task: task.into(), time: (start, end), devices: devices.to_vec() }
    }

    #[test]
    fn bars_stand_where_the_time_is() {
        let lane = |name: &str, used: &[(f64, f64, f64)]| Lane { name: name.into(), used: used.to_vec() };
        let timeline = Timeline {
            seconds: 34.0,
            bars: vec![bar("b", 17.0, 34.0, &[0, 1]), bar("a", 0.0, 17.0, &[])],
            lanes: vec![lane("cpu", &[(0.0, 34.0, 0.25), (0.0, 17.0, 0.25)]), lane("gpu 0", &[(17.0, 34.0, 1.0)])],
        };
        let lines = timeline.lines();
        let drawn: Vec<String> =
            lines.iter().map(|line| line.split('│').nth(1).unwrap_or_default().to_owned()).collect();
        assert_eq!(lines[1].split_whitespace().next(), Some("a"), "in the order of their starts");
        assert_eq!(drawn[1], format!("{}{}", "█".repeat(17), " ".repeat(17)));
        assert_eq!(drawn[2], format!("{}{}", " ".repeat(17), "█".repeat(17)));
        assert_eq!(drawn[4], format!("{}{}", "▄".repeat(17), "▂".repeat(17)));
        assert!(lines[2].ends_with("17.0 s  gpu 0,1") && lines[5].ends_with("50 % in use"), "{lines:#?}");
    }

    #[test]
    fn of_very_many_the_longest_are_shown_in_eighty_columns() {
        let name = |n: usize| format!("a-task-with-a-long-name[variety=größe,day={n}]");
        let bars: Vec<Bar> =
            (1..=1000).map(|n| bar(&name(n), n as f64, 2.0 * n as f64, &[0, 1, 2, 3, 4, 5, 6, 7])).collect();
        let lanes = vec![Lane { name: "cpu".into(), used: Vec::new() }; 40];
        let lines = Timeline { seconds: 2000.0, bars, lanes }.lines();
        assert!(lines.iter().all(|line| line.width() <= 80), "{lines:#?}");
        assert!(lines[1 + ROWS].starts_with("… and 976 more, of 16m 16s at most"), "{}", lines[1 + ROWS]);
        assert!(lines[ROWS].ends_with("16m 40s  gpu…") || lines[ROWS].contains("16m 40s"), "{}", lines[ROWS]);
    }

    #[test]
    fn nothing_is_drawn_of_nothing() {
        assert!(Timeline::default().lines().is_empty());
        let at_once = Timeline { seconds: 0.0, bars: vec![bar("a", 0.0, 0.0, &[])], lanes: Vec::new() };
        assert_eq!(at_once.lines().len(), 3);
    }
}
