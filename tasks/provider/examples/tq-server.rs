//! The test server by hand: `tq-server MARKET.YAML VARIETY DAYS [PER_SECOND [PORT]]` serves invented ticks until it is killed.
//!
//! With PER_SECOND, two thirds of them are there at once, and the others come live.

use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use ghtrader_market::MarketFile;
use ghtrader_provider::server::{Market, Play, Server, days};

fn main() -> anyhow::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let word = |index: usize| words.get(index).map(String::as_str);
    let usage = "usage: tq-server MARKET.YAML VARIETY DAYS [PER_SECOND [PORT]]";
    let market = MarketFile::read(Path::new(word(0).context(usage)?))?;
    let days = days(&market, word(2).context(usage)?.parse()?)?;
    let invented = Market::invented(&market, word(1).context(usage)?, &days)?;
    let longest = invented.series.values().map(Vec::len).max().unwrap_or(0);
    let play = word(3).map(|rate| anyhow::Ok(Play { from: longest * 2 / 3, per_second: rate.parse()? })).transpose()?;
    let server = Server::start(invented, play, word(4).unwrap_or("0").parse()?)?;
    let (user, password) = server.account();
    print(&format!("{} {user} {password}", server.address()));
    for (contract, rows) in &server.market().series {
        print(&format!("{contract} {} ticks from id {}", rows.len(), server.market().first_id));
    }
    loop {
        std::thread::sleep(Duration::from_secs(3600));
    }
}

#[expect(clippy::print_stdout, reason = "a program to be read by people and scripts")]
fn print(text: &str) {
    println!("{text}");
}
