//! A small invented market, the server that serves it, and a client of it.

use std::path::Path;
use std::time::Duration;

use ghtrader_market::{Day, MarketFile};
use ghtrader_provider::credentials::Credentials;
use ghtrader_provider::server::{Market, Play, Row, Server, days};
use ghtrader_provider::tqsdk::{Addresses, Patience};
use ghtrader_provider::{Guard, Guarded, Provider, SourceTick, TqSdk, Window};

pub(crate) const CU: &str = "SHFE.cu2403";

pub(crate) fn market_file() -> MarketFile {
    let text = "
calendar: china-futures
levels: 5
synthetic: { seed: 7, first_day: 2024-01-29, days: 3, rows: 3000 }
varieties:
  cu:
    exchange: SHFE
    cost: { fee_ratio: 0.00005 }
";
    MarketFile::parse(Path::new("market.yaml"), text).unwrap()
}

pub(crate) fn market(count: usize) -> Market {
    let file = market_file();
    Market::invented(&file, "cu", &days(&file, count).unwrap()).unwrap()
}

pub(crate) fn server() -> Server {
    Server::start(market(3), None, 0).unwrap()
}

pub(crate) fn playing(from: usize, per_second: f64) -> Server {
    Server::start(market(1), Some(Play { from, per_second }), 0).unwrap()
}

pub(crate) fn credentials(server: &Server) -> Credentials {
    let (user, password) = server.account();
    Credentials { user: user.to_owned(), password: password.to_owned(), client: None }
}

pub(crate) fn patience() -> Patience {
    Patience { answer: Duration::from_secs(2), silence: Duration::from_millis(500) }
}

pub(crate) fn client(server: &Server) -> TqSdk {
    TqSdk::new(Addresses::of(Some(&server.address())).unwrap(), credentials(server), patience())
}

/// Retries at once.
pub(crate) fn quick() -> Guard {
    Guard { attempts: 3, backoff_s: 0.01, backoff_max_s: 0.02, breaker_failures: 100, breaker_pause_s: 0.05 }
}

pub(crate) fn guarded(server: &Server) -> Guarded<TqSdk> {
    Guarded::new(client(server), quick())
}

pub(crate) fn day(text: &str) -> Day {
    text.parse().unwrap()
}

pub(crate) fn window(contract: &str, text: &str) -> Window {
    Window::of_day(contract, day(text), &market_file().clock()).unwrap()
}

pub(crate) fn history(provider: &mut impl Provider, window: &Window) -> ghtrader_provider::Result<Vec<SourceTick>> {
    let mut ticks = Vec::new();
    provider.history(window, &mut |tick| {
        ticks.push(tick);
        Ok(())
    })?;
    Ok(ticks)
}

/// The ticks are these, number by number and bit by bit.
pub(crate) fn assert_same(ticks: &[SourceTick], rows: &[(i64, Row)]) {
    let bits = |values: &[f64]| -> Vec<Option<u64>> {
        values.iter().map(|value| (!value.is_nan()).then(|| value.to_bits())).collect()
    };
    let ids: Vec<i64> = ticks.iter().map(|tick| tick.id).collect();
    let expected: Vec<i64> = rows.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, expected);
    for (tick, (id, row)) in ticks.iter().zip(rows) {
        assert_eq!((tick.datetime_ns, bits(&tick.values)), (row.datetime_ns, bits(&row.values)), "tick {id}");
    }
}
