//! The rows of `fidelity`: what was asked of a fault against what a client measures.

mod bandwidth;
mod beside;
mod chance;
mod closing;
mod http;
mod injections;
mod latency;
mod slicer;

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::api::Api;
use crate::load::paced::{self, Pace};
use crate::quiet::Quiet;
use crate::server::Server;

/// What a measurement needs.
pub struct Bench<'a> {
    /// The server that is measured.
    pub api: &'a Api,
    /// Its process; none if it is not ours.
    pub pid: Option<u32>,
    /// Waits for quiet moments.
    pub quiet: &'a Quiet,
    /// Shorter, with fewer samples.
    pub quick: bool,
    /// Starts one more server of the same seed; none if it is not ours to start.
    pub again: &'a dyn Fn() -> Result<Option<(Api, Server)>>,
}

impl Bench<'_> {
    /// As many seconds, or a quarter of them.
    fn seconds(&self, full: f64) -> Duration {
        Duration::from_secs_f64(if self.quick { full / 4.0 } else { full })
    }

    /// Round trips in ms, measured in a quiet moment.
    fn round_trips(&self, echo: SocketAddr, pace: Pace) -> Result<Vec<f64>> {
        self.quiet.measure(|| paced::round_trips(echo, pace))
    }

    fn times(&self, full: u32) -> u32 {
        if self.quick { full / 4 } else { full }
    }
}

/// A row.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Row {
    /// The fault that was asked for.
    pub asked: String,
    /// What was measured, with its unit.
    pub figure: String,
    /// The result.
    pub measured: f64,
    /// How many decimals are worth showing.
    pub decimals: usize,
    /// Where it has to lie, if anything is required.
    pub required: Option<(f64, f64)>,
    /// What Toxiproxy 2.12 gave on another day on a machine of this kind.
    pub toxiproxy: String,
}

impl Row {
    fn new(asked: impl Into<String>, figure: &str, measured: f64, decimals: usize) -> Self {
        let (asked, figure) = (asked.into(), figure.to_owned());
        Self { asked, figure, measured, decimals, required: None, toxiproxy: "–".into() }
    }

    fn at_most(self, most: f64) -> Self {
        self.between(f64::NEG_INFINITY, most)
    }

    fn between(mut self, least: f64, most: f64) -> Self {
        self.required = Some((least.max(-1e9), most));
        self
    }

    fn toxiproxy(mut self, earlier: &str) -> Self {
        earlier.clone_into(&mut self.toxiproxy);
        self
    }

    /// Whether it lies where it has to.
    #[must_use]
    pub fn met(&self) -> Option<bool> {
        self.required.map(|(least, most)| (least..=most).contains(&self.measured))
    }
}

/// A measurement that fills rows.
pub struct Measurement {
    /// Its name in options.
    pub id: &'static str,
    /// Makes it.
    pub run: fn(&Bench<'_>) -> Result<Vec<Row>>,
}

/// All of them.
pub const MEASUREMENTS: [Measurement; 12] = [
    Measurement { id: "latency", run: latency::alone },
    Measurement { id: "busy", run: latency::busy },
    Measurement { id: "bandwidth", run: bandwidth::measure },
    Measurement { id: "slicer", run: slicer::measure },
    Measurement { id: "closing", run: closing::measure },
    Measurement { id: "jitter", run: chance::jitter },
    Measurement { id: "toxicity", run: chance::toxicity },
    Measurement { id: "http-delay", run: http::delay },
    Measurement { id: "http-abort", run: http::abort },
    Measurement { id: "injection-ends", run: injections::ends },
    Measurement { id: "injections", run: beside::many },
    Measurement { id: "replay", run: injections::replay },
];
