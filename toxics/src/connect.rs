//! Faults of the connect phase: before a connection has two ends.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{Invalid, Seed, Time};

/// A fault of accepting and dialling.
///
/// As with [`crate::Toxic`] the implementing type is the settings, its doc
/// comment the documentation.
pub trait ConnectToxic: Serialize + DeserializeOwned + JsonSchema + Default + Send + Sync + 'static {
    /// The `type` of the toxic on the wire.
    const KIND: &'static str;

    /// Refuses settings that types alone allow.
    ///
    /// # Errors
    /// The first field that cannot be what it is.
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// Changes what is to become of a connection that was just accepted.
    fn on_connect(&self, cx: &ConnectCx<'_>, plan: &mut ConnectPlan);
}

/// What a connect-phase fault is told.
pub struct ConnectCx<'a> {
    /// Connections of the proxy that are open, this one not counted.
    pub live_connections: usize,
    /// The seed of this toxic on this connection.
    pub seed: &'a Seed,
}

/// What is to become of an accepted connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectPlan {
    /// Reset at once.
    pub refuse: bool,
    /// How long to leave the client alone before anything else happens.
    pub accept_delay: Duration,
    /// How the upstream is reached.
    pub dial: Dial,
    /// When a fault's window opens or closes next: a connection that still waits
    /// then is judged anew.
    pub changes: Option<Time>,
}

impl Default for ConnectPlan {
    fn default() -> Self {
        Self { refuse: false, accept_delay: Duration::ZERO, dial: Dial::After(Duration::ZERO), changes: None }
    }
}

/// How the upstream is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Dial {
    /// After a pause.
    After(Duration),
    /// Not at all, failing after that time as a dial that timed out.
    Swallow(Duration),
    /// Not at all: what the client sends is swallowed, nothing ever comes back.
    Nothing,
}
