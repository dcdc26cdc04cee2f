use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Millis;
use crate::{ConnectCx, ConnectPlan, ConnectToxic, Dial};

/// Lets the dial of the upstream time out, as if its SYN were swallowed.
///
/// No packet is sent to the upstream. The client stays connected for
/// `timeout`, then its connection is closed as after any dial that failed. Of
/// several the shortest counts; `no_upstream` goes before all of them.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectTimeout {
    /// How long the dial hangs before it fails.
    pub timeout: Millis,
}

impl Default for ConnectTimeout {
    fn default() -> Self {
        Self { timeout: Millis::new(10_000) }
    }
}

impl ConnectToxic for ConnectTimeout {
    const KIND: &'static str = "connect_timeout";

    fn on_connect(&self, _: &ConnectCx<'_>, plan: &mut ConnectPlan) {
        let timeout = self.timeout.get();
        match &mut plan.dial {
            Dial::Nothing => {}
            Dial::Swallow(other) => *other = timeout.min(*other),
            dial @ Dial::After(_) => *dial = Dial::Swallow(timeout),
        }
    }
}
