//! Who is answered, and what a browser may do with an answer.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

const HEADERS: [(HeaderName, &str); 5] = [
    (
        CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'self' 'unsafe-inline'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
    ),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (CACHE_CONTROL, "no-store"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// Answers only who asks for this machine by its own name, so that a page from elsewhere whose name was made to lead here learns
/// nothing; makes nothing for what a page from elsewhere only wants to load; and lets a browser take nothing in an answer for
/// something else.
pub(super) async fn guard(request: Request, next: Next) -> Response {
    let mut response = match refusal(&request) {
        Some(refusal) => refusal.into_response(),
        None => next.run(request).await,
    };
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refusal(request: &Request) -> Option<(StatusCode, &'static str)> {
    let headers = request.headers();
    let hosts = headers.get_all(HOST).iter().map(|host| host.to_str().unwrap_or_default());
    // As a proxy is asked, and over HTTP/2.
    let mut hosts = hosts.chain(request.uri().host()).peekable();
    if hosts.peek().is_none() || !hosts.all(is_local) {
        return Some((StatusCode::MISDIRECTED_REQUEST, "this page answers to 127.0.0.1 and localhost only\n"));
    }
    let says = |name: &str, value: &str| headers.get(name).is_some_and(|said| said.as_bytes() == value.as_bytes());
    // A link that somebody follows is fine.
    let loaded = says("sec-fetch-site", "cross-site") && !says("sec-fetch-mode", "navigate");
    loaded.then_some((StatusCode::FORBIDDEN, "this page is not for other sites to load\n"))
}

/// Whatever the port: it may come through a tunnel.
fn is_local(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|own| name.eq_ignore_ascii_case(own))
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_this_machine_is_answered_for() {
        for own in ["127.0.0.1:7420", "localhost:1", "LOCALHOST", "[::1]:80", "127.0.0.1"] {
            assert!(is_local(own), "{own}");
        }
        for other in ["evil.example:7420", "127.0.0.1.evil.example", "localhost.evil.example:1", "", "[::1].x", ":1"] {
            assert!(!is_local(other), "{other}");
        }
    }

    #[test]
    fn all_that_a_request_says_of_its_host_counts() {
        let status = |uri: &str, headers: &[(&str, &str)]| {
            let request = headers
                .iter()
                .fold(Request::builder().uri(uri), |request, (name, value)| request.header(*name, *value));
            refusal(&request.body(Body::empty()).unwrap()).map(|(status, _)| status.as_u16())
        };
        let own = ("host", "localhost");
        assert_eq!(status("/", &[own]), None);
        assert_eq!(status("http://localhost:1/", &[]), None);
        assert_eq!(status("/", &[]), Some(421));
        assert_eq!(status("/", &[own, ("host", "evil.example")]), Some(421));
        assert_eq!(status("http://evil.example/", &[own]), Some(421));
        let from_elsewhere = ("sec-fetch-site", "cross-site");
        assert_eq!(status("/", &[own, from_elsewhere, ("sec-fetch-mode", "no-cors")]), Some(403));
        assert_eq!(status("/", &[own, from_elsewhere, ("sec-fetch-mode", "navigate")]), None);
    }
}
