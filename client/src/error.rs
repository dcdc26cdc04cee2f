//! What can go wrong between a program and Sabot's API.

use std::time::Duration;

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL of the API cannot be used.
    #[error("`{url}` is no URL of Sabot's API: {reason}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// What is to be shown cannot be a token.
    #[error("the token holds a character that no token has: is it the token alone?")]
    Token,
    /// What is to be trusted cannot be read.
    #[error("failed to read the CA {file}: {reason}")]
    Trust {
        /// The file.
        file: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The server cannot prove that it is the one that was named, or speaks no TLS.
    #[error("failed to reach Sabot at {url} under TLS: {reason}")]
    Untrusted {
        /// The API's URL.
        url: String,
        /// What the handshake ended with.
        reason: String,
    },
    /// A name or an id is empty: what is asked for would be something else.
    #[error("failed to {call}: a name or an id that was given is empty")]
    Nameless {
        /// Method and path.
        call: String,
    },
    /// The connection of a stream broke.
    #[error("failed to go on with {call}: the connection was lost ({reason})")]
    Lost {
        /// Method and path.
        call: String,
        /// What it ended with.
        reason: String,
    },
    /// Nobody answers there.
    #[error("failed to reach Sabot at {url}: {reason}; is it running? start it with `sabot serve`")]
    Unreachable {
        /// The API's URL.
        url: String,
        /// What the connection attempt ended with.
        reason: String,
    },
    /// No answer in time.
    #[error("failed to {call}: no answer within {} s", after.as_secs_f64())]
    Timeout {
        /// Method and path.
        call: String,
        /// The limit that was met.
        after: Duration,
    },
    /// Sabot refused.
    #[error("{message}")]
    Api {
        /// The HTTP status.
        status: u16,
        /// Sabot's own words.
        message: String,
        /// The field that was refused, such as `attributes.latncy`.
        field: Option<String>,
    },
    /// The connection broke, or what came is not what Sabot sends.
    #[error("failed to {call}: {reason}")]
    Answer {
        /// Method and path.
        call: String,
        /// What was wrong with the answer.
        reason: String,
    },
    /// What was to be sent is not JSON (a map with keys that are no strings, say).
    #[error("failed to write the request: {0}")]
    Request(#[source] serde_json::Error),
}

impl Error {
    /// The HTTP status of a refusal.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Api { status, .. } => Some(*status),
            _ => None,
        }
    }
}
