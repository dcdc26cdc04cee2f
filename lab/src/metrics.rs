//! What a service tells Prometheus. Every name stands here.
//!
//! Each service instance has a recorder of its own, so that several in one process
//! do not mix.

use std::sync::Arc;
use std::time::Duration;

use metrics::{Counter, Gauge, Histogram, Key, Label, Level, Metadata, Recorder};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle, PrometheusRecorder};

/// Labels of one series.
pub(crate) type Labels<'a> = &'a [(&'static str, &'a str)];

macro_rules! names {
    ($($kind:ident $constant:ident $name:literal $told:literal,)*) => {
        $(pub(crate) const $constant: &str = $name;)*

        /// Every metric: its kind, its name and what it tells.
        const ALL: &[(Kind, &str, &str)] = &[$((Kind::$kind, $name, $told),)*];
    };
}

enum Kind {
    Counter,
    Gauge,
    Histogram,
}

names! {
    Counter REQUESTS "lab_requests_total" "Requests answered, by route and status; 499 when the client left before the answer.",
    Histogram REQUEST_DURATION "lab_request_duration_seconds" "From a request's arrival to its answer, waiting for a worker included.",
    Gauge IN_FLIGHT "lab_requests_in_flight" "Requests that arrived and are not answered.",
    Gauge POOL_SIZE "lab_pool_size" "How many a pool has: workers, or connections to a dependency.",
    Gauge POOL_IN_USE "lab_pool_in_use" "How many of a pool are in use.",
    Gauge POOL_WAITING "lab_pool_waiting" "How many wait for one of a pool.",
    Counter CALLS "lab_dependency_calls_total" "Calls of a dependency by outcome, retries included.",
    Histogram CALL_DURATION "lab_dependency_duration_seconds" "Time of a call of a dependency, waiting for a connection included.",
    Histogram SCHEDULING_DELAY "lab_scheduling_delay_seconds" "How late a sleeping task of the service's runtime wakes up; the timer itself is up to 1 ms late.",
    Gauge BREAKER_STATE "lab_breaker_state" "0 closed or switched off, 1 half open, 2 open.",
    Counter BREAKER_TRANSITIONS "lab_breaker_transitions_total" "Changes of a circuit breaker's state, by the state it changed to.",
    Counter RETRIES "lab_retries_total" "Calls made again.",
    Counter RETRIES_REFUSED "lab_retries_refused_total" "Calls not made again because the retry budget was spent.",
    Counter SHED "lab_shed_total" "Requests refused because the queue for a worker was full.",
    Counter BULKHEAD_REJECTED "lab_bulkhead_rejected_total" "Requests and calls refused because their share was in use.",
    Counter DEGRADED "lab_degraded_total" "Answers given without a dependency that failed.",
    Gauge MITIGATION "lab_mitigation_enabled" "1 while a mitigation is on.",
    Gauge PENDING "lab_payments_pending" "Accepted orders whose payment is still to be made.",
    Counter CHARGES "lab_charges_total" "Charges: first, repeated (the same key again, nothing charged), failed.",
    Counter CACHE "lab_cache_total" "Reads of the cache: hit, miss, failed.",

}

/// Upper bounds of all histograms, in seconds. Without buckets the exporter makes
/// summaries, which cannot be added up over services.
const BUCKETS_S: [f64; 17] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

static METADATA: Metadata<'static> = Metadata::new("sabot_lab", Level::INFO, None);

/// Counts for one service instance. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Meter {
    recorder: Arc<PrometheusRecorder>,
}

impl Meter {
    pub(crate) fn new(service: &str) -> Self {
        let builder = PrometheusBuilder::new().add_global_label("service", service);
        // Refused only if there were no buckets.
        let builder = builder.set_buckets(&BUCKETS_S).unwrap_or_else(|_| PrometheusBuilder::new());
        let recorder = builder.build_recorder();
        for (kind, name, told) in ALL {
            match kind {
                Kind::Counter => recorder.describe_counter((*name).into(), None, (*told).into()),
                Kind::Gauge => recorder.describe_gauge((*name).into(), None, (*told).into()),
                Kind::Histogram => recorder.describe_histogram((*name).into(), None, (*told).into()),
            }
        }
        Self { recorder: Arc::new(recorder) }
    }

    pub(crate) fn counter(&self, name: &'static str, labels: Labels<'_>) -> Counter {
        self.recorder.register_counter(&key(name, labels), &METADATA)
    }

    pub(crate) fn gauge(&self, name: &'static str, labels: Labels<'_>) -> Gauge {
        self.recorder.register_gauge(&key(name, labels), &METADATA)
    }

    pub(crate) fn histogram(&self, name: &'static str, labels: Labels<'_>) -> Histogram {
        self.recorder.register_histogram(&key(name, labels), &METADATA)
    }

    pub(crate) fn count(&self, name: &'static str, labels: Labels<'_>) {
        self.counter(name, labels).increment(1);
    }

    pub(crate) fn observe(&self, name: &'static str, labels: Labels<'_>, time: Duration) {
        self.histogram(name, labels).record(time.as_secs_f64());
    }

    /// In Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        self.handle().render()
    }

    /// Moves what histograms recorded; between scrapes they would grow without bound.
    pub(crate) fn upkeep(&self) {
        self.handle().run_upkeep();
    }

    fn handle(&self) -> PrometheusHandle {
        self.recorder.handle()
    }
}

fn key(name: &'static str, labels: Labels<'_>) -> Key {
    let labels: Vec<_> = labels.iter().map(|(key, value)| Label::new(*key, (*value).to_owned())).collect();
    Key::from_parts(name, labels)
}

/// Adds one to a gauge for as long as it lives.
pub(crate) struct Counted(Gauge);

impl Counted {
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_services_in_one_process_do_not_mix() {
        let (one, other) = (Meter::new("one"), Meter::new("other"));
        one.count(RETRIES, &[("dependency", "x")]);
        assert!(
            one.render().contains("lab_retries_total{service=\"one\",dependency=\"x\"} 1"),
            "{}",
            one.render()
        );
        assert!(!other.render().contains("dependency"));
    }

    #[test]
    fn a_gauge_counts_what_lives() {
        let meter = Meter::new("one");
        let gauge = meter.gauge(IN_FLIGHT, &[]);
        let (first, second) = (Counted::new(&gauge), Counted::new(&gauge));
        drop(first);
        assert!(meter.render().contains("lab_requests_in_flight{service=\"one\"} 1"));
        drop(second);
        assert!(meter.render().contains("lab_requests_in_flight{service=\"one\"} 0"));
    }
}
