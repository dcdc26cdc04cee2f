//! How many requests reached each proxy in each phase: what the load sent, and what services repeated.

use std::collections::BTreeMap;

use sabot_client::Client;

use crate::judge::{Phase, Phases};
use crate::record::FarSide;

/// Counters of the server at the borders of the phases.
#[derive(Default)]
pub(super) struct Counters {
    /// Requests by proxy when that phase began; the end of the run is the last entry.
    seen: Vec<BTreeMap<String, f64>>,
}

impl Counters {
    /// Reads them; a server that does not answer leaves its phase out.
    pub(super) async fn read(&mut self, client: &Client) {
        let traffic = client.traffic().await.unwrap_or_default();
        let requests = traffic.into_iter().filter(|(_, traffic)| traffic.requests > 0.0);
        self.seen.push(requests.map(|(proxy, traffic)| (proxy, traffic.requests)).collect());
    }

    /// Requests a second by proxy and phase; of a run that passed through all phases.
    pub(super) fn far_side(&self, phases: &Phases) -> Vec<FarSide> {
        let [baseline, fault, recovery, end] = self.seen.as_slice() else { return Vec::new() };
        let rate = |proxy: &str, from: &BTreeMap<String, f64>, to: &BTreeMap<String, f64>, phase: Phase| {
            let seconds = phases.of(phase);
            let length = (seconds.end - seconds.start).max(1) as f64;
            let count = to.get(proxy).copied().unwrap_or(0.0) - from.get(proxy).copied().unwrap_or(0.0);
            count.max(0.0) / length
        };
        let far_side = |proxy: &String| FarSide {
            proxy: proxy.clone(),
            baseline_per_s: rate(proxy, baseline, fault, Phase::Baseline),
            fault_per_s: rate(proxy, fault, recovery, Phase::Fault),
            recovery_per_s: rate(proxy, recovery, end, Phase::Recovery),
        };
        end.keys().map(far_side).collect()
    }
}
