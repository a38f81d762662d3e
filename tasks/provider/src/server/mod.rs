//! A server on this machine that speaks the protocol as the public client does, for tests: login, names, contracts,
//! closed days, and market data over WebSocket, all at one address; and faults to order.
//!
//! It is no model of the real service beyond what the public client shows of it. That it says what the public client
//! expects was checked by driving that client against it (`tests/oracle/`).

mod connection;
mod http;
mod market;

use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

pub use market::{Market, Row, days};

/// What goes wrong, on order.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// So many connections end after so many rows of ticks each.
    pub drops: u32,
    /// So many connections fall silent after so many rows, and answer not even a ping.
    pub stalls: u32,
    /// Rows before a connection ends, in the middle of a message, or falls silent.
    pub drop_after: usize,
    /// So many WebSocket handshakes are answered with HTTP 503.
    pub unavailable: u32,
    /// So many WebSocket handshakes are answered with HTTP 401, as where a token has expired.
    pub expired: u32,
    /// Every answer waits.
    pub delay: Duration,
    /// Rows come in two patches, some of the values first.
    pub partial: bool,
    /// Patches of rows come in another order than that of their ids.
    pub shuffled: bool,
    /// Patches of rows come twice.
    pub twice: bool,
    /// Missing values are texts, `"NaN"` and `"-"`, and not left out.
    pub texts: bool,
    /// A window begins with the first tick after the moment asked for, not with the last before it.
    pub after_moment: bool,
    /// `right_id` is the window's end even where the series ends before.
    pub open_end: bool,
    /// Connections are taken, and nothing is ever said.
    pub silent: bool,
}

/// How ticks become visible.
#[derive(Clone, Debug)]
pub struct Play {
    /// Ticks of every series that are there from the begin.
    pub from: usize,
    /// So many more in each second.
    pub per_second: f64,
}

/// What the server has been asked.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Logins that were accepted.
    pub logins: u32,
    /// WebSocket connections.
    pub connections: u32,
    /// Requests for a window of ticks.
    pub charts: u32,
    /// Rows of ticks sent.
    pub rows: u64,
    /// WebSocket connections now.
    pub open: u32,
    /// The most of them at once.
    pub most: u32,
}

struct Shared {
    market: Market,
    user: String,
    password: String,
    play: Option<Play>,
    faults: Mutex<Faults>,
    seen: Mutex<Seen>,
    begun: Instant,
    port: u16,
    stop: AtomicBool,
}

impl Shared {
    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ticks of a series of this length that are visible now.
    fn visible(&self, length: usize) -> usize {
        self.play.as_ref().map_or(length, |play| {
            let more = self.begun.elapsed().as_secs_f64() * play.per_second;
            length.min(play.from.saturating_add(more as usize))
        })
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// A running server; it ends when it is dropped.
pub struct Server {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    open: Arc<Mutex<Vec<TcpStream>>>,
}

impl Server {
    /// Starts one on a free port, or on this one.
    ///
    /// # Errors
    /// Where there is no such port to be had.
    pub fn start(market: Market, play: Option<Play>, port: u16) -> std::io::Result<Self> {
        let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], port)))?;
        let port = listener.local_addr()?.port();
        listener.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            market,
            user: "tester".to_owned(),
            password: "open-sesame-7731".to_owned(),
            play,
            faults: Mutex::default(),
            seen: Mutex::default(),
            begun: Instant::now(),
            port,
            stop: AtomicBool::new(false),
        });
        let open = Arc::new(Mutex::new(Vec::new()));
        let (inside, streams) = (Arc::clone(&shared), Arc::clone(&open));
        let thread = std::thread::spawn(move || accept(&listener, &inside, &streams));
        Ok(Self { shared, thread: Some(thread), open })
    }

    /// `http://127.0.0.1:PORT`.
    pub fn address(&self) -> String {
        format!("http://127.0.0.1:{}", self.shared.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.shared.port
    }

    /// The user and the password that it knows.
    pub fn account(&self) -> (&str, &str) {
        (&self.shared.user, &self.shared.password)
    }

    /// Orders faults.
    pub fn fault(&self, order: impl FnOnce(&mut Faults)) {
        order(&mut self.shared.faults());
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Seen {
        self.shared.seen().clone()
    }

    /// What it serves.
    pub fn market(&self) -> &Market {
        &self.shared.market
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        for stream in self.open.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn accept(listener: &TcpListener, shared: &Arc<Shared>, open: &Mutex<Vec<TcpStream>>) {
    let mut threads = Vec::new();
    while !shared.stopped() {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(2));
            continue;
        };
        let _ = stream.set_nonblocking(false);
        if let Ok(copy) = stream.try_clone() {
            open.lock().unwrap_or_else(PoisonError::into_inner).push(copy);
        }
        let shared = Arc::clone(shared);
        // What goes wrong with one client ends its connection and nothing else.
        threads.push(std::thread::spawn(move || drop(serve(&stream, &shared))));
    }
    threads.into_iter().for_each(|thread| drop(thread.join()));
}

fn serve(stream: &TcpStream, shared: &Shared) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    let head = http::peek(stream)?;
    if shared.faults().silent {
        while !shared.stopped() {
            std::thread::sleep(Duration::from_millis(5));
        }
        return Ok(());
    }
    if !head.to_ascii_lowercase().contains("upgrade: websocket") {
        return http::answer(stream, shared);
    }
    let mut failed = None;
    {
        let mut faults = shared.faults();
        if faults.unavailable > 0 {
            faults.unavailable -= 1;
            failed = Some("503 Service Unavailable");
        } else if faults.expired > 0 {
            faults.expired -= 1;
            failed = Some("401 Unauthorized");
        }
    }
    if !http::has_token(&head) {
        failed = Some("401 Unauthorized");
    }
    match failed {
        Some(status) => http::refuse(stream, status),
        None => {
            {
                let mut seen = shared.seen();
                seen.connections += 1;
                seen.open += 1;
                seen.most = seen.most.max(seen.open);
            }
            let served = connection::serve(stream, shared);
            shared.seen().open -= 1;
            served
        }
    }
}
