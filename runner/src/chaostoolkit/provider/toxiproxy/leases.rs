//! The end that Sabot gives to a toxic of an experiment, whatever becomes of the experiment.
//!
//! A file says when a toxic begins and, in a rollback, that it ends; nothing in it says how long it may
//! take. So the server is asked for an expiry that is short, and it is put off while the experiment runs.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::MissedTickBehavior;

use super::{LIMIT, Server, encode, is_ok};
use crate::fetch::{Fetch, fetch};

/// What a toxic outlives the experiment by, at most.
const LEASE: Duration = Duration::from_secs(60);

/// Two of them may be lost before a toxic is.
const RENEWAL: Duration = Duration::from_secs(15);

/// The toxics that an experiment has set, those it has removed among them.
#[derive(Clone, Default)]
pub(in crate::chaostoolkit) struct Leases(Arc<Mutex<Vec<Lease>>>);

#[derive(Clone, PartialEq, Eq)]
struct Lease {
    proxy: String,
    toxic: String,
    server: Server,
}

impl Lease {
    fn url(&self) -> String {
        format!("{}/v1/proxies/{}/toxics/{}", self.server.url, encode(&self.proxy), encode(&self.toxic))
    }
}

/// The condition under which a toxic is set; a Toxiproxy passes over it.
pub(super) fn condition() -> Value {
    json!({"expires_after": LEASE.as_millis() as u64})
}

impl Leases {
    /// A toxic was set on that server, or may have been.
    pub(super) fn begin(&self, server: &Server, proxy: &str, toxic: &str) {
        let lease = Lease { proxy: proxy.to_owned(), toxic: toxic.to_owned(), server: server.clone() };
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !all.contains(&lease) {
            all.push(lease);
        }
    }

    /// Puts their ends off for as long as this is polled.
    pub(in crate::chaostoolkit) async fn keep(self) {
        let mut ticks = tokio::time::interval(RENEWAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let body = json!({"when": condition()});
            // What is gone needs none, and what could not be reached is asked again.
            self.ask("PATCH", Some(&body)).await;
        }
    }

    /// Those that are still on, each with its end.
    pub(in crate::chaostoolkit) async fn left(&self) -> Vec<String> {
        let told = |lease: &Lease| {
            let (Lease { proxy, toxic, .. }, seconds) = (lease, LEASE.as_secs());
            format!("the toxic {toxic} stays on {proxy} for {seconds} s more: no rollback took it away")
        };
        self.ask("GET", None).await.iter().map(told).collect()
    }

    /// Those that the server knows.
    async fn ask(&self, method: &str, body: Option<&Value>) -> Vec<Lease> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let asked = all.into_iter().map(|lease| async move {
            let (url, headers) = (lease.url(), lease.server.headers());
            let request = Fetch { method, url: &url, headers: &headers, body, limit: LIMIT };
            fetch(&request).await.is_ok_and(|answer| is_ok(&answer)).then_some(lease)
        });
        futures_util::future::join_all(asked).await.into_iter().flatten().collect()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn ends_are_put_off() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let leases = Leases::default();
        leases.begin(&Server { url, token: Some("sabot_x".to_owned()) }, "svc 1", "slow");
        let kept = tokio::spawn(leases.keep());
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = String::new();
        while !asked.contains("}}") {
            let mut bytes = [0; 1024];
            let read = stream.read(&mut bytes).await.unwrap();
            assert_ne!(read, 0, "{asked}");
            asked += std::str::from_utf8(&bytes[..read]).unwrap();
        }
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").await.unwrap();
        kept.abort();
        assert!(asked.starts_with("PATCH /v1/proxies/svc%201/toxics/slow "), "{asked}");
        assert!(asked.contains("authorization: Bearer sabot_x"), "{asked}");
        assert!(asked.ends_with("{\"when\":{\"expires_after\":60000}}"), "{asked}");
    }
}
