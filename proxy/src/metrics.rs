//! The names of all metrics, and how they get their values.
//!
//! What a proxy counts lies in its own atomics;
//! [`Controller::publish`](crate::Controller::publish) hands on what has come
//! since the last time when somebody scrapes, so that counting costs nothing and
//! figures are live. Only differences are handed on: a proxy that is created again
//! under the same name and addresses continues its series, as a counter must.
//!
//! The facade cannot take a series back. That of a deleted proxy is not touched
//! any more, so an exporter that drops what was idle for longer than a scrape
//! interval keeps their number bounded; every other series is touched by each
//! `publish`.

use std::collections::BTreeMap;
use std::time::Duration;

use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use sabot_toxics::Direction;

use crate::model::{HttpTotals, ProxyTotals};
use crate::proxy::Proxy;
use crate::shell::Shell;

/// Bytes read from the source of a direction (Toxiproxy's name).
pub const RECEIVED: &str = "toxiproxy_proxy_received_bytes_total";
/// Bytes written to the sink of a direction (Toxiproxy's name).
pub const SENT: &str = "toxiproxy_proxy_sent_bytes_total";
/// Connections alive, by proxy.
pub const CONNECTIONS_OPEN: &str = "sabot_connections_open";
/// Connections accepted, by proxy.
pub const CONNECTIONS: &str = "sabot_connections_total";
/// Connections that never reached their upstream, by proxy and reason.
pub const CONNECTIONS_FAILED: &str = "sabot_connections_failed_total";
/// How long dials took that succeeded (s), by proxy.
pub const DIAL: &str = "sabot_dial_seconds";
/// Errors of accept, by proxy and reason.
pub const ACCEPT_ERRORS: &str = "sabot_accept_errors_total";
/// Connections on which a fault acted, by proxy and kind.
pub const FAULTS: &str = "sabot_faults_applied_total";
/// Client connections of an HTTP proxy that sent what is no HTTP, by proxy.
pub const MALFORMED: &str = "sabot_http_malformed_total";
/// HTTP requests answered or given up, by proxy, method and class of the status.
pub const REQUESTS: &str = "sabot_http_requests_total";
/// HTTP requests that have no answer yet, or not all of it, by proxy.
pub const IN_FLIGHT: &str = "sabot_http_requests_in_flight";
/// From the head of a request to the last byte of its answer (s), by proxy: a histogram,
/// see [`ProxyTotals::http`].
pub const REQUEST_DURATION: &str = "sabot_http_request_duration_seconds";
/// From sending a request up to the head of its answer (s), by proxy: a histogram too.
pub const UPSTREAM_DURATION: &str = "sabot_http_upstream_duration_seconds";
/// Connections to the upstream that wait for a request, by proxy.
pub const POOL_IDLE: &str = "sabot_http_pool_idle_connections";
/// HTTP requests that went up over a connection that was there already, by proxy.
pub const POOL_REUSED: &str = "sabot_http_pool_reused_total";
/// Requests that passed without a fault since as many as may be were under one, by proxy.
pub const FAULTS_CAPPED: &str = "sabot_http_faults_capped_total";
/// Bytes that toxics hold, by proxy.
pub const HELD: &str = "sabot_held_bytes";
/// Bytes that toxics may hold in all.
pub const HELD_LIMIT: &str = "sabot_held_bytes_limit";
/// Tasks alive on the workers; see [`crate::Controller::tasks`].
pub const TASKS: &str = "sabot_worker_tasks";
/// How late timers fired (s): a histogram, see [`crate::Controller::timer_lateness`].
pub const LATENESS: &str = "sabot_timer_lateness_seconds";

/// Tells the recorder what each metric is.
pub fn describe() {
    describe_counter!(RECEIVED, Unit::Bytes, "Bytes read from the sender of a direction.");
    describe_counter!(SENT, Unit::Bytes, "Bytes written to the receiver of a direction.");
    describe_gauge!(CONNECTIONS_OPEN, "Connections alive.");
    describe_counter!(CONNECTIONS, "Connections accepted.");
    describe_counter!(CONNECTIONS_FAILED, "Connections that never reached their upstream.");
    describe_histogram!(DIAL, Unit::Seconds, "How long dials took that succeeded.");
    describe_counter!(ACCEPT_ERRORS, "Errors of accept.");
    describe_counter!(FAULTS, "Connections on which a fault acted; requests for faults of HTTP.");
    describe_counter!(MALFORMED, "Client connections of an HTTP proxy that sent what is no HTTP.");
    describe_counter!(REQUESTS, "HTTP requests answered or given up.");
    describe_gauge!(IN_FLIGHT, "HTTP requests that have no answer yet, or not all of it.");
    describe_gauge!(POOL_IDLE, "Connections to the upstream that wait for an HTTP request.");
    describe_counter!(POOL_REUSED, "HTTP requests that went up over a connection that was there already.");
    describe_counter!(FAULTS_CAPPED, "Requests that passed without a fault, above max_active_faults.");
    describe_gauge!(HELD, Unit::Bytes, "Bytes that toxics hold.");
    describe_gauge!(HELD_LIMIT, Unit::Bytes, "Bytes that toxics may hold in all.");
    describe_gauge!(TASKS, "Tasks alive on the workers.");
}

pub(crate) fn dialled(proxy: &str, took: Duration) {
    histogram!(DIAL, "proxy" => proxy.to_owned()).record(took.as_secs_f64());
}

/// Hands on what was counted since the last call.
pub(crate) fn publish<'a>(proxies: impl Iterator<Item = &'a Proxy>, shell: &Shell) {
    proxies.for_each(publish_proxy);
    gauge!(HELD_LIMIT).set(shell.budget.limit() as f64);
    gauge!(TASKS).set(shell.workers.tasks() as f64);
}

/// The same for one proxy; called also before its addresses, which are labels,
/// change, and when it goes.
pub(crate) fn publish_proxy(proxy: &Proxy) {
    let mut published = proxy.published();
    let now = proxy.totals();
    for direction in Direction::BOTH {
        let labels = [
            ("direction", direction.as_str().to_owned()),
            ("listener", now.listen.clone()),
            ("proxy", now.name.clone()),
            ("upstream", now.upstream.clone()),
        ];
        let side = direction as usize;
        let before = |of: fn(&ProxyTotals) -> &[u64; 2]| published.as_ref().map_or(0, |last| of(last)[side]);
        counter!(RECEIVED, &labels).increment(now.received[side] - before(|last| &last.received));
        counter!(SENT, &labels).increment(now.sent[side] - before(|last| &last.sent));
    }
    let name = || now.name.clone();
    gauge!(CONNECTIONS_OPEN, "proxy" => name()).set(now.open_connections as f64);
    gauge!(HELD, "proxy" => name()).set(now.held_bytes as f64);
    let before = published.as_ref().map_or(0, |last| last.total_connections);
    counter!(CONNECTIONS, "proxy" => name()).increment(now.total_connections - before);
    let last = published.as_ref();
    for (reason, more) in since(&now.failed, last.map(|last| &last.failed)) {
        counter!(CONNECTIONS_FAILED, "proxy" => name(), "reason" => reason).increment(more);
    }
    for (reason, more) in since(&now.accept_errors, last.map(|last| &last.accept_errors)) {
        counter!(ACCEPT_ERRORS, "proxy" => name(), "reason" => reason).increment(more);
    }
    for (kind, more) in since(&now.applied, last.map(|last| &last.applied)) {
        counter!(FAULTS, "proxy" => name(), "kind" => kind).increment(more);
    }
    let before = last.map_or(0, |last| last.malformed);
    counter!(MALFORMED, "proxy" => name()).increment(now.malformed - before);
    if let Some(http) = &now.http {
        let last = last.and_then(|last| last.http.as_ref());
        publish_http(&now.name, http, last);
    }
    let before = last.map_or(0, |last| last.faults_capped);
    counter!(FAULTS_CAPPED, "proxy" => name()).increment(now.faults_capped - before);
    *published = Some(now);
}

fn publish_http(proxy: &str, now: &HttpTotals, last: Option<&HttpTotals>) {
    for ((method, status), count) in &now.requests {
        let before = last.and_then(|last| last.requests.get(&(*method, *status))).copied().unwrap_or(0);
        let labels =
            [("proxy", proxy.to_owned()), ("method", (*method).to_owned()), ("status", (*status).to_owned())];
        counter!(REQUESTS, &labels).increment(count - before);
    }
    let name = || proxy.to_owned();
    gauge!(IN_FLIGHT, "proxy" => name()).set(now.in_flight as f64);
    gauge!(POOL_IDLE, "proxy" => name()).set(now.idle_connections as f64);
    counter!(POOL_REUSED, "proxy" => name()).increment(now.reused - last.map_or(0, |last| last.reused));
}

type Counts = BTreeMap<&'static str, u64>;

fn since(now: &Counts, last: Option<&Counts>) -> impl Iterator<Item = (&'static str, u64)> {
    now.iter().map(move |(label, count)| {
        let before = last.and_then(|last| last.get(label)).copied().unwrap_or(0);
        (*label, count - before)
    })
}
