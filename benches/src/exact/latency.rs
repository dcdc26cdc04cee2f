//! A delay: how far the round trip is from the one without a proxy plus what was asked.

use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use super::{Bench, Row};
use crate::load::echo;
use crate::load::paced::{Message, Pace};
use crate::statistics::percentile;

const DELAYS_MS: [u32; 7] = [1, 2, 5, 10, 20, 50, 100];
/// Not a multiple of a millisecond, so that no grid of timers is met always at the same point.
pub(super) const INTERVAL: Duration = Duration::from_micros(2_370);

/// One connection, delays of 1 to 100 ms.
pub(super) fn alone(bench: &Bench<'_>) -> Result<Vec<Row>> {
    let echo = echo::start()?;
    let pace = Pace {
        message: Message::Echo,
        connections: 1,
        interval: INTERVAL,
        time: bench.seconds(3.0),
        patience: Duration::from_secs(2),
    };
    let direct = percentile(&bench.round_trips(echo, pace)?, 0.5);
    let idle = percentile(&bench.round_trips(bench.api.proxy("idle", echo)?.listen, pace)?, 0.5);
    let mut rows = vec![
        Row::new("nothing, without a proxy", "round trip p50, ms", direct, 3),
        Row::new("nothing, through the proxy", "round trip p50, ms", idle, 3),
    ];
    for delay in DELAYS_MS {
        let proxy = bench.api.proxy("latency", echo)?;
        proxy.toxic("latency", 1.0, &json!({ "latency": delay }))?;
        let errors = errors(&bench.round_trips(proxy.listen, pace)?, direct, delay);
        let asked = format!("latency {delay} ms");
        rows.push(
            Row::new(&*asked, "error p50, ms", percentile(&errors, 0.5), 3)
                .at_most(0.1)
                .toxiproxy("0.12–0.52"),
        );
        rows.push(
            Row::new(asked, "error p99, ms", percentile(&errors, 0.99), 3).at_most(0.3).toxiproxy("0.6"),
        );
    }
    Ok(rows)
}

/// 300 connections that each send 20 messages a second. The baseline is the same
/// load without a proxy.
pub(super) fn busy(bench: &Bench<'_>) -> Result<Vec<Row>> {
    const DELAY_MS: u32 = 50;
    let echo = echo::start()?;
    let pace = Pace {
        message: Message::Echo,
        connections: 300,
        interval: Duration::from_millis(50),
        time: bench.seconds(5.0),
        patience: Duration::from_secs(2),
    };
    let direct = percentile(&bench.round_trips(echo, pace)?, 0.5);
    let proxy = bench.api.proxy("busy", echo)?;
    proxy.toxic("latency", 1.0, &json!({ "latency": DELAY_MS }))?;
    let errors = errors(&bench.round_trips(proxy.listen, pace)?, direct, DELAY_MS);
    let asked = "latency 50 ms, 300 busy connections";
    Ok(vec![
        Row::new(asked, "error p50, ms", percentile(&errors, 0.5), 3).at_most(0.3).toxiproxy("1.1"),
        Row::new(asked, "error p99, ms", percentile(&errors, 0.99), 3).at_most(3.0).toxiproxy("39"),
    ])
}

pub(super) fn errors(trips: &[f64], direct: f64, delay_ms: u32) -> Vec<f64> {
    trips.iter().map(|trip| (trip - direct - f64::from(delay_ms)).abs()).collect()
}
