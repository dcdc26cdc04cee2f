//! The *when* that every fault can carry.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, Millis};
use crate::{Invalid, Time};

/// When a fault acts, and on which connections. All fields are optional;
/// those that are given must all hold.
///
/// Times count from the moment the toxic was added, connections from the first
/// one opened after that moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct When {
    /// Acts only after this long (ms).
    #[serde(skip_serializing_if = "Millis::is_zero")]
    pub start_after: Millis,
    /// Acts for this long (ms) from its start, then never again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Millis>,
    /// Turns on and off with this period (ms), beginning with on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period: Option<Millis>,
    /// Share of each period in which it is on, 0.5 unless given.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duty: Option<f64>,
    /// Only the first N connections opened after the toxic was added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<u64>,
    /// Only every Nth connection opened after the toxic was added.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub every: Option<u64>,
    /// Acts on a connection only after that many bytes passed in the direction.
    #[serde(skip_serializing_if = "is_none_at_all")]
    pub after_bytes: ByteSize,
    /// Only connections from these client addresses (IP or CIDR).
    #[schemars(with = "Vec<String>")]
    #[serde(skip_serializing_if = "Vec::is_empty", with = "networks")]
    pub clients: Vec<IpNet>,
    /// The server removes the toxic after this long (ms), whatever becomes of
    /// whoever added it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_after: Option<Millis>,
}

fn is_none_at_all(bytes: &ByteSize) -> bool {
    bytes.0 == 0
}

impl When {
    /// Every field name, for suggestions.
    pub const FIELDS: [&'static str; 9] = [
        "start_after",
        "duration",
        "period",
        "duty",
        "first",
        "every",
        "after_bytes",
        "clients",
        "expires_after",
    ];

    /// Refuses what types alone allow.
    ///
    /// # Errors
    /// The first field that cannot be what it is.
    pub fn validate(&self) -> Result<(), Invalid> {
        if self.period.is_some_and(|period| period.get() < Duration::from_millis(1)) {
            return Err(Invalid::new("period", "must be at least 1 ms"));
        }
        if let Some(duty) = self.duty {
            if self.period.is_none() {
                return Err(Invalid::new("duty", "needs a `period`"));
            }
            if !(0.0..=1.0).contains(&duty) {
                return Err(Invalid::new("duty", "must lie between 0 and 1"));
            }
        }
        if self.every == Some(0) {
            return Err(Invalid::new("every", "must be at least 1"));
        }
        if self.expires_after.is_some_and(|span| span.is_zero()) {
            return Err(Invalid::new("expires_after", "must be longer than 0"));
        }
        Ok(())
    }

    /// Whether the connection is among those meant. `ordinal` counts from 1 the
    /// connections opened since the toxic was added; `None` was open before.
    #[must_use]
    pub fn selects(&self, ordinal: Option<u64>, client: Option<IpAddr>) -> bool {
        let in_first = self.first.is_none_or(|first| ordinal.is_some_and(|n| n <= first));
        let in_every = self.every.is_none_or(|every| ordinal.is_some_and(|n| n % every == 0));
        let in_clients = self.clients.is_empty()
            || client.is_some_and(|ip| self.clients.iter().any(|net| net.contains(&ip)));
        in_first && in_every && in_clients
    }

    /// Whether the fault's windows are open at `now`, and when that changes.
    #[must_use]
    pub fn window(&self, added: Time, now: Time) -> Window {
        let start = added + self.start_after.get();
        if now < start {
            return Window { open: false, changes: Some(start) };
        }
        let end = self.duration.map(|duration| start + duration.get());
        if end.is_some_and(|end| now >= end) {
            return Window { open: false, changes: None };
        }
        let Some(period) = self.period.map(|period| period.get().as_nanos() as u64) else {
            return Window { open: true, changes: end };
        };
        let on = (period as f64 * self.duty.unwrap_or(0.5)).round() as u64;
        let since = now.as_nanos() - start.as_nanos();
        let phase = since % period;
        let open = phase < on;
        // A duty of 0 or 1 never changes within the period.
        let flip = match (open, on) {
            (true, on) if on == period => None,
            (true, on) => Some(now.as_nanos() - phase + on),
            (false, 0) => None,
            (false, _) => Some(now.as_nanos() - phase + period),
        };
        let flip = flip.map(Time::from_nanos);
        Window { open, changes: flip.into_iter().chain(end).min() }
    }
}

/// Whether a fault acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// It acts now.
    pub open: bool,
    /// When that changes next; `None` is never.
    pub changes: Option<Time>,
}

/// A single address is a network of one.
mod networks {
    use std::net::IpAddr;

    use ipnet::IpNet;
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::{Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(nets: &[IpNet], serializer: S) -> Result<S::Ok, S::Error> {
        nets.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<IpNet>, D::Error> {
        let texts = Vec::<String>::deserialize(from)?;
        let parse = |text: &String| {
            text.parse::<IpNet>().or_else(|_| text.parse::<IpAddr>().map(IpNet::from)).map_err(|_| {
                D::Error::custom(format!("`{text}` is neither an IP address nor a CIDR network"))
            })
        };
        texts.iter().map(parse).collect()
    }
}
