//! The flows of the project, as their files say.

use maud::{Markup, html};

use super::html::{Page, head, is_own, link};
use super::{PageError, Site, View, runs};
use crate::diagnostic::{Diagnostic, render};
use crate::flow::{self, Action, Flow};
use crate::graph::{self, Graph};
use crate::key::canonical;
use crate::kinds::Kinds;
use crate::provenance::{list, load_start};
use crate::text::visible;

/// So many of the last runs are looked through for those of one flow.
const RUNS: usize = 1_000;
/// … of which so many are shown.
const LAST: usize = 10;

/// All flows.
pub(super) fn table(site: &Site) -> Result<Markup, PageError> {
    let names = flow::in_folder(&site.root)?;
    let kinds = Kinds::installed();
    let told = |name: &str| match load(site, name, &kinds) {
        Ok(flow) => html! { td { (visible(flow.description.as_deref().unwrap_or_default())) } },
        // One broken flow must not hide the others.
        Err(errors) => {
            html! { td.failed { "is not valid: " (visible(&errors.first().map(ToString::to_string).unwrap_or_default())) } }
        }
    };
    Ok(html! {
        @if names.is_empty() { p { "there is no `flows/` here, or nothing in it" } }
        @else {
            table {
                @for name in &names { tr { td { (link("/flow", &[("name", name)], name)) } (told(name)) } }
            }
        }
    })
}

fn load(site: &Site, name: &str, kinds: &Kinds) -> Result<Flow, Vec<Diagnostic>> {
    let shown = format!("flows/{name}.yaml");
    graph::load(&site.root, &site.root.join(&shown), &shown, kinds)
}

/// One flow: its parameters, its tasks, its last runs.
pub(super) fn flow(view: &View) -> Result<Page, PageError> {
    let (site, runs) = (&view.site, view.cache.runs());
    let name = view.query.demand("name")?;
    if !flow::in_folder(&site.root)?.iter().any(|known| known == name) {
        return Err(PageError::missing(format!("there is no flow `{name}` in flows/")));
    }
    let kinds = Kinds::installed();
    let told = load(site, name, &kinds).and_then(|flow| Ok(html! { (described(&flow, &Graph::new(&flow, &kinds)?)) }));
    let told = told.unwrap_or_else(|errors| html! { pre { (visible(&render(&errors, false))) } });
    let is_of = |run: &String| {
        let start = load_start(&runs, run);
        start.is_ok_and(|start| start.flow == name && is_own(name, &start.file))
    };
    let own = list(&runs)?.into_iter().rev().take(RUNS).filter(is_of);
    let (table, going_on) = runs::table(view, own.take(LAST));
    let body = html! { (told) h2 { "Last runs" } (table) };
    Ok(Page::new(format!("Flow {name}"), body).live(going_on))
}

fn described(flow: &Flow, graph: &Graph<'_>) -> Markup {
    let mut reads: Vec<Vec<&str>> = vec![Vec::new(); graph.tasks().len()];
    for (from, to) in graph.edges() {
        reads[*to].push(&graph.tasks()[*from].name.value);
    }
    let does = |action: &Action| match action {
        Action::Kind(kind) => kind.value.clone(),
        Action::Command(_) => "a command".to_owned(),
        Action::Flow(flow) => format!("flow {}", flow.value),
    };
    html! {
        @if let Some(description) = &flow.description { p { (visible(description)) } }
        @if !flow.params.is_empty() {
            h2 { "Parameters" }
            table {
                (head(&["name", "type", "default", ""]))
                @for param in &flow.params {
                    tr {
                        td { (visible(&param.name.value)) }
                        td { (param.r#type) }
                        td { (param.default.as_ref().map(canonical).unwrap_or_default()) @if param.required { "required" } }
                        td { (visible(param.help.as_deref().unwrap_or_default())) }
                    }
                }
            }
        }
        h2 { "Tasks" }
        table {
            (head(&["task", "does", "for each", "after"]))
            @for (task, reads) in graph.tasks().iter().zip(&reads) {
                @let axes: Vec<&str> = task.matrix.axes.iter().map(|axis| axis.name.value.as_str()).collect();
                tr {
                    td { (visible(&task.name.value)) }
                    td { (visible(&does(&task.action))) }
                    td { (visible(&axes.join(", "))) }
                    td { (visible(&reads.join(", "))) }
                }
            }
        }
    }
}
