//! What travels through a pipeline.

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// One step of a stream: some bytes, or its end.
///
/// Closing is data too: a slow close is a delayed [`End::Fin`], a reset is an
/// [`End::Reset`] that a toxic put in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Bytes, never none.
    Data(Bytes),
    /// Nothing follows.
    End(End),
}

impl Frame {
    /// Bytes in the frame; an end has none.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::End(_) => 0,
        }
    }

    /// Whether the frame carries no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// This direction is over, the other goes on (TCP half-close).
    Fin,
    /// Both directions are closed in good order: FIN to both peers.
    Close,
    /// Both peers get an RST.
    Reset,
}

/// Which way bytes flow.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From the client to the server.
    Upstream,
    /// From the server to the client.
    #[default]
    Downstream,
}

impl Direction {
    /// Both, in the order in which listings give them.
    pub const BOTH: [Self; 2] = [Self::Upstream, Self::Downstream];

    /// The name used on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upstream => "upstream",
            Self::Downstream => "downstream",
        }
    }
}

impl std::fmt::Display for Direction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
