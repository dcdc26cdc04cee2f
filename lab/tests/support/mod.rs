//! The shop in this process, on free ports, without Sabot between.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]
#![allow(dead_code, reason = "each test file uses its share")]

use std::net::TcpListener;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use sabot_lab::{
    ApiOptions, Behaviour, Common, LabError, Listeners, Memory, Mitigations, OrdersOptions, Service,
    StoreOptions,
};
use serde_json::{Value, json};
use tokio::sync::watch;

/// Far longer than anything takes: a hang becomes a failure.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// api, two replicas of orders with one store, payments; they end with the test's runtime.
pub(crate) struct Shop {
    pub(crate) api: At,
    pub(crate) orders: [At; 2],
    pub(crate) payments: At,
    client: Client<HttpConnector, Full<Bytes>>,
    _stop: watch::Sender<bool>,
}

/// Where a service is.
#[derive(Clone)]
pub(crate) struct At {
    pub(crate) address: String,
    pub(crate) control: String,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Said {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Shop {
    pub(crate) fn open(on: Mitigations) -> Self {
        Self::open_with(on, None)
    }

    /// `payments` may lead elsewhere.
    pub(crate) fn open_with(on: Mitigations, payments_at: Option<String>) -> Self {
        let (stop, stopping) = watch::channel(false);
        let serve = |name: &str, make: &dyn Fn(&Common) -> Result<Service, LabError>| {
            let common = Common { name: name.into(), secret: "shared".into(), mitigations: on, seed: 7 };
            let listeners = Listeners {
                requests: TcpListener::bind("127.0.0.1:0").unwrap(),
                control: TcpListener::bind("127.0.0.1:0").unwrap(),
            };
            let url = |listener: &TcpListener| format!("http://{}", listener.local_addr().unwrap());
            let at = At { address: url(&listeners.requests), control: url(&listeners.control) };
            tokio::spawn(make(&common).unwrap().serve(listeners, stopping.clone()));
            at
        };
        let payments = serve("payments", &|common| sabot_lab::payments(common, Behaviour::default()));
        let options = OrdersOptions {
            payments: payments_at.unwrap_or_else(|| payments.address.clone()),
            store: StoreOptions::Memory(Memory::preloaded(2, 10)),
        };
        let orders =
            ["orders-1", "orders-2"].map(|name| serve(name, &|common| sabot_lab::orders(common, &options)));
        let addresses = orders.iter().map(|replica| replica.address.clone()).collect();
        let options = ApiOptions { orders: addresses, token_lasts: Duration::from_secs(60) };
        let api = serve("api", &|common| sabot_lab::api(common, &options));
        let client = Client::builder(TokioExecutor::new()).build(HttpConnector::new());
        Self { api, orders, payments, client, _stop: stop }
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        url: String,
        headers: &[(&str, &str)],
        body: &Value,
    ) -> Said {
        let mut request = http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = if body.is_null() { Bytes::new() } else { body.to_string().into() };
        let answer = self.client.request(request.body(Full::new(body)).unwrap());
        let answer = tokio::time::timeout(PATIENCE, answer).await.unwrap().unwrap();
        let status = answer.status().as_u16();
        let body = answer.into_body().collect().await.unwrap().to_bytes();
        let text = || Value::String(String::from_utf8_lossy(&body).into_owned());
        Said { status, body: serde_json::from_slice(&body).unwrap_or_else(|_| text()) }
    }

    /// The header of a token for `tenant`.
    pub(crate) async fn token(&self, tenant: &str) -> String {
        let said =
            self.ask("POST", format!("{}/tokens", self.api.address), &[], &json!({"tenant": tenant})).await;
        format!("Bearer {}", said.body["token"].as_str().unwrap())
    }

    pub(crate) async fn find(&self, token: &str, id: &str) -> Said {
        let url = format!("{}/orders/{id}", self.api.address);
        self.ask("GET", url, &[("authorization", token)], &Value::Null).await
    }

    pub(crate) async fn place(&self, token: &str, key: &str, amount_cents: u64) -> Said {
        let headers = [("authorization", token), ("idempotency-key", key)];
        let order = json!({"item": "shoe", "amount_cents": amount_cents});
        self.ask("POST", format!("{}/orders", self.api.address), &headers, &order).await
    }

    pub(crate) async fn behave(&self, behaviour: Value) {
        let said = self.ask("PUT", format!("{}/behaviour", self.payments.control), &[], &behaviour).await;
        assert_eq!(said.status, 200, "{said:?}");
    }

    pub(crate) async fn charges(&self) -> Value {
        self.ask("GET", format!("{}/charges", self.payments.control), &[], &Value::Null).await.body
    }

    /// The sum of the series of a metric at one service whose labels contain `labels`.
    pub(crate) async fn metric(&self, at: &At, name: &str, labels: &str) -> f64 {
        let text = self.ask("GET", format!("{}/metrics", at.control), &[], &Value::Null).await.body;
        let of_it = |line: &&str| line.starts_with(&format!("{name}{{")) && line.contains(labels);
        let lines = text.as_str().unwrap().lines().filter(of_it);
        lines.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
    }

    /// Asks until it is so.
    pub(crate) async fn until<F: Future<Output = bool>>(&self, what: &str, mut so: impl FnMut() -> F) {
        let asked = async {
            while !so().await {
                tokio::task::yield_now().await;
            }
        };
        assert!(tokio::time::timeout(PATIENCE, asked).await.is_ok(), "not in time: {what}");
    }
}
