//! What all pages have in common.

use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};

use crate::text::visible;

/// A page.
#[derive(Debug)]
pub(super) struct Page {
    title: String,
    body: Markup,
    /// After so many seconds it asks for itself again.
    again: Option<u32>,
}

impl Page {
    pub(super) fn new(title: impl Into<String>, body: Markup) -> Self {
        Self { title: title.into(), body, again: None }
    }

    /// The same of something that goes on.
    pub(super) fn live(self, live: bool) -> Self {
        const SECONDS: u32 = 3;
        Self { again: live.then_some(SECONDS), ..self }
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
                    @if let Some(seconds) = self.again { meta http-equiv="refresh" content=(seconds); }
                    title { (title) " – ghtrader" }
                    link rel="stylesheet" href="/style.css";
                }
                body {
                    nav {
                        a href="/" { "ghtrader" }
                        a href="/runs" { "runs" }
                        a href="/refs" { "refs" }
                        a href="/locks" { "locks" }
                        form action="/lineage" {
                            input name="of" required placeholder="a ref, a hash, flow:task.output" aria-label="artifact";
                            button { "lineage" }
                        }
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

/// The head of a table.
pub(super) fn head(names: &[&str]) -> Markup {
    html! { tr { @for name in names { th { (name) } } } }
}
