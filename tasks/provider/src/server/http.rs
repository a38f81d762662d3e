//! The little of HTTP that the services need.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use serde_json::json;

use super::Shared;

/// A token as the login service gives it: a JSON Web Token that nobody signed, with what the public client looks at.
const TOKEN: &str = concat!(
    "eyJhbGciOiJub25lIn0", // {"alg":"none"}
    ".eyJzdWIiOiJ0ZXN0ZXIiLCJncmFudHMiOnsiZmVhdHVyZXMiOlsiZnV0ciIsInRxX2RsIl0sImFjY291bnRzIjpbXX19", // sub, grants
    "."
);

/// The head of a request, left in the stream.
pub(super) fn peek(stream: &TcpStream) -> anyhow::Result<String> {
    let mut buffer = [0; 16_384];
    for _ in 0..2_000 {
        let length = stream.peek(&mut buffer)?;
        ensure!(length > 0, "the client has gone");
        let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
        if let Some(end) = text.find("\r\n\r\n") {
            return Ok(text[..end].to_owned());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    anyhow::bail!("no request")
}

/// Whether a request brings the token.
pub(super) fn has_token(head: &str) -> bool {
    head.lines().any(|line| {
        line.split_once(": ").is_some_and(|(name, value)| {
            name.eq_ignore_ascii_case("authorization") && value.trim() == format!("Bearer {TOKEN}")
        })
    })
}

/// Answers with a status alone.
pub(super) fn refuse(mut stream: &TcpStream, status: &str) -> anyhow::Result<()> {
    let head = peek(stream)?;
    stream.read_exact(&mut vec![0; head.len() + 4])?;
    Ok(write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?)
}

/// Answers one request.
pub(super) fn answer(mut stream: &TcpStream, shared: &Shared) -> anyhow::Result<()> {
    let head = peek(stream)?;
    stream.read_exact(&mut vec![0; head.len() + 4])?;
    let length = head.lines().filter_map(|line| line.split_once(": "));
    let length = length
        .filter(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .find_map(|(_, length)| length.parse().ok());
    let mut body = vec![0; length.unwrap_or(0_usize).min(1 << 20)];
    stream.read_exact(&mut body)?;
    let target = head.split(' ').nth(1).context("no request line")?;
    let path = target.split('?').next().unwrap_or_default();
    let (status, answer) = match path {
        "/auth/realms/shinnytech/protocol/openid-connect/token" => login(&String::from_utf8_lossy(&body), shared),
        "/auth/realms/shinnytech/rest/get-grant/tq" => {
            ("200 OK", json!({ "exp": 4_070_908_799_i64, "daysleft": 9999, "account_type": "TEST" }))
        }
        "/ns" if !has_token(&head) => ("401 Unauthorized", json!({ "error": "no_token" })),
        "/ns" => ("200 OK", json!({ "mdurl": format!("ws://127.0.0.1:{}/t/md/front/mobile", shared.port) })),
        "/t/md/symbols/latest.json" => ("200 OK", shared.market.contracts()),
        "/shinny_chinese_holiday.json" => ("200 OK", json!(["2024-01-01", "2024-02-09", "2024-02-12"])),
        _ => ("404 Not Found", json!({})),
    };
    let answer = answer.to_string();
    let (kind, length) = ("content-type: application/json", answer.len());
    write!(stream, "HTTP/1.1 {status}\r\n{kind}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{answer}")?;
    Ok(stream.flush()?)
}

fn login(body: &str, shared: &Shared) -> (&'static str, serde_json::Value) {
    let has = |name: &str, value: &str| body.split('&').any(|pair| pair == format!("{name}={value}"));
    if has("grant_type", "password") && has("username", &shared.user) && has("password", &shared.password) {
        shared.seen().logins += 1;
        ("200 OK", json!({ "access_token": TOKEN, "refresh_token": TOKEN }))
    } else {
        // As identity servers do, with more words than are needed.
        ("401 Unauthorized", json!({ "error": "invalid_grant", "error_description": format!("not valid: {body}") }))
    }
}
