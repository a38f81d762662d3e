//! A source as a flow names it.

use std::path::Path;

use ghtrader_kit::{InputFile, InputFolder};
use ghtrader_market::{Day, MarketFile, Regime};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Files, Follow, Guard, Guarded, Listing, LiveSink, Provider, Result, Sink, Synthetic, TqSdk, Window,
    credentials, tqsdk,
};

/// The sources that there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SourceName {
    /// The service of TqSdk; needs an account
    #[default]
    Tqsdk,
    /// A folder of tick files, the input `archive`
    Files,
    /// The invented market of market.yaml
    Synthetic,
}

impl SourceName {
    /// As in a flow.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tqsdk => "tqsdk",
            Self::Files => "files",
            Self::Synthetic => "synthetic",
        }
    }
}

/// Which source, and how patient we are with it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Source {
    /// Which one
    pub name: SourceName,
    /// The address of a server that has all of TqSdk's services, instead of the public ones
    pub server: Option<String>,
    /// Retries and circuit breaker
    pub guard: Guard,
}

/// What a kind reads that asks a source for history.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SourceInputs {
    /// market.yaml
    pub market: InputFile,
    /// The folder of tick files of the source `files`
    pub archive: Option<InputFolder>,
}

impl SourceInputs {
    /// Opens a source of a market.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open(&self, source: &Source, market: &MarketFile) -> Result<Guarded<Box<dyn Provider>>> {
        source.open(market, self.archive.as_ref().map(InputFolder::path))
    }
}

impl Source {
    /// Opens it; `archive` is the folder of the source `files`.
    ///
    /// # Errors
    /// Where there are no credentials, no folder or no invented market.
    pub fn open(&self, market: &MarketFile, archive: Option<&Path>) -> Result<Guarded<Box<dyn Provider>>> {
        let provider: Box<dyn Provider> = match self.name {
            SourceName::Tqsdk => {
                let addresses = tqsdk::Addresses::of(self.server.as_deref().filter(|server| !server.is_empty()))?;
                Box::new(TqSdk::new(addresses, credentials::find()?, tqsdk::Patience::default()))
            }
            SourceName::Files => {
                let what = "files: give the folder of tick files as the input `archive`".to_owned();
                let archive = archive.ok_or(Error::Unsupported { source_name: "files".to_owned(), what })?;
                Box::new(Files::new(archive, market.clone())?)
            }
            SourceName::Synthetic => Box::new(Synthetic::new(market.clone())?),
        };
        Ok(Guarded::new(provider, self.guard.clone()))
    }
}

impl<P: Provider + ?Sized> Provider for Box<P> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn tier(&self) -> Regime {
        (**self).tier()
    }

    fn history(&mut self, window: &Window, sink: Sink<'_>) -> Result<()> {
        (**self).history(window, sink)
    }

    fn live(&mut self, follow: &[Follow], sink: LiveSink<'_>) -> Result<()> {
        (**self).live(follow, sink)
    }

    fn closed_days(&mut self) -> Result<Vec<Day>> {
        (**self).closed_days()
    }

    fn contracts(&mut self, exchange: &str, product: &str) -> Result<Vec<Listing>> {
        (**self).contracts(exchange, product)
    }
}
