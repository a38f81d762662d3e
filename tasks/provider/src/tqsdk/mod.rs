//! TqSdk: ticks of the Chinese futures exchanges by the protocol DIFF over WebSocket.
//!
//! A client logs in over HTTPS for a token, asks where the market data are, and opens a WebSocket with the token. Both
//! sides keep a tree of data. The client says what it wants to see (`set_chart`: a window of a series), the server sends
//! merge patches until that is in the client's tree. The README has the messages.

mod chart;
mod session;
mod tick;
pub mod tree;
mod web;

use ghtrader_market::{Contract, Day, Regime};
use serde_json::Value;

use crate::credentials::Credentials;
use crate::{Error, Follow, Listing, LiveSink, Provider, Result, Sink, Window};

pub use session::Patience;
pub use web::Addresses;

/// How we introduce ourselves.
const AGENT: &str = concat!("ghtrader/", env!("CARGO_PKG_VERSION"));

/// The provider.
pub struct TqSdk {
    addresses: Addresses,
    credentials: Credentials,
    patience: Patience,
    token: Option<String>,
}

impl TqSdk {
    /// Asks nobody yet.
    pub fn new(addresses: Addresses, credentials: Credentials, patience: Patience) -> Self {
        Self { addresses, credentials, patience, token: None }
    }

    /// With a token, logged in if need be; what is refused may be so because the token has expired, so that once more
    /// with a new one.
    fn with_token<T>(&mut self, mut act: impl FnMut(&Self, &str) -> Result<T>) -> Result<T> {
        if let Some(token) = self.token.take() {
            match act(self, &token) {
                Err(Error::Refused { .. }) => {}
                result => {
                    self.token = Some(token);
                    return result;
                }
            }
        }
        let token = self.web(&self.addresses.login)?.token(&self.addresses.login, &self.credentials)?;
        let result = act(self, &token);
        self.token = Some(token);
        result
    }

    fn web(&self, address: &str) -> Result<web::Web> {
        web::Web::new(self.patience.answer, address.starts_with("https:"))
    }

    fn connect(&mut self) -> Result<session::Session> {
        self.with_token(|this, token| {
            let names = format!("{}?stock=false&backtest=false", this.addresses.names);
            let answer = this.web(&names)?.get(&names, token)?;
            let Some(address) = answer.get("mdurl").and_then(Value::as_str) else {
                return Err(Error::Answer { address: names, what: "it does not say `mdurl`".to_owned() });
            };
            session::Session::connect(address, token, &this.patience)
        })
    }
}

impl Provider for TqSdk {
    fn name(&self) -> &'static str {
        "tqsdk"
    }

    fn tier(&self) -> Regime {
        Regime::Historical
    }

    fn history(&mut self, window: &Window, sink: Sink<'_>) -> Result<()> {
        let mut session = self.connect()?;
        chart::history(&mut session, window, sink)?;
        session.close();
        Ok(())
    }

    fn live(&mut self, follow: &[Follow], sink: LiveSink<'_>) -> Result<()> {
        let mut session = self.connect()?;
        chart::live(&mut session, follow, sink)?;
        session.close();
        Ok(())
    }

    fn closed_days(&mut self) -> Result<Vec<Day>> {
        let address = self.addresses.closed_days.clone();
        let answer = self.web(&address)?.get(&address, "")?;
        serde_json::from_value(answer)
            .map_err(|error| Error::Answer { address, what: format!("no list of days: {error}") })
    }

    fn contracts(&mut self, exchange: &str, product: &str) -> Result<Vec<Listing>> {
        let address = self.addresses.contracts.clone();
        let answer = self.with_token(|this, token| this.web(&address)?.get(&address, token))?;
        let Value::Object(all) = answer else {
            return Err(Error::Answer { address, what: "no object of contracts".to_owned() });
        };
        let ours = |name: &str| {
            Contract::parse(name).is_ok_and(|contract| contract.exchange == exchange && contract.product == product)
        };
        let mut listings: Vec<Listing> = all
            .into_iter()
            .filter(|(name, facts)| ours(name) && facts.get("class").is_none_or(|class| class == "FUTURE"))
            .map(|(contract, facts)| Listing { contract, last_day: last_day(&facts) })
            .collect();
        listings.sort_by(|one, other| one.contract.cmp(&other.contract));
        Ok(listings)
    }
}

/// The local date (UTC+8) of `expire_datetime`, seconds since 1970.
fn last_day(facts: &Value) -> Option<Day> {
    let seconds = facts.get("expire_datetime")?.as_f64()?;
    // A number of seconds within the years that dates have fits.
    (0.0..1e11).contains(&seconds).then(|| Day(((seconds + 8.0 * 3600.0) / 86_400.0).floor() as i32))
}
