//! Loads for the pure core: the same for instruction counts and for times.
//!
//! Time is an argument there, so each runs as fast as it can whatever it delays.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::Request;
use http::request::Parts;
use sabot_toxics::{ConnKey, Direction, Entry, Frame, Pipeline, Plan, Seed, Time, ToxicSpec, kind};
use serde_json::{Map, Value, json};

use crate::faults;

/// A load.
pub struct Scenario {
    /// Its name in options, limits and reports.
    pub name: &'static str,
    /// Kinds and attributes of the chain.
    toxics: fn() -> Vec<(&'static str, Value)>,
    work: Work,
}

#[derive(Clone, Copy)]
enum Work {
    /// Chunks of so many bytes pass, one every millisecond.
    Pass(usize),
    /// The pipeline of a connection is made.
    Connect,
    /// The plan changes between two chunks.
    Update,
    /// A request is held against the plan.
    Match,
}

const SMALL: usize = 128;
const LARGE: usize = 64 * 1024;

/// All of them.
pub const SCENARIOS: [Scenario; 13] = [
    pass("empty", Vec::new, SMALL),
    pass("latency", || vec![("latency", json!({ "latency": 20 }))], SMALL),
    pass("latency-jitter", || vec![("latency", json!({ "latency": 20, "jitter": 10 }))], SMALL),
    pass("bandwidth-small", || vec![("bandwidth", json!({ "rate": 100_000 }))], SMALL),
    pass("bandwidth-large", || vec![("bandwidth", json!({ "rate": 100_000 }))], LARGE),
    pass("slicer", || vec![("slicer", json!({ "average_size": 64, "delay": 10 }))], 1024),
    pass("limit-data", || vec![("limit_data", json!({ "bytes": 1u64 << 50 }))], SMALL),
    pass("packet-loss", || vec![("packet_loss", json!({ "loss_rate": 0.1 }))], SMALL),
    pass("corrupt", || vec![("corrupt", json!({ "probability": 0.001 }))], LARGE),
    pass("chain-of-four", chain, SMALL),
    Scenario { name: "connect", toxics: chain, work: Work::Connect },
    Scenario { name: "update", toxics: chain, work: Work::Update },
    Scenario { name: "matching", toxics: || faults::unmatched().into(), work: Work::Match },
];

const fn pass(name: &'static str, toxics: fn() -> Vec<(&'static str, Value)>, bytes: usize) -> Scenario {
    Scenario { name, toxics, work: Work::Pass(bytes) }
}

fn chain() -> Vec<(&'static str, Value)> {
    vec![
        ("latency", json!({ "latency": 20, "jitter": 10 })),
        ("bandwidth", json!({ "rate": 100_000 })),
        ("packet_loss", json!({ "loss_rate": 0.01 })),
        ("slow_close", json!({ "delay": 10 })),
    ]
}

impl Scenario {
    /// Makes it ready.
    ///
    /// # Errors
    /// The catalog refuses a toxic.
    pub fn prepare(&self) -> Result<Prepared> {
        let entries = (1..).zip((self.toxics)()).map(|(id, (name, attributes))| entry(id, name, &attributes));
        let plan = Plan::new(entries.collect::<Result<_>>()?);
        let key = ConnKey { number: 1, client: None, seed: Seed::new(1) };
        let pipeline = Pipeline::new(&plan, &key, Direction::Downstream, 0, Time::from_nanos(0));
        let size = if let Work::Pass(bytes) = self.work { bytes } else { SMALL };
        let chunk = Bytes::from(vec![b'x'; size]);
        Ok(Prepared { plan, key, pipeline, chunk, head: head()?, now: Time::from_nanos(0), work: self.work })
    }
}

/// The head of a request like those that services send each other.
fn head() -> Result<Parts> {
    let request = Request::get("/inventory/items/4711?fields=name,price&lang=en")
        .header("host", "inventory.internal:8080")
        .header("user-agent", "orders/1.4")
        .header("accept", "application/json")
        .header("accept-encoding", "gzip")
        .header("x-request-id", "0192a6c5-51d2-7c4e-9d0a-3f1f5b8a7c11")
        .body(())?;
    Ok(request.into_parts().0)
}

fn entry(id: u64, name: &str, attributes: &Value) -> Result<Arc<Entry>> {
    let kind = kind(name).with_context(|| format!("no kind {name}"))?;
    let attributes = attributes.as_object().cloned().unwrap_or_else(Map::new);
    let spec = ToxicSpec::new(kind, Direction::Downstream, &attributes)?;
    Ok(Arc::new(Entry::new(spec, id, Time::from_nanos(0), 1)?))
}

/// A scenario that is ready to run.
pub struct Prepared {
    plan: Plan,
    key: ConnKey,
    pipeline: Pipeline,
    chunk: Bytes,
    head: Parts,
    now: Time,
    work: Work,
}

impl Prepared {
    /// One chunk, one connection, one update or one request; returns the bytes that left.
    pub fn step(&mut self) -> usize {
        self.now = self.now + Duration::from_millis(1);
        match self.work {
            Work::Pass(_) => {}
            Work::Connect => {
                let pipeline = Pipeline::new(&self.plan, &self.key, Direction::Downstream, 0, self.now);
                return pipeline.held_bytes();
            }
            Work::Match => return self.meet(),
            Work::Update => self.pipeline.update(&self.plan, self.now),
        }
        self.pipeline.push(self.now, Frame::Data(self.chunk.clone()));
        let ready = self.pipeline.ready();
        let mut left = 0;
        while let Some(frame) = ready.pop_front() {
            left += frame.len();
        }
        left
    }

    /// Apart, so that it changes nothing of what the other steps cost.
    #[inline(never)]
    fn meet(&self) -> usize {
        usize::from(self.plan.meets(&self.head, || self.now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scenario_carries_what_it_is_given() {
        for scenario in &SCENARIOS {
            let mut prepared = scenario.prepare().unwrap();
            let left: usize = (0..200).map(|_| prepared.step()).sum();
            let idle = matches!(scenario.work, Work::Connect | Work::Match);
            assert_eq!(left > 0, !idle, "{}", scenario.name);
        }
    }
}
