use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Millis;
use crate::{ConnectCx, ConnectPlan, ConnectToxic};

/// Leaves every new connection alone for `delay` before anything happens to it.
///
/// The kernel has completed the handshake by then, so the client is connected
/// and may send, but nobody reads and the upstream is not dialled yet: what an
/// overloaded server looks like whose accept loop lags behind. Several of them
/// add up. To delay the dial alone use `connect_delay`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AcceptDelay {
    /// For how long.
    pub delay: Millis,
}

impl ConnectToxic for AcceptDelay {
    const KIND: &'static str = "accept_delay";

    fn on_connect(&self, _: &ConnectCx<'_>, plan: &mut ConnectPlan) {
        plan.accept_delay = plan.accept_delay.saturating_add(self.delay.get());
    }
}
