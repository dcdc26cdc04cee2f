//! Faults of HTTP requests: delays as exact as those of streams, aborts as frequent as
//! asked and the same by the same seed. A server that knows nothing of HTTP has no rows.

use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::json;

use super::latency::{INTERVAL, errors};
use super::{Bench, Row};
use crate::api::Api;
use crate::load::paced::{Message, Pace};
use crate::load::web;
use crate::statistics::percentile;

const DELAYS_MS: [u32; 3] = [5, 20, 50];
/// A request waits for no other of its connection: so many take turns that each has
/// been answered long before its next is due.
const CONNECTIONS: u32 = 100;
const SHARE: f64 = 0.2;
const REQUESTS: u32 = 100_000;
const STATUS: u16 = 503;
/// How many standard errors the middle 99 % of a normal distribution reach from its mean.
const WITHIN_99: f64 = 2.576;

/// The same schedule as for latency: a request every 2.37 ms.
pub(super) fn delay(bench: &Bench<'_>) -> Result<Vec<Row>> {
    if !bench.api.knows_http()? {
        return Ok(Vec::new());
    }
    let upstream = web::start()?;
    let pace = Pace {
        message: Message::Request,
        connections: CONNECTIONS as usize,
        interval: INTERVAL * CONNECTIONS,
        time: bench.seconds(3.0),
        patience: Duration::from_secs(2),
    };
    let proxy = bench.api.http_proxy("http-idle", upstream)?;
    let direct = percentile(&bench.round_trips(upstream, pace)?, 0.5);
    let idle = percentile(&bench.round_trips(proxy.listen, pace)?, 0.5);
    let mut rows = vec![
        Row::new("a request, without a proxy", "round trip p50, ms", direct, 3),
        Row::new("a request, through the proxy", "round trip p50, ms", idle, 3),
    ];
    for delay in DELAYS_MS {
        let proxy = bench.api.http_proxy("http-delay", upstream)?;
        proxy.toxic("http_delay", 1.0, &json!({ "delay": delay }))?;
        let errors = errors(&bench.round_trips(proxy.listen, pace)?, direct, delay);
        let asked = format!("http_delay {delay} ms");
        rows.push(Row::new(&*asked, "error p50, ms", percentile(&errors, 0.5), 3).at_most(0.1));
        rows.push(Row::new(asked, "error p99, ms", percentile(&errors, 0.99), 3).at_most(0.3));
    }
    Ok(rows)
}

/// One request after the other, so that each has the same number in both runs.
pub(super) fn abort(bench: &Bench<'_>) -> Result<Vec<Row>> {
    if !bench.api.knows_http()? {
        return Ok(Vec::new());
    }
    let requests = bench.times(REQUESTS);
    let first = aborted(bench.api, requests)?;
    let count = f64::from(requests);
    let share = first.iter().filter(|aborted| **aborted).count() as f64 / count;
    let error = WITHIN_99 * (SHARE * (1.0 - SHARE) / count).sqrt();
    let asked = format!("http_abort, toxicity {SHARE}, {requests} requests");
    let mut rows =
        vec![Row::new(&*asked, "share that was aborted", share, 4).between(SHARE - error, SHARE + error)];
    if let Some((api, _server)) = (bench.again)()? {
        let second = aborted(&api, requests)?;
        let same = first.iter().zip(&second).filter(|(one, other)| one == other).count() as f64 / count;
        let row = Row::new(asked, "share decided alike by another run of the same seed", same, 4);
        rows.push(row.between(1.0, 1.0));
    }
    Ok(rows)
}

/// Which of the requests were aborted.
fn aborted(api: &Api, requests: u32) -> Result<Vec<bool>> {
    let proxy = api.http_proxy("http-abort", web::start()?)?;
    proxy.toxic("http_abort", SHARE, &json!({ "status": STATUS }))?;
    let statuses = web::statuses(proxy.listen, requests)?;
    let strange = statuses.iter().find(|status| ![200, STATUS].contains(*status));
    ensure!(strange.is_none(), "a request was answered with {strange:?}");
    Ok(statuses.iter().map(|status| *status == STATUS).collect())
}
