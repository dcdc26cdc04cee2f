//! What a scrape sees: live, and continued when a proxy comes again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use metrics::{
    Counter, CounterFn, Gauge, GaugeFn, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit, with_local_recorder,
};
use sabot_proxy::{Controller, ProxyPatch, ProxySpec};
use serde_json::json;
use tokio::io::AsyncWriteExt;

use crate::support::*;

type Values = Arc<Mutex<BTreeMap<String, f64>>>;

/// Remembers the value of each series by `name{label="value"}`.
#[derive(Default)]
struct Scraper(Values);

struct Series(Values, String);

impl Series {
    fn change(&self, change: impl FnOnce(&mut f64)) {
        change(self.0.lock().unwrap().entry(self.1.clone()).or_default());
    }
}

impl CounterFn for Series {
    fn increment(&self, value: u64) {
        self.change(|old| *old += value as f64);
    }

    fn absolute(&self, value: u64) {
        self.change(|old| *old = old.max(value as f64));
    }
}

impl GaugeFn for Series {
    fn increment(&self, value: f64) {
        self.change(|old| *old += value);
    }

    fn decrement(&self, value: f64) {
        self.change(|old| *old -= value);
    }

    fn set(&self, value: f64) {
        self.change(|old| *old = value);
    }
}

impl HistogramFn for Series {
    fn record(&self, _: f64) {
        self.change(|count| *count += 1.0);
    }
}

impl Scraper {
    fn series(&self, key: &Key) -> Arc<Series> {
        let labels: Vec<_> = key.labels().map(|label| format!("{}={}", label.key(), label.value())).collect();
        Arc::new(Series(Arc::clone(&self.0), format!("{}{{{}}}", key.name(), labels.join(","))))
    }

    fn scrape(&self, controller: &Controller) -> BTreeMap<String, f64> {
        with_local_recorder(self, || controller.publish());
        self.0.lock().unwrap().clone()
    }
}

impl Recorder for Scraper {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.series(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.series(key))
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(self.series(key))
    }
}

#[tokio::test]
async fn bytes_are_live_and_labelled_as_toxiproxy_does() {
    let (controller, proxy) = echo_proxy().await;
    let scraper = Scraper::default();
    let mut client = open(&proxy).await;
    let series = |name: &str, direction: &str| {
        format!(
            "{name}{{direction={direction},listener={},proxy=p,upstream={}}}",
            proxy.listen, proxy.upstream
        )
    };
    for expected in [1, 1000] {
        until(|| controller.totals()[0].sent == [expected; 2]).await;
        let seen = scraper.scrape(&controller);
        for name in ["toxiproxy_proxy_received_bytes_total", "toxiproxy_proxy_sent_bytes_total"] {
            for direction in ["upstream", "downstream"] {
                assert_eq!(seen[&series(name, direction)], expected as f64);
            }
        }
        assert_eq!(
            (seen["sabot_connections_open{proxy=p}"], seen["sabot_connections_total{proxy=p}"]),
            (1.0, 1.0)
        );
        ping(&mut client, &[0; 999]).await.unwrap();
    }
}

#[tokio::test]
async fn a_proxy_that_comes_again_continues_its_series() {
    let (controller, proxy) = echo_proxy().await;
    let scraper = Scraper::default();
    for round in 1..=3_u32 {
        drop(open(&controller.proxy("p").unwrap()).await);
        until(|| controller.proxy("p").unwrap().open_connections == 0).await;
        let seen = scraper.scrape(&controller);
        assert_eq!(seen["sabot_connections_total{proxy=p}"], f64::from(round));
        controller.delete("p").await.unwrap();
        let again = ProxySpec { listen: Some(proxy.listen.clone()), ..ProxySpec::new("p", &proxy.upstream) };
        controller.create(again).await.unwrap();
    }
}

#[tokio::test]
async fn failures_faults_and_held_bytes_are_counted() {
    let (controller, proxy) = echo_proxy().await;
    let scraper = Scraper::default();
    controller.add_toxic("p", simple("latency", json!({"latency": "1h"}))).unwrap();
    let mut client = connect(&proxy).await;
    client.write_all(&[0; 1234]).await.unwrap();
    until(|| controller.totals()[0].held_bytes == 1234).await;
    let seen = scraper.scrape(&controller);
    assert_eq!(seen["sabot_held_bytes{proxy=p}"], 1234.0);
    assert_eq!(seen["sabot_faults_applied_total{proxy=p,kind=latency}"], 1.0);
    assert!(seen["sabot_held_bytes_limit{}"] > 0.0);

    controller.add_toxic("p", simple("refuse", json!({}))).unwrap();
    assert!(is_reset(&proxy).await);
    until(|| !controller.totals()[0].failed.is_empty()).await;
    let off = ProxyPatch { enabled: Some(false), ..ProxyPatch::default() };
    controller.update("p", off).await.unwrap();
    let seen = scraper.scrape(&controller);
    assert_eq!(seen["sabot_connections_failed_total{proxy=p,reason=toxic}"], 1.0);
    assert_eq!((seen["sabot_held_bytes{proxy=p}"], seen["sabot_connections_open{proxy=p}"]), (0.0, 0.0));
}
