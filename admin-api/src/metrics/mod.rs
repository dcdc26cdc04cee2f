//! Metrics as Prometheus reads them.
//!
//! Names and values are the proxy's, and the engine's in [`injections`]; here is only their rendering.

pub mod injections;

use std::fmt::Write as _;
use std::sync::OnceLock;
use std::time::Duration;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};
use metrics_util::MetricKindMask;
use sabot_proxy::Distribution;
use sabot_proxy::metrics::{LATENESS, REQUEST_DURATION, UPSTREAM_DURATION, describe};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;

/// Upper bounds of all histograms, in seconds: from a timer's lateness (tens of
/// microseconds) to a dial that times out. Without buckets the exporter makes
/// summaries, which cannot be added up over servers.
const BUCKETS_S: [f64; 18] = [
    0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0,
    10.0, 30.0,
];

/// The exporter moves what histograms recorded this often; between scrapes they
/// would grow without bound.
const UPKEEP: Duration = Duration::from_secs(5);

/// A series that nobody has touched for so long is dropped: what a deleted proxy
/// left behind. Every scrape touches those of the proxies that are there. Dials are
/// the exception, touched when one succeeds: a proxy without any for so long starts
/// its histogram anew, as after a restart.
const FORGOTTEN: Duration = Duration::from_secs(600);

static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();

/// Makes this process record metrics; once, further calls change nothing.
///
/// [`serve`](crate::serve) and [`router`](crate::router) call it. A program that
/// counts before that calls it first.
pub fn install() {
    HANDLE.get_or_init(|| {
        let recorder = recorder(FORGOTTEN);
        let handle = recorder.handle();
        if metrics::set_global_recorder(recorder).is_err() {
            tracing::warn!("another recorder of metrics is installed: /metrics stays empty");
        }
        describe();
        injections::describe();
        handle
    });
}

fn recorder(forgotten: Duration) -> PrometheusRecorder {
    let builder = PrometheusBuilder::new();
    // Refused only if there were no buckets.
    let builder = builder.set_buckets(&BUCKETS_S).unwrap_or_else(|_| PrometheusBuilder::new());
    builder.idle_timeout(MetricKindMask::ALL, Some(forgotten)).build_recorder()
}

/// Keeps histograms small for as long as it is polled.
pub(crate) async fn upkeep() {
    let mut tick = tokio::time::interval(UPKEEP);
    loop {
        tick.tick().await;
        if let Some(handle) = HANDLE.get() {
            handle.run_upkeep();
        }
    }
}

pub(crate) fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(scrape))
}

/// All metrics in Prometheus' text format.
#[utoipa::path(get, path = "/metrics", tag = "metrics", operation_id = "metrics",
    responses((status = 200, content_type = "text/plain", body = String)))]
async fn scrape(State(app): State<App>) -> Response {
    app.controller.publish();
    let live = app.engine.live();
    injections::publish(&app.engine, &live);
    let mut text = HANDLE.get().map(PrometheusHandle::render).unwrap_or_default();
    injections::write_info(&mut text, &live);
    let lateness = app.controller.timer_lateness();
    histogram(&mut text, LATENESS, "How late timers fired.", [(String::new(), lateness)]);
    let http = || app.controller.totals().into_iter().filter_map(|it| Some((of_proxy(&it.name), it.http?)));
    let durations = http().map(|(labels, http)| (labels, http.duration));
    let told = "From the head of a request to the last byte of its answer.";
    histogram(&mut text, REQUEST_DURATION, told, durations);
    let durations = http().map(|(labels, http)| (labels, http.upstream));
    let told = "From sending a request up to the head of its answer.";
    histogram(&mut text, UPSTREAM_DURATION, told, durations);
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

fn of_proxy(name: &str) -> String {
    format!("proxy=\"{}\"", escaped(name))
}

/// As the value of a label.
fn escaped(text: &str) -> String {
    text.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// Timers and requests count into buckets of their own, without a lock or a queue: the
/// exporter takes single values only, so these are written here.
fn histogram(
    text: &mut String,
    name: &str,
    told: &str,
    series: impl IntoIterator<Item = (String, Distribution)>,
) {
    let mut series = series.into_iter().peekable();
    if series.peek().is_some() {
        let _ = write!(text, "# HELP {name} {told}\n# TYPE {name} histogram\n");
    }
    for (labels, distribution) in series {
        let comma = if labels.is_empty() { "" } else { "," };
        for (bound, count) in &distribution.buckets {
            let bound = if bound.is_finite() { bound.to_string() } else { "+Inf".to_owned() };
            let _ = writeln!(text, "{name}_bucket{{{labels}{comma}le=\"{bound}\"}} {count}");
        }
        let braced = if labels.is_empty() { String::new() } else { format!("{{{labels}}}") };
        let (sum, count) = (distribution.sum_s, distribution.count());
        let _ = writeln!(text, "{name}_sum{braced} {sum}\n{name}_count{braced} {count}\n");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    #[test]
    fn a_histogram_reads_as_prometheus_wants_it() {
        let mut text = String::new();
        let late = Distribution { buckets: vec![(0.000_004, 2), (0.5, 3), (f64::INFINITY, 3)], sum_s: 0.25 };
        histogram(&mut text, "late", "How late.", [(String::new(), late.clone()), (of_proxy("a\"b"), late)]);
        let expected = "# HELP late How late.\n# TYPE late histogram\n\
            late_bucket{le=\"0.000004\"} 2\nlate_bucket{le=\"0.5\"} 3\nlate_bucket{le=\"+Inf\"} 3\n\
            late_sum 0.25\nlate_count 3\n\n\
            late_bucket{proxy=\"a\\\"b\",le=\"0.000004\"} 2\nlate_bucket{proxy=\"a\\\"b\",le=\"0.5\"} 3\n\
            late_bucket{proxy=\"a\\\"b\",le=\"+Inf\"} 3\n\
            late_sum{proxy=\"a\\\"b\"} 0.25\nlate_count{proxy=\"a\\\"b\"} 3\n\n";
        histogram(&mut text, "none", "Nothing.", []);
        assert_eq!(text, expected);
    }

    /// A test suite that creates a proxy per test would grow the answer for ever.
    #[test]
    fn a_series_that_nobody_touches_is_dropped() {
        let recorder = recorder(Duration::from_millis(20));
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            metrics::counter!("gone_total").increment(1);
            assert!(handle.render().contains("gone_total 1"));
            let before = Instant::now();
            while handle.render().contains("gone_total") {
                metrics::counter!("stays_total").increment(1);
                assert!(before.elapsed() < Duration::from_secs(20), "{}", handle.render());
            }
            metrics::counter!("stays_total").increment(0);
            assert!(handle.render().contains("stays_total"));
        });
    }
}
