use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Millis;
use crate::{ConnectCx, ConnectPlan, ConnectToxic, Dial};

/// Dials the upstream `delay` later than it could.
///
/// The client is connected meanwhile, and what it sends waits: a slow handshake
/// behind a load balancer. Several of them add up. A dial that
/// `connect_timeout` or `no_upstream` swallows is not delayed besides.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ConnectDelay {
    /// For how long.
    pub delay: Millis,
}

impl ConnectToxic for ConnectDelay {
    const KIND: &'static str = "connect_delay";

    fn on_connect(&self, _: &ConnectCx<'_>, plan: &mut ConnectPlan) {
        if let Dial::After(delay) = &mut plan.dial {
            *delay = delay.saturating_add(self.delay.get());
        }
    }
}
