//! What became of one request of the load: the grain that every number of a run is made of.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// One request that the schedule called for, and what became of it.
///
/// Times count from the start of the load on a monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// When the schedule wanted it sent. Latency counts from here, so that a request that had to
    /// wait for a stalled server tells of the stall (no coordinated omission).
    pub intended: Duration,
    /// When it was sent: its first byte handed to the system. None: it never was.
    pub sent: Option<Duration>,
    /// When its answer was whole, or the moment at which it was given up.
    pub done: Duration,
    /// Which endpoint of the load: an index into the load's list.
    pub endpoint: u16,
    /// Which tenant: an index into the load's tenants, 0 if it has none.
    pub tenant: u16,
    /// How it ended.
    pub fate: Fate,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// Answered as its endpoint expects.
    Ok,
    /// Answered otherwise: an unexpected status, a gRPC status, an error of Redis or SQL.
    Refused,
    /// No connection: refused, unreachable, no name, a failed handshake of TLS.
    Connect,
    /// No whole answer within the time limit.
    Timeout,
    /// The connection ended or was reset before the answer was whole.
    Reset,
    /// What came was no valid answer.
    Protocol,
    /// Not sent: no connection of the pool came free in time. An error of the load's client, as it
    /// would be one of a real client, and reported apart from what the system answered.
    Dropped,
    /// Still under way when the load was ended before its time: what would have become of it nobody
    /// knows. No error, and in no rate or latency.
    Cut,
}

impl Fate {
    /// Every fate, in the order of their declaration.
    pub const ALL: [Self; 8] = [
        Self::Ok,
        Self::Refused,
        Self::Connect,
        Self::Timeout,
        Self::Reset,
        Self::Protocol,
        Self::Dropped,
        Self::Cut,
    ];

    /// Its name, as files and tables have it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Refused => "refused",
            Self::Connect => "connect",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::Protocol => "protocol",
            Self::Dropped => "dropped",
            Self::Cut => "cut",
        }
    }
}

impl Outcome {
    /// From the intended start to the end.
    #[must_use]
    pub fn latency(&self) -> Duration {
        self.done.saturating_sub(self.intended)
    }

    /// How late the load itself was: from the intended start to the first byte sent.
    #[must_use]
    pub fn lateness(&self) -> Option<Duration> {
        self.sent.map(|sent| sent.saturating_sub(self.intended))
    }
}
