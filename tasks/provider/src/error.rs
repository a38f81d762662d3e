//! What can go wrong between a source and us, and whether trying again may help.

/// The result of this crate's functions.
pub type Result<T> = std::result::Result<T, Error>;

/// An error of a source; its text says what, where, and what to do. None holds a password or a token.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The connection could not be made or has ended.
    #[error("{address}: {what}")]
    Connection {
        /// Whom we spoke to.
        address: String,
        /// What happened.
        what: String,
    },
    /// No answer came in time.
    #[error("{address}: no answer within {seconds} s to {request}: is the name right, and the service up?")]
    Stalled {
        /// Whom we spoke to.
        address: String,
        /// What was asked.
        request: String,
        /// How long we waited.
        seconds: u64,
    },
    /// An answer that the protocol does not have.
    #[error("{address}: an answer that was not understood: {what}")]
    Answer {
        /// Whom we spoke to.
        address: String,
        /// What is wrong with it.
        what: String,
    },
    /// The source fails too often to be asked now.
    #[error("{source_name}: asked too often in vain, the circuit breaker is open for another {seconds:.0} s")]
    Open {
        /// The source.
        source_name: String,
        /// Until it is tried again.
        seconds: f64,
    },
    /// Who we say we are, or what we may see, is not accepted.
    #[error("{address}: {what}")]
    Refused {
        /// Whom we spoke to.
        address: String,
        /// What was refused, and what to do.
        what: String,
    },
    /// No user or password is to be found.
    #[error("{0}")]
    Credentials(String),
    /// What this source does not have.
    #[error("the source `{source_name}` has no {what}")]
    Unsupported {
        /// The source.
        source_name: String,
        /// What was asked of it.
        what: String,
    },
    /// Files or specifications that cannot be read; or whoever takes the ticks cannot go on.
    #[error(transparent)]
    Other(#[from] anyhow::Error),
}

impl Error {
    /// Whether trying again may help.
    pub fn is_transient(&self) -> bool {
        matches!(self, Self::Connection { .. } | Self::Stalled { .. } | Self::Answer { .. } | Self::Open { .. })
    }
}

impl From<ghtrader_market::Error> for Error {
    fn from(error: ghtrader_market::Error) -> Self {
        Self::Other(error.into())
    }
}
