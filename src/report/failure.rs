//! A failed task as people read it: why, the end of its log, and commands that can be pasted into a shell.

use super::{Failure, TaskEvent};
use crate::text::{shell_word, visible, visible_line};

/// How the program was called, so that what it proposes works where the user stands.
#[derive(Clone, Debug, Default)]
pub struct Call {
    /// The options that every command takes: `-C`, `--cache`.
    pub global: Vec<String>,
    /// The flow, its parameters, and what the machine was said to have.
    pub flow: Vec<String>,
}

impl Call {
    /// `ghtrader COMMAND …` with the global options of this call, quoted for a shell.
    fn command(&self, command: &str, words: &[&str]) -> String {
        let global = self.global.iter().map(String::as_str);
        let words = ["ghtrader"].into_iter().chain(global).chain([command]).chain(words.iter().copied());
        words.map(shell_word).collect::<Vec<_>>().join(" ")
    }
}

/// All that people need to look into a failure.
pub(super) fn failure(event: &TaskEvent, call: &Call) -> String {
    let task = event.task.as_str();
    let reason = event.reason.as_deref().unwrap_or("no reason is known");
    let mut text = format!("error: {} failed: {}", visible_line(task), visible(reason));
    if let Some(failure) = &event.failure {
        details(&mut text, task, failure, call);
    }
    text
}

fn details(text: &mut String, task: &str, failure: &Failure, call: &Call) {
    if !failure.tail.is_empty() {
        text.push_str("\n  the last lines of its log:");
        failure.tail.iter().for_each(|line| text.push_str(&format!("\n    {}", visible_line(&expand(line)))));
    }
    for (path, source) in &failure.inputs {
        text.push_str(&format!("\n  input    {} is a copy of {}", visible_line(path), visible_line(source)));
    }
    text.push_str(&format!("\n  log      {}", call.command("log", &[&failure.run, task])));
    text.push_str(&format!("\n  scratch  {}", visible_line(&failure.scratch)));
    if !failure.blocks.is_empty() {
        text.push_str(&format!("\n  skipped  {}", visible_line(&some(&failure.blocks))));
    }
    let mut words: Vec<&str> = match call.flow.is_empty() {
        true => vec![&failure.flow],
        false => call.flow.iter().map(String::as_str).collect(),
    };
    words.push(task);
    text.push_str(&format!("\n  help: run only this again with `{}`", call.command("run", &words)));
}

/// Tabs as blanks: they are no attempt on the terminal.
fn expand(line: &str) -> String {
    line.trim_end().replace('\t', "    ")
}

/// The first names of a list, and how many more there are.
pub(super) fn some(names: &[String]) -> String {
    const SHOWN: usize = 6;
    match names.get(..SHOWN) {
        Some(first) if names.len() > SHOWN => format!("{} and {} more", first.join(", "), names.len() - SHOWN),
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::TaskState;

    #[test]
    fn a_failure_can_be_read_and_its_commands_pasted() {
        let failure = Failure {
            tail: vec!["\u{1b}[31mred\u{1b}[0m\r".into(), "\tcannot read in/market/a b".into()],
            run: "01M7".into(),
            flow: "daily".into(),
            scratch: "cache/v1/scratch/01M7/a".into(),
            inputs: vec![("in/market/a b".into(), "examples/a b".into())],
            blocks: (0..8).map(|n| format!("t{n}")).collect(),
        };
        let event = TaskEvent {
            reason: Some("exit status 1".into()),
            failure: Some(failure),
            ..TaskEvent::new("a[x=\"it's\"]".into(), TaskState::Failed)
        };
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let call = Call { global: words(&["-C", "my project"]), flow: words(&["daily", "-p", "v=[cu,au]"]) };
        let expected = r#"error: a[x="it's"] failed: exit status 1
  the last lines of its log:
    \x1b[31mred\x1b[0m
        cannot read in/market/a b
  input    in/market/a b is a copy of examples/a b
  log      ghtrader -C 'my project' log 01M7 'a[x="it'\''s"]'
  scratch  cache/v1/scratch/01M7/a
  skipped  t0, t1, t2, t3, t4, t5 and 2 more
  help: run only this again with `ghtrader -C 'my project' run daily -p 'v=[cu,au]' 'a[x="it'\''s"]'`"#;
        assert_eq!(super::failure(&event, &call), expected);
    }
}
