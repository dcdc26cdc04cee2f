use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ConnectCx, ConnectPlan, ConnectToxic};

/// Resets new connections while the proxy has `limit` open ones already.
///
/// All open connections of the proxy count, also those from before the toxic.
/// None of them is closed: the limit holds for who comes next. 0 refuses
/// everybody. With a toxicity below 1 the limit lets through those that were
/// not drawn.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MaxConnections {
    /// How many connections may be open at once.
    pub limit: u64,
}

impl Default for MaxConnections {
    fn default() -> Self {
        Self { limit: 1 }
    }
}

impl ConnectToxic for MaxConnections {
    const KIND: &'static str = "max_connections";

    fn on_connect(&self, cx: &ConnectCx<'_>, plan: &mut ConnectPlan) {
        plan.refuse |= cx.live_connections as u64 >= self.limit;
    }
}
