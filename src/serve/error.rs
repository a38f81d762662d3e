//! Why there is no page, as a page.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::html;

use super::html::Page;
use crate::cache::CacheError;
use crate::diagnostic::Diagnostic;
use crate::provenance::FindError;
use crate::text::visible;

/// Why there is no page.
#[derive(Debug, thiserror::Error)]
pub(super) enum PageError {
    /// What was asked for is not there; what would be right.
    #[error("{0}")]
    NotFound(String, Option<String>),
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

impl From<FindError> for PageError {
    fn from(error: FindError) -> Self {
        match error {
            FindError::Unclear(Diagnostic { message, help, .. }) => Self::NotFound(message, help),
            FindError::Cache(error) => error.into(),
            FindError::Ref(error) => error.into(),
            FindError::Io(error) => error.into(),
        }
    }
}

impl IntoResponse for PageError {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotFound(..) => StatusCode::NOT_FOUND,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let help = if let Self::NotFound(_, help) = &self { help.clone() } else { None };
        let body = html! {
            p.failed { (visible(&self.to_string())) }
            @if let Some(help) = help { p { (visible(&help)) } }
        };
        (status, Page::new("Not to be shown", body)).into_response()
    }
}
