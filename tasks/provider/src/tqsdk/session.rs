//! One connection of the DIFF protocol: requests out, patches in, the tree between.
//!
//! The service answers a `peek_message` with `rtn_data` as soon as it has patches, and then waits for the next
//! `peek_message`; so there is at most one of these on its way. A connection that is silent is asked with a ping; one that
//! does not even answer that has ended, whatever the system thinks.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tungstenite::client::IntoClientRequest as _;
use tungstenite::http::{HeaderValue, StatusCode};
use tungstenite::protocol::WebSocketConfig;
use tungstenite::stream::MaybeTlsStream;
use tungstenite::{Connector, Error as WsError, HandshakeError, Message, WebSocket};

use super::{tree, web};
use crate::{Error, Event, LiveSink, Result};

/// How long a read waits before it lets the caller look at the clock.
const TICK: Duration = Duration::from_millis(200);
/// The largest message that is taken: a page of 2,000 ticks has about a megabyte.
const LARGEST: usize = 256 << 20;

/// How patient a connection is.
#[derive(Clone, Debug)]
pub struct Patience {
    /// For a connection, and for an answer to a request.
    pub answer: Duration,
    /// With a silent connection, before it is asked; it is given up after three times that.
    pub silence: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self { answer: Duration::from_secs(30), silence: Duration::from_secs(15) }
    }
}

/// A connection and what it has told.
pub(super) struct Session {
    address: String,
    socket: WebSocket<MaybeTlsStream<TcpStream>>,
    /// The data, merged from all patches.
    pub(super) tree: Value,
    patience: Patience,
    peeking: bool,
    heard: Instant,
    asked: Instant,
}

impl Session {
    /// Connects.
    ///
    /// # Errors
    /// [`Error::Refused`] where the token is not accepted.
    pub(super) fn connect(address: &str, token: &str, patience: &Patience) -> Result<Self> {
        let failed = |what: String| Error::Connection { address: address.to_owned(), what };
        if !web::is_private(address) {
            let what = "market data are taken from here or over TLS (wss://) only: the token is a secret".to_owned();
            return Err(Error::Refused { address: address.to_owned(), what });
        }
        let mut request = address.into_client_request().map_err(|error| failed(error.to_string()))?;
        let bearer = HeaderValue::try_from(format!("Bearer {token}")).map_err(|_| failed("no token".to_owned()))?;
        request.headers_mut().insert("authorization", bearer);
        request.headers_mut().insert("user-agent", HeaderValue::from_static(super::AGENT));
        let (host, port) = (request.uri().host().unwrap_or_default().to_owned(), request.uri().port_u16());
        let secure = address.starts_with("wss://");
        let port = port.unwrap_or(if secure { 443 } else { 80 });
        let stream = dial(&host, port, patience.answer).map_err(|error| failed(error.to_string()))?;
        let connector = if secure { Connector::Rustls(web::tls()?) } else { Connector::Plain };
        let config = WebSocketConfig::default().max_message_size(Some(LARGEST)).max_frame_size(Some(LARGEST));
        let (socket, _) = tungstenite::client_tls_with_config(request, stream, Some(config), Some(connector))
            .map_err(|error| refused(address, error))?;
        set_timeout(&socket, TICK).map_err(|error| failed(error.to_string()))?;
        let now = Instant::now();
        let tree = Value::Object(serde_json::Map::new());
        Ok(Self {
            address: address.to_owned(),
            socket,
            tree,
            patience: patience.clone(),
            peeking: false,
            heard: now,
            asked: now,
        })
    }

    /// Sends a request.
    ///
    /// # Errors
    /// Where the connection has ended.
    pub(super) fn send(&mut self, request: &Value) -> Result<()> {
        self.socket.send(Message::text(request.to_string())).map_err(|error| self.ended(&error))
    }

    /// Takes one message, or none where none came in [`TICK`]: whether the tree changed.
    ///
    /// # Errors
    /// Where the connection has ended, or says what the protocol does not have.
    pub(super) fn pump(&mut self) -> Result<bool> {
        if !self.peeking {
            self.send(&json!({ "aid": "peek_message" }))?;
            self.peeking = true;
        }
        match self.socket.read() {
            Ok(Message::Text(text)) => {
                self.heard = Instant::now();
                self.take(&text)
            }
            Ok(Message::Close(_)) => Err(self.failure("the service closed the connection")),
            Ok(_) => {
                self.heard = Instant::now();
                Ok(false)
            }
            Err(WsError::Io(error)) if is_timeout(&error) => self.listen().map(|()| false),
            Err(error) => Err(self.ended(&error)),
        }
    }

    /// Pumps until `done` has something, or the sink, which hears of the waiting, breaks; `request` says in an error what
    /// was asked.
    ///
    /// # Errors
    /// As [`Session::pump`]; [`Error::Stalled`] where nothing has changed for too long.
    pub(super) fn until<T>(
        &mut self,
        request: &str,
        sink: LiveSink<'_>,
        mut done: impl FnMut(&Value) -> Option<T>,
    ) -> Result<ControlFlow<(), T>> {
        let mut changed = Instant::now();
        loop {
            if let Some(found) = done(&self.tree) {
                return Ok(ControlFlow::Continue(found));
            }
            if sink(Event::Waiting)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            if self.pump()? {
                changed = Instant::now();
            } else if changed.elapsed() > self.patience.answer {
                let seconds = self.patience.answer.as_secs();
                return Err(Error::Stalled { address: self.address.clone(), request: request.to_owned(), seconds });
            }
        }
    }

    /// An answer that makes no sense.
    pub(super) fn nonsense(&self, what: String) -> Error {
        Error::Answer { address: self.address.clone(), what }
    }

    /// Says goodbye, if somebody still listens.
    pub(super) fn close(mut self) {
        let _ = self.socket.close(None);
        let _ = self.socket.flush();
    }

    fn take(&mut self, text: &str) -> Result<bool> {
        let mut message = tree::parse(text).map_err(|error| self.nonsense(format!("no JSON: {error}")))?;
        match message.get("aid").and_then(Value::as_str) {
            Some("rtn_data") => self.peeking = false,
            // What later versions of the service may say beside it.
            Some(_) => return Ok(false),
            None => return Err(self.nonsense("a message without `aid`".to_owned())),
        }
        let Some(Value::Array(patches)) = message.get_mut("data").map(Value::take) else {
            return Err(self.nonsense("`rtn_data` without a list `data`".to_owned()));
        };
        let changed = !patches.is_empty();
        patches.into_iter().for_each(|patch| tree::merge(&mut self.tree, patch));
        if !self.tree.is_object() {
            return Err(self.nonsense("a patch that is no object".to_owned()));
        }
        Ok(changed)
    }

    /// Nothing came: asks whether somebody is there.
    fn listen(&mut self) -> Result<()> {
        let silence = self.patience.silence;
        if self.heard.elapsed() > silence * 3 {
            return Err(
                self.failure(&format!("silent for {} s, not even an answer to a ping", (silence * 3).as_secs()))
            );
        }
        if self.heard.elapsed() > silence && self.asked.elapsed() > silence {
            self.asked = Instant::now();
            self.socket.send(Message::Ping(Vec::new().into())).map_err(|error| self.ended(&error))?;
        }
        Ok(())
    }

    fn failure(&self, what: &str) -> Error {
        Error::Connection { address: self.address.clone(), what: what.to_owned() }
    }

    fn ended(&self, error: &WsError) -> Error {
        self.failure(&format!("the connection broke: {error}"))
    }
}

fn dial(host: &str, port: u16, patience: Duration) -> std::io::Result<TcpStream> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut last = std::io::Error::new(std::io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(stream) => {
                // For the handshake; later reads wait a moment only.
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn set_timeout(socket: &WebSocket<MaybeTlsStream<TcpStream>>, timeout: Duration) -> std::io::Result<()> {
    match socket.get_ref() {
        MaybeTlsStream::Plain(stream) => stream.set_read_timeout(Some(timeout)),
        MaybeTlsStream::Rustls(stream) => stream.sock.set_read_timeout(Some(timeout)),
        _ => Ok(()),
    }
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}

fn refused<R: tungstenite::handshake::HandshakeRole>(address: &str, error: HandshakeError<R>) -> Error {
    let address = address.to_owned();
    match error {
        HandshakeError::Failure(WsError::Http(answer))
            if matches!(answer.status(), StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) =>
        {
            let what =
                format!("the market data were refused ({}): the account may lack the right to them", answer.status());
            Error::Refused { address, what }
        }
        HandshakeError::Failure(error) => Error::Connection { address, what: error.to_string() },
        HandshakeError::Interrupted(_) => Error::Connection { address, what: "no answer to the handshake".to_owned() },
    }
}
