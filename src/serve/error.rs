//! Why there is no page, as a page.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

use super::html::Page;
use crate::cache::CacheError;
use crate::diagnostic::Diagnostic;
use crate::provenance::FindError;
use crate::text::visible;

/// Why there is no page, or not all of it.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// What was asked for is not there; what would be right.
    #[error(transparent)]
    Missing(Diagnostic),
    #[error(transparent)]
    Cache(#[from] CacheError),
    #[error(transparent)]
    Ref(#[from] crate::refs::RefError),
    #[error(transparent)]
    Lock(#[from] crate::locks::LockError),
    #[error(transparent)]
    Lease(#[from] crate::leases::LeaseError),
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

impl PageError {
    pub(super) fn missing(what: impl Into<String>) -> Self {
        Self::Missing(Diagnostic::new(what))
    }
}

impl From<FindError> for PageError {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Unclear(diagnostic) => Self::Missing(diagnostic),
            FindError::Cache(error) => error.into(),
            FindError::Ref(error) => error.into(),
            FindError::Io(error) => error.into(),
        }
    }
}

/// A part of a page, or why it cannot be shown: the other parts can.
pub(super) fn part(part: Result<Markup, PageError>) -> Markup {
    part.unwrap_or_else(|error| shown(&error))
}

fn shown(error: &PageError) -> Markup {
    let help = if let PageError::Missing(diagnostic) = error { diagnostic.help.as_deref() } else { None };
    html! {
        p.failed { (visible(&error.to_string())) }
        @if let Some(help) = help { p { (visible(help)) } }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let missing = matches!(self, Self::Missing(_));
        let status = if missing { StatusCode::NOT_FOUND } else { StatusCode::INTERNAL_SERVER_ERROR };
        // Something that is being written may be whole the next time.
        (status, Page::new(if missing { "There is none" } else { "This cannot be shown" }, shown(&self)).live(!missing))
            .into_response()
    }
}
