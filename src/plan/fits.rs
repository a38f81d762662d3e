//! What the system takes of a command and an environment. The kernel refuses the rest at the start of a task, without a
//! word of whose it is; here it is an error of the flow, before anything runs where it can be known.
//!
//! A kind has its parameters in the file that `GHTRADER_TASK` names, so one that is too long for a variable (the list of
//! a market's files, say) is there alone.

use std::sync::atomic::Ordering;

use rustix::process::{Resource, getrlimit};
use serde_json::Value;

use super::Planner;
use super::resolve::{Entries, Reader};
use super::tree::text_of;
use crate::diagnostic::{Diagnostic, Span};
use crate::flow::Action;

/// One text, with its name and its end (`MAX_ARG_STRLEN`).
const ONE: usize = 128 << 10;
/// All of them, however large the stack may be.
const MOST: u64 = 6 << 20;
/// For what the runner adds: its own variables, and for each input and output a path.
const OWN: (usize, usize) = (16 << 10, 1 << 10);

/// A text that a task is started with.
struct Text {
    what: String,
    scope: Option<usize>,
    span: Span,
    length: usize,
    nul: bool,
    help: &'static str,
}

impl Text {
    fn new(name: &str, text: &str, scope: Option<usize>, span: Span) -> Self {
        let help = "hand it over in a file, as an input";
        let length = length(name, text);
        Self { what: format!("`{name}`"), scope, span, length, nul: text.contains('\0'), help }
    }

    fn command(text: &str, scope: Option<usize>, span: Span) -> Self {
        let help = "put it into a script, and read that as an input";
        Self { what: "its command".to_owned(), length: text.len() + 1, help, ..Self::new("", text, scope, span) }
    }
}

/// Whether a variable is short enough for the system.
pub(crate) fn fits(name: &str, text: &str) -> bool {
    length(name, text) <= ONE
}

/// `name=text`, and its end.
fn length(name: &str, text: &str) -> usize {
    name.len() + 1 + text.len() + 1
}

impl Planner<'_> {
    /// An error where the system does not take what a task is to be started with.
    pub(super) fn check_fits(
        &self,
        reader: Reader<'_>,
        command: Option<&str>,
        with: &[(String, Value)],
        variables: &[(String, Option<String>)],
    ) -> Result<(), Diagnostic> {
        let plan = &self.tasks[reader.task];
        let texts = self.texts(reader, command, with, variables);
        self.check_each(reader, &texts)?;
        let files = plan.decl.inputs.len() + plan.outputs.len();
        let pointers = (texts.len() + files) * size_of::<usize>();
        let length: usize = texts.iter().map(|text| text.length).sum();
        let all = length + pointers + OWN.0 + files * OWN.1;
        // A quarter of the stack, of which the kernel grants so much in any case.
        let stack = getrlimit(Resource::Stack).current.map_or(MOST, |stack| (stack / 4).clamp(ONE as u64, MOST));
        if all as u64 <= stack {
            return Ok(());
        }
        let name = &plan.decl.name;
        let message = format!(
            "`{name}` cannot be started: its command and variables have {length} bytes, too many for the system"
        );
        let help = "hand some of them over in files, as inputs";
        Err(self.error(reader.scope, name.span, message, &format!("{stack} together")).help(help))
    }

    /// As much of it as can be said before the inputs are known, of the first instance of each task.
    pub(super) fn check_fits_early(&self, reader: Reader<'_>) -> Result<(), Diagnostic> {
        let plan = &self.tasks[reader.task];
        if plan.sized.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let entries = Entries::new();
        let reader = Reader { entries: &entries, ..reader };
        // What cannot be evaluated is an error of its own, later.
        let known = |template: &crate::flow::Template| {
            if template.uses().inputs.is_empty() { self.eval(reader, template).ok() } else { None }
        };
        let command = match &plan.decl.action {
            Action::Command(template) => known(template).map(|value| text_of(&value)),
            Action::Kind(_) | Action::Flow(_) => None,
        };
        let with: Vec<(String, Value)> = (plan.decl.with.iter())
            .filter_map(|(name, template)| Some((name.value.clone(), known(template)?)))
            .collect();
        self.check_each(reader, &self.texts(reader, command.as_deref(), &with, &[]))
    }

    fn check_each(&self, reader: Reader<'_>, texts: &[Text]) -> Result<(), Diagnostic> {
        let name = &self.tasks[reader.task].decl.name;
        for Text { what, scope, span, length, nul, help } in texts {
            if *nul {
                let message = format!("`{name}` cannot be started: {what} has a nul byte");
                return Err(self.error(*scope, *span, message, "has one").help("leave it out"));
            }
            if *length > ONE {
                let message =
                    format!("`{name}` cannot be started: {what} has {length} bytes, and the system takes {ONE}");
                return Err(self.error(*scope, *span, message, "too long").help(*help));
            }
        }
        Ok(())
    }

    fn texts(
        &self,
        reader: Reader<'_>,
        command: Option<&str>,
        with: &[(String, Value)],
        variables: &[(String, Option<String>)],
    ) -> Vec<Text> {
        let plan = &self.tasks[reader.task];
        let (decl, scope) = (plan.decl, reader.scope);
        let mut texts = Vec::with_capacity(1 + with.len() + variables.len() + reader.axes.len());
        if let (Action::Command(template), Some(command)) = (&decl.action, command) {
            texts.push(Text::command(command, scope, template.span()));
        }
        for (name, value) in with {
            let given = decl.with.iter().find(|(given, _)| given.value == *name);
            let span = given.map_or(decl.name.span, |(given, _)| given.span);
            let (name, text) = (format!("PARAM_{}", name.to_uppercase()), text_of(value));
            if fits(&name, &text) || !matches!(decl.action, Action::Kind(_)) {
                texts.push(Text::new(&name, &text, scope, span));
            }
        }
        for (place, (axis, value)) in plan.axes.iter().zip(reader.axes).enumerate() {
            let stage = plan.stage(place);
            let declared = stage.and_then(|stage| Some((stage.scope, stage.decl.axes.get(place - stage.start)?)));
            let (scope, span) = declared.map_or((scope, decl.name.span), |(scope, axis)| (scope, axis.name.span));
            texts.push(Text::new(&format!("MATRIX_{}", axis.to_uppercase()), &value.text, scope, span));
        }
        for (name, value) in variables {
            let Some(value) = value else { continue };
            let given = decl.env.iter().find(|given| given.name.value == *name);
            let span = given.map_or(decl.name.span, |given| given.name.span);
            texts.push(Text::new(name, value, scope, span));
        }
        texts
    }
}
