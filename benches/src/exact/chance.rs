//! Faults with chance in them: do the draws have the distribution that was asked for?
//! The bounds are those of the statistics (3 to 4 standard errors), not of the design.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{Bench, Row};
use crate::load::echo;
use crate::load::paced::{Message, Pace};
use crate::statistics::{moments, percentile};

const LATENCY_MS: f64 = 20.0;
const JITTER_MS: f64 = 10.0;
const TOXICITY: f64 = 0.3;

/// Many connections at a pace slower than the jitter: on one connection order is
/// kept, and a message that waits for the one before it would bend the distribution.
pub(super) fn jitter(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let echo = echo::start()?;
    let pace = Pace {
        message: Message::Echo,
        connections: 50,
        interval: Duration::from_millis(50),
        time: bench.seconds(5.0),
        patience: Duration::from_secs(2),
    };
    let direct = percentile(&bench.round_trips(echo, pace)?, 0.5);
    let proxy = bench.api.proxy("jitter", echo)?;
    proxy.toxic("latency", 1.0, &json!({ "latency": LATENCY_MS as u32, "jitter": JITTER_MS as u32 }))?;
    let delays: Vec<f64> = bench.round_trips(proxy.listen, pace)?.iter().map(|trip| trip - direct).collect();
    let samples = delays.len() as f64;
    let (mean, deviation) = moments(&delays);
    let ideal = JITTER_MS / 3f64.sqrt();
    // The standard error of a uniform distribution's deviation is sd × √(0.8 / 4n).
    let (of_mean, of_deviation) = (4.0 * ideal / samples.sqrt(), 4.0 * ideal * (0.2 / samples).sqrt());
    let asked = "latency 20 ms, jitter 10 ms (uniform)";
    let around = |value: f64, error: f64| (value - error - 0.1, value + error + 0.1);
    let (mean_bounds, deviation_bounds) = (around(LATENCY_MS, of_mean), around(ideal, of_deviation));
    Ok(vec![
        Row::new(asked, "mean delay, ms", mean, 2).between(mean_bounds.0, mean_bounds.1),
        Row::new(asked, "standard deviation, ms (ideal 5.77)", deviation, 2)
            .between(deviation_bounds.0, deviation_bounds.1),
        Row::new(asked, "least delay, ms", percentile(&delays, 0.0), 2),
        Row::new(asked, "p99 delay, ms (ideal 29.8)", percentile(&delays, 0.99), 2),
    ])
}

/// One message on each of many connections: which waited?
pub(super) fn toxicity(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let proxy = bench.api.proxy("toxicity", echo::start()?)?;
    proxy.toxic("latency", TOXICITY, &json!({ "latency": 30 }))?;
    let connections = bench.times(2_000);
    let time = Duration::from_millis(connections.into());
    let pace = Pace {
        message: Message::Echo,
        connections: connections as usize,
        interval: time,
        time,
        patience: Duration::from_secs(2),
    };
    let trips = bench.round_trips(proxy.listen, pace)?;
    let count = f64::from(connections);
    let share = trips.iter().filter(|trip| **trip > 15.0).count() as f64 / trips.len() as f64;
    let error = 4.0 * (TOXICITY * (1.0 - TOXICITY) / count).sqrt();
    let row =
        Row::new(format!("toxicity 0.3, {connections} connections"), "share that was held up", share, 3);
    Ok(vec![row.between(TOXICITY - error, TOXICITY + error)])
}
