//! Orders in Redis, in front of the replica: read first, filled after, removed by a write.

use std::time::Duration;

use redis::aio::{ConnectionManager, ConnectionManagerConfig};
use redis::{AsyncCommands, Client};
use tower::BoxError;

use super::Order;
use crate::error::LabError;
use crate::guard::{Answer, CallError, Guard, Limits, NAIVE_TIMEOUT};
use crate::metrics::{CACHE, Meter};
use crate::mitigation::Mitigations;
use crate::slots::Slots;

const CONNECT: Duration = Duration::from_secs(10);
/// How long what a write could not remove may be read.
const KEPT_S: u64 = 30;
/// Commands at once, over one connection.
const COMMANDS: usize = 32;
const LIMITS: Limits = Limits { timeout: Duration::from_millis(75), share: 24 };

/// The cache.
pub(super) struct Cache {
    connection: ConnectionManager,
    slots: Slots,
    guard: Guard,
    meter: Meter,
}

/// What a command gave.
struct Got<T>(T);

impl<T: Send + 'static> Answer for Got<T> {
    fn is_failure(&self) -> bool {
        false
    }
}

impl Cache {
    /// `url` as Redis has it: `redis://HOST:PORT`. Connects at the first command.
    pub(super) fn new(meter: &Meter, url: &str) -> Result<Self, LabError> {
        let wrong = |error: redis::RedisError| LabError::Address {
            address: url.to_owned(),
            reason: error.to_string(),
        };
        // Set, or the driver's own 0.5 s and 1 s would be measured.
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(CONNECT))
            .set_response_timeout(Some(NAIVE_TIMEOUT))
            .set_number_of_retries(1);
        let client = Client::open(url).map_err(wrong)?;
        Ok(Self {
            connection: ConnectionManager::new_lazy_with_config(client, config).map_err(wrong)?,
            slots: Slots::new(meter, "redis", COMMANDS),
            guard: Guard::new(meter, "redis", "cache", LIMITS),
            meter: meter.clone(),
        })
    }

    /// The order, if it is there. Whether a failure matters is for the caller to say.
    pub(super) async fn find(&self, on: Mitigations, id: &str) -> Result<Option<Order>, CallError> {
        let (connection, slots, key) = (self.connection.clone(), self.slots.clone(), key(id));
        let read = move || {
            let (mut connection, slots, key) = (connection.clone(), slots.clone(), key.clone());
            async move {
                let _slot = slots.take().await?;
                let json: Option<String> = connection.get(key).await?;
                Ok::<_, BoxError>(Got(json))
            }
        };
        let result = self.guard.call(on, read).await;
        // What is no order is as good as nothing: it is written anew.
        let found = result.map(|Got(json)| json.and_then(|json| serde_json::from_str(&json).ok()));
        let outcome = match &found {
            Ok(Some(_)) => "hit",
            Ok(None) => "miss",
            Err(_) => "failed",
        };
        self.meter.count(CACHE, &[("outcome", outcome)]);
        found
    }

    pub(super) async fn keep(&self, on: Mitigations, order: &Order) -> Result<(), CallError> {
        let Ok(json) = serde_json::to_string(order) else { return Ok(()) };
        let (connection, slots, key) = (self.connection.clone(), self.slots.clone(), key(&order.id));
        let write = move || {
            let (mut connection, slots) = (connection.clone(), slots.clone());
            let (key, json) = (key.clone(), json.clone());
            async move {
                let _slot = slots.take().await?;
                let (): () = connection.set_ex(key, json, KEPT_S).await?;
                Ok::<_, BoxError>(Got(()))
            }
        };
        self.guard.call(on, write).await.map(|Got(())| ())
    }

    pub(super) async fn forget(&self, on: Mitigations, id: &str) -> Result<(), CallError> {
        let (connection, slots, key) = (self.connection.clone(), self.slots.clone(), key(id));
        let remove = move || {
            let (mut connection, slots, key) = (connection.clone(), slots.clone(), key.clone());
            async move {
                let _slot = slots.take().await?;
                let (): () = connection.del(key).await?;
                Ok::<_, BoxError>(Got(()))
            }
        };
        self.guard.call(on, remove).await.map(|Got(())| ())
    }

    pub(super) fn publish(&self, on: Mitigations) {
        self.guard.publish(on);
    }
}

fn key(id: &str) -> String {
    format!("order:{id}")
}
