//! Relays over real loopback sockets, in virtual time unless a test says otherwise.

mod ends;
mod integrity;
mod timing;

use std::sync::Arc;
use std::time::Duration;

use sabot_toxics::{ConnKey, Entry, Plan, Seed, Time, ToxicSpec};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::budget::Budget;
use super::{ConnShared, Policy, Reason, relay};
use crate::net::timers::virtual_time::VirtualClock;
use crate::net::{Clock, Stream};

/// A connection through a relay, seen from both its ends.
pub(super) struct Rig {
    pub(super) client: TcpStream,
    pub(super) upstream: TcpStream,
    pub(super) shared: Arc<ConnShared>,
    pub(super) clock: VirtualClock,
    pub(super) relay: JoinHandle<Reason>,
}

impl Rig {
    /// A relay under these toxics, in virtual time.
    pub(super) async fn new(toxics: &[Value]) -> Self {
        Self::within(toxics, usize::MAX).await
    }

    /// As [`Self::new`], under a budget for the process.
    pub(super) async fn within(toxics: &[Value], budget: usize) -> Self {
        let clock = VirtualClock::default();
        let (client, inner_client) = pair().await;
        let (inner_upstream, upstream) = pair().await;
        let shared = shared(plan(toxics), budget);
        let relayed =
            relay(Stream::Tcp(inner_client), Stream::Tcp(inner_upstream), Arc::clone(&shared), clock.clone());
        let relay = tokio::spawn(relayed);
        Self { client, upstream, shared, clock, relay }
    }

    /// Changes the plan as the controller does.
    pub(super) fn set(&self, toxics: &[Value]) {
        self.shared.policy.set_plan(plan(toxics));
        self.shared.wake();
    }

    /// Waits until the relay waits for a deadline, and moves time there.
    pub(super) async fn next_deadline(&self) -> Duration {
        let next = loop {
            match self.clock.next_deadline() {
                Some(next) => break next,
                None => tokio::task::yield_now().await,
            }
        };
        let span = next.saturating_since(self.clock.now());
        self.clock.advance(span);
        span
    }
}

/// Two connected sockets.
pub(super) async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let connected = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    (connected, accepted)
}

pub(super) fn shared(plan: Arc<Plan>, budget: usize) -> Arc<ConnShared> {
    let budget = Arc::new(Budget::new(budget));
    let policy = Policy::new(plan, 64 << 20, budget, Box::new(|_, _| {}));
    let key = ConnKey { number: 1, client: None, seed: Seed::new(7) };
    Arc::new(ConnShared::new(1, key, None, "upstream:1".into(), Time::ZERO, Arc::new(policy)))
}

/// A plan of toxics, each with its place as its id.
pub(super) fn plan(toxics: &[Value]) -> Arc<Plan> {
    let entries = toxics.iter().zip(1..).map(|(toxic, id)| {
        let spec: ToxicSpec = serde_json::from_value(toxic.clone()).unwrap();
        Arc::new(Entry::new(spec, id, Time::ZERO, 1).unwrap())
    });
    Arc::new(Plan::new(entries.collect()))
}

/// A toxic with its attributes.
#[allow(clippy::needless_pass_by_value, reason = "the argument is `json!({…})`, made on the spot")]
pub(super) fn toxic(kind: &str, stream: &str, attributes: Value) -> Value {
    json!({"type": kind, "stream": stream, "attributes": attributes})
}

/// Pseudo-random bytes that tell where they stand in the stream.
pub(super) struct Noise(u64);

impl Noise {
    pub(super) fn new() -> Self {
        Self(0x9e37_79b9_7f4a_7c15)
    }

    pub(super) fn fill(&mut self, buf: &mut [u8]) {
        for chunk in buf.chunks_mut(8) {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            chunk.copy_from_slice(&self.0.to_le_bytes()[..chunk.len()]);
        }
    }
}
