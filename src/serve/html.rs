//! What all pages have in common.

use std::path::Path;
use std::time::Duration;

use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::cache::{Cache, Notice};
use crate::text::visible;

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    title: String,
    body: Markup,
    /// Whether it asks for itself again.
    live: bool,
    took: Duration,
}

impl Page {
    pub(super) fn new(title: impl Into<String>, body: Markup) -> Self {
        Self { title: title.into(), body, live: false, took: Duration::ZERO }
    }

    /// The same of something that goes on.
    pub(super) fn live(self, live: bool) -> Self {
        Self { live, ..self }
    }

    /// How long it took to make.
    pub(super) fn took(self, took: Duration) -> Self {
        Self { took, ..self }
    }

    /// What else there is to say.
    pub(super) fn noting(self, notices: &[Notice]) -> Self {
        let body = html! {
            (self.body)
            @for notice in notices { p.failed { (visible(&notice.to_string())) } }
        };
        Self { body, ..self }
    }

    /// After so many seconds it asks for itself again: what takes long is made for a tenth of the time at most.
    fn again(&self) -> u64 {
        const LEAST: u64 = 3;
        LEAST.max((self.took * 10).as_secs())
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let title = visible(&self.title);
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width";
                    @if self.live { meta http-equiv="refresh" content=(self.again()); }
                    title { (title) " – ghtrader" }
                    link rel="icon" href="data:,";
                    link rel="stylesheet" href="/style.css";
                }
                body {
                    nav {
                        a href="/" { "ghtrader" }
                        a href="/runs" { "runs" }
                        a href="/refs" { "refs" }
                        a href="/lineage" { "lineage" }
                        a href="/locks" { "locks" }
                    }
                    h1 { (title) }
                    (self.body)
                }
            }
        }
        .into_response()
    }
}

/// That of the page of a run, and of what is around it here.
pub(super) fn style() -> String {
    [crate::report::STYLE, include_str!("serve.css")].concat()
}

/// The address of a page that is asked for something.
pub(super) fn address(path: &str, query: &[(&str, &str)]) -> String {
    let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(query).finish();
    format!("{path}?{query}")
}

/// A link to a page that is asked for something.
pub(super) fn link(path: &str, query: &[(&str, &str)], text: &str) -> Markup {
    html! { a href=(address(path, query)) { (visible(text)) } }
}

/// A link to a run, where its record is in this cache.
pub(super) fn run_link(cache: &Cache, run: &str) -> Markup {
    link_if(cache.runs().join(run).is_dir(), "/run", &[("run", run)], run)
}

/// A link to a task of a run, where the record of that is in this cache.
pub(super) fn task_link(cache: &Cache, run: &str, task: &str, text: &str) -> Markup {
    link_if(cache.runs().join(run).is_dir(), "/task", &[("run", run), ("task", task)], text)
}

/// A link to a flow, where `file` is the one that this project has under that name.
pub(super) fn flow_link(root: &Path, name: &str, file: &str) -> Markup {
    link_if(is_own(name, file) && root.join(file).is_file(), "/flow", &[("name", name)], name)
}

fn link_if(there: bool, path: &str, query: &[(&str, &str)], text: &str) -> Markup {
    if there {
        link(path, query, text)
    } else {
        html! { (visible(text)) }
    }
}

/// Whether a flow is one that the project has under this name, and not one that was named by its path.
pub(super) fn is_own(name: &str, file: &str) -> bool {
    file.strip_prefix("flows/").and_then(|file| file.strip_suffix(".yaml")) == Some(name)
}

/// A time without parts of a second, which tell people nothing.
pub(super) fn time(rfc3339: &str) -> String {
    match rfc3339.split_once('.') {
        Some((seconds, _)) => format!("{seconds}Z"),
        None => rfc3339.to_owned(),
    }
}

/// The head of a table.
pub(super) fn head(names: &[&str]) -> Markup {
    html! { tr { @for name in names { th { (name) } } } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_takes_long_is_asked_for_seldom() {
        let again = |took| Page::new("", html! {}).took(Duration::from_millis(took)).again();
        assert_eq!([again(0), again(300), again(450), again(6_000)], [3, 3, 4, 60]);
    }

    #[test]
    fn a_flow_by_its_path_is_not_the_projects() {
        assert!(is_own("a", "flows/a.yaml"));
        assert!(!is_own("a", "../flows/a.yaml") && !is_own("a", "flows/b.yaml") && !is_own("a", "flows/x/a.yaml"));
    }
}
