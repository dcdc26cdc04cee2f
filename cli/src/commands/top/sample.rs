//! What `top` shows, from two calls and the counters of the time before.

use std::collections::BTreeMap;
use std::time::Instant;

use sabot_client::{Client, Error, Traffic};
use serde::Serialize;

use crate::words;

/// One proxy at one moment.
#[derive(Clone, Serialize)]
pub(super) struct Row {
    pub name: String,
    pub listen: String,
    pub upstream: String,
    pub enabled: bool,
    pub open: u64,
    pub total: u64,
    pub up_per_s: f64,
    pub down_per_s: f64,
    pub toxics: Vec<String>,
    /// The toxics with their directions, for the screen.
    #[serde(skip)]
    pub shown: String,
}

pub(super) struct Sampler {
    client: Client,
    before: Option<(Instant, BTreeMap<String, Traffic>)>,
}

impl Sampler {
    pub(super) fn new(client: Client) -> Self {
        Self { client, before: None }
    }

    pub(super) fn url(&self) -> &str {
        self.client.url()
    }

    /// The proxies now, with rates since the last call (0 at the first).
    pub(super) async fn sample(&mut self) -> Result<Vec<Row>, Error> {
        let (proxies, traffic) = tokio::try_join!(self.client.proxies(), self.client.traffic())?;
        let now = Instant::now();
        let rows = proxies.into_iter().map(|proxy| {
            let rate = self.rate(&proxy.name, &traffic, now);
            let shown = words::toxic_names(&proxy);
            Row {
                listen: proxy.listen,
                upstream: proxy.upstream,
                enabled: proxy.enabled,
                open: proxy.connections.open,
                total: proxy.connections.total,
                up_per_s: rate.upstream,
                down_per_s: rate.downstream,
                toxics: proxy.toxics.into_iter().map(|toxic| toxic.name).collect(),
                shown,
                name: proxy.name,
            }
        });
        let rows = rows.collect();
        self.before = Some((now, traffic));
        Ok(rows)
    }

    fn rate(&self, name: &str, traffic: &BTreeMap<String, Traffic>, now: Instant) -> Traffic {
        let Some((then, before)) = &self.before else { return Traffic::default() };
        let seconds = now.duration_since(*then).as_secs_f64().max(1e-3);
        let count = |all: &BTreeMap<String, Traffic>| all.get(name).copied().unwrap_or_default();
        let (new, old) = (count(traffic), count(before));
        // A server that was started anew counts from 0 again.
        let rate = |new: f64, old: f64| ((new - old) / seconds).max(0.0);
        Traffic {
            upstream: rate(new.upstream, old.upstream),
            downstream: rate(new.downstream, old.downstream),
            requests: rate(new.requests, old.requests),
        }
    }
}
