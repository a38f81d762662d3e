//! A project whose ticks come from the test server of TqSdk's protocol.

use std::path::Path;

use ghtrader_market::MarketFile;
use ghtrader_provider::server::{Market, Play, Server, days};

use crate::markets::project;
use crate::space::{Space, files_below};

/// What the server serves, invented; and, without its second line, the market of the project.
const MARKET: &str = "calendar: china-futures
levels: 5
synthetic: { seed: 7, first_day: 2024-01-29, days: 3, rows: 1500 }
varieties:
  cu:
    exchange: SHFE
    files: [FILES]
    cost: { fee_ratio: 0.00005 }
";

/// Where the flows say which source.
const SOURCE: &str = r#"name: "${{ params.source }}""#;

/// The market as the server has it.
pub(crate) fn invented() -> String {
    MARKET.replace("    files: [FILES]\n", "")
}

/// A server of so many days.
pub(crate) fn server(count: usize, play: Option<Play>) -> Server {
    let file = MarketFile::parse(Path::new("market.yaml"), &invented()).unwrap();
    let market = Market::invented(&file, "cu", &days(&file, count).unwrap()).unwrap();
    Server::start(market, play, 0).unwrap()
}

/// A project with the account of the server, and a market whose files match a pattern.
pub(crate) fn account(server: &Server, files: &str) -> Space {
    let space = project();
    let line = MARKET.lines().find(|line| line.starts_with("synthetic")).unwrap();
    space.write("market/market.yaml", &MARKET.replace(&format!("{line}\n"), "").replace("FILES", files));
    space.write("ghtrader.yaml", "machine: { tokens: { tqsdk: 2 } }\n");
    let (user, password) = server.account();
    space.write(".env", &format!("TQ_USER={user}\nTQ_PASSWORD={password}\n"));
    for flow in ["flows/fetch.yaml", "flows/record.yaml"] {
        change(&space, flow, SOURCE, &format!("{SOURCE}, server: \"{}\"", server.address()));
    }
    space
}

/// Has the flow `record` take another trading day for the present one, or yet another.
pub(crate) fn on(space: &Space, before: Option<&str>, day: &str) {
    let flow = "flows/record.yaml";
    match before {
        Some(before) => change(space, flow, before, day),
        None => {
            let files = "      files: \"${{ files(params.market ~ '/recorded/**') }}\"";
            change(space, flow, files, &format!("      day: {day}\n{files}"));
            change(space, flow, "      minutes:", &format!("      today: {day}\n      minutes:"));
        }
    }
}

/// Changes what a flow says where no parameter of it does: that is of no use to anybody but a test.
fn change(space: &Space, flow: &str, from: &str, to: &str) {
    let text = space.read(flow);
    assert!(text.contains(from), "{flow} has no {from}");
    space.write(flow, &text.replace(from, to));
}

/// Nothing that a run has left holds the password, but for the file that it was read from.
pub(crate) fn assert_nowhere(space: &Space, secret: &str) {
    let holds = |path: &Path| {
        let bytes = std::fs::read(path).unwrap();
        bytes.windows(secret.len()).any(|part| part == secret.as_bytes())
    };
    let found: Vec<_> = files_below(space.root()).into_iter().filter(|path| holds(path)).collect();
    assert_eq!(found, [space.path(".env")]);
}
