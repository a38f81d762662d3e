//! The test server by hand: serves invented ticks until it is killed, and says where, and for whom.
//!
//! `tq-server MARKET.YAML VARIETY DAYS [--port N] [--play PER_SECOND] [--partial] [--shuffled] [--twice] [--texts]
//! [--after-moment] [--open-end]`. With `--play`, a half of the ticks is there at once, and the others come live. With `--dump
//! CONTRACT` it writes the contract's ticks as a tick file instead, for comparisons.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use ghtrader_market::MarketFile;
use ghtrader_provider::server::{Faults, Market, Play, Server, days};
use ghtrader_provider::{SourceTick, TickFile};

const USAGE: &str = "usage: tq-server MARKET.YAML VARIETY DAYS [--port N] [--play PER_SECOND] [--dump CONTRACT] [--partial] \
                     [--shuffled] [--twice] [--texts] [--after-moment] [--open-end]";

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |index: usize| words.get(index).map(String::as_str).context(USAGE);
    let flag = |name: &str| words.iter().any(|word| word == name);
    let value = |name: &str| words.iter().position(|word| word == name).and_then(|at| words.get(at + 1));
    let file = MarketFile::read(Path::new(word(0)?))?;
    let market = Market::invented(&file, word(1)?, &days(&file, word(2)?.parse()?)?)?;
    if let Some(contract) = value("--dump") {
        return dump(&market, contract);
    }
    let longest = market.series.values().map(Vec::len).max().unwrap_or(0);
    let play =
        value("--play").map(|rate| anyhow::Ok(Play { from: longest / 2, per_second: rate.parse()? })).transpose()?;
    let server = Server::start(market, play, value("--port").map_or(Ok(0), |port| port.parse())?)?;
    server.fault(|faults| {
        *faults = Faults {
            partial: flag("--partial"),
            shuffled: flag("--shuffled"),
            twice: flag("--twice"),
            texts: flag("--texts"),
            after_moment: flag("--after-moment"),
            open_end: flag("--open-end"),
            ..Faults::default()
        };
    });
    let (user, password) = server.account();
    print(&format!("{} {user} {password}", server.address()));
    for (contract, rows) in &server.market().series {
        print(&format!("{contract} {} ticks from id {}", rows.len(), server.market().first_id));
    }
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

fn dump(market: &Market, contract: &str) -> anyhow::Result<()> {
    let mut file = TickFile::begin(std::io::stdout().lock())?;
    let rows = market.series.get(contract).with_context(|| format!("there is no {contract}"))?;
    for (id, row) in (market.first_id..).zip(rows) {
        file.push(&SourceTick { contract: contract.into(), id, datetime_ns: row.datetime_ns, values: row.values })?;
    }
    Ok(file.flush()?)
}

#[expect(clippy::print_stdout, reason = "a program to be read by people and scripts")]
fn print(text: &str) {
    println!("{text}");
}
