//! Orders in PostgreSQL: written to the primary, read from the replica, with Redis in front.
//!
//! | what fails | with degradation | without |
//! |---|---|---|
//! | Redis, on a read | the replica is read | the read fails |
//! | the replica | the primary is read | the read fails |
//! | Redis, on a write | the cache forgets by itself, within its 30 s | the write fails |
//! | the primary | the write fails | the write fails |

use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use super::cache::Cache;
use super::postgres::{Postgres, Rows};
use super::{NewOrder, Order, Placed, Status, StoreError};
use crate::draws::Draws;
use crate::error::LabError;
use crate::guard::{CallError, Guard, Limits, Retries};
use crate::metrics::{DEGRADED, Meter};
use crate::mitigation::{Mitigation, Mitigations};

const CONNECTIONS: usize = 16;
/// A new connection needs three round trips before its first answer.
const WRITE: Limits = Limits { timeout: Duration::from_secs(1), share: 24 };
/// Short: what is left of the caller's 300 ms is for the primary.
const READ: Limits = Limits { timeout: Duration::from_millis(100), share: 16 };

const FIND: &str = "SELECT id, tenant, item, amount_cents, status FROM orders WHERE id = $1";
const PLACE: &str = "INSERT INTO orders (id, tenant, item, amount_cents, status, idempotency_key) \
    VALUES ($1 || '-' || nextval('order_numbers'), $1, $2, $3, 'payment_pending', $4) \
    ON CONFLICT (tenant, idempotency_key) DO NOTHING \
    RETURNING id, tenant, item, amount_cents, status";
const FIND_BY_KEY: &str =
    "SELECT id, tenant, item, amount_cents, status FROM orders WHERE tenant = $1 AND idempotency_key = $2";
const PAID: &str = "UPDATE orders SET status = 'paid' WHERE id = $1";

/// Where the servers are.
#[derive(Clone, Debug)]
pub struct RealOptions {
    /// The primary, as libpq has it: `host=… port=… user=… dbname=…`.
    pub primary: String,
    /// The streaming replica.
    pub replica: String,
    /// Redis: `redis://HOST:PORT`.
    pub redis: String,
}

/// A store in PostgreSQL and Redis.
pub(crate) struct Real {
    primary: Server,
    replica: Server,
    cache: Cache,
    meter: Meter,
}

/// One PostgreSQL, and what stands around its calls.
struct Server {
    pool: Postgres,
    guard: Guard,
    retries: Retries,
}

impl Real {
    pub(super) fn new(meter: &Meter, options: &RealOptions, seed: u64) -> Result<Self, LabError> {
        let server = |name, class, settings, limits| {
            Ok::<_, LabError>(Server {
                pool: Postgres::new(meter, name, settings, CONNECTIONS)?,
                guard: Guard::new(meter, name, class, limits),
                retries: Retries::new(meter, name, Draws::new(seed, &format!("retries of {name}"))),
            })
        };
        Ok(Self {
            primary: server("primary", "write", &options.primary, WRITE)?,
            replica: server("replica", "read", &options.replica, READ)?,
            cache: Cache::new(meter, &options.redis)?,
            meter: meter.clone(),
        })
    }

    pub(super) async fn find(&self, on: Mitigations, id: &str) -> Result<Option<Order>, StoreError> {
        match self.cache.find(on, id).await {
            Ok(Some(order)) => return Ok(Some(order)),
            Ok(None) => {}
            Err(error) => self.degrade(on, "cache_bypassed", error)?,
        }
        // Where the primary stands in, trying the replica again would only cost the time for it.
        let rows = if on.has(Mitigation::Degradation) {
            self.replica.attempt(on, FIND, vec![text(id)]).await
        } else {
            self.replica.query(on, FIND, vec![text(id)]).await
        };
        let rows = match rows {
            Ok(rows) => rows,
            Err(error) => {
                self.degrade(on, "replica_bypassed", error)?;
                self.primary.query(on, FIND, vec![text(id)]).await?
            }
        };
        let Some(order) = rows.0.first().map(order).transpose()? else { return Ok(None) };
        if let Err(error) = self.cache.keep(on, &order).await {
            self.degrade(on, "cache_bypassed", error)?;
        }
        Ok(Some(order))
    }

    pub(super) async fn place(&self, on: Mitigations, new: &NewOrder) -> Result<Placed, StoreError> {
        let amount: Value = Arc::new(i64::try_from(new.amount_cents).unwrap_or(i64::MAX));
        let values = vec![text(&new.tenant), text(&new.item), amount, text(&new.key)];
        let placed = self.primary.query(on, PLACE, values).await?;
        if let Some(row) = placed.0.first() {
            return Ok(Placed::New(order(row)?));
        }
        let found = self.primary.query(on, FIND_BY_KEY, vec![text(&new.tenant), text(&new.key)]).await?;
        let Some(order) = found.0.first().map(order).transpose()? else {
            return Err(unreadable("the order that has this key is gone"));
        };
        let same = order.item == new.item && order.amount_cents == new.amount_cents;
        Ok(if same { Placed::Again(order) } else { Placed::KeyReused })
    }

    pub(super) async fn paid(&self, on: Mitigations, id: &str) -> Result<(), StoreError> {
        self.primary.query(on, PAID, vec![text(id)]).await?;
        match self.cache.forget(on, id).await {
            Ok(()) => Ok(()),
            Err(error) => self.degrade(on, "cache_not_invalidated", error),
        }
    }

    /// Whether orders can be placed.
    pub(super) async fn ready(&self) -> Result<(), String> {
        let on = Mitigations::NONE.with(Mitigation::Timeout, true);
        let asked = self.primary.query(on, "SELECT id FROM orders LIMIT 1", Vec::new()).await;
        asked.map(|_| ()).map_err(|error| error.to_string())
    }

    pub(super) fn publish(&self, on: Mitigations) {
        for server in [&self.primary, &self.replica] {
            server.pool.publish();
            server.guard.publish(on);
        }
        self.cache.publish(on);
    }

    /// Goes on without what failed, or fails with it.
    fn degrade(&self, on: Mitigations, how: &'static str, error: CallError) -> Result<(), StoreError> {
        if !on.has(Mitigation::Degradation) {
            return Err(error.into());
        }
        self.meter.count(DEGRADED, &[("how", how)]);
        Ok(())
    }
}

type Value = Arc<dyn ToSql + Send + Sync>;

fn text(text: &str) -> Value {
    Arc::new(text.to_owned())
}

impl Server {
    /// Every statement here may be made again: what it does is done once.
    async fn query(
        &self,
        on: Mitigations,
        statement: &'static str,
        values: Vec<Value>,
    ) -> Result<Rows, CallError> {
        self.retries.run(on, || self.attempt(on, statement, values.clone())).await
    }

    async fn attempt(
        &self,
        on: Mitigations,
        statement: &'static str,
        values: Vec<Value>,
    ) -> Result<Rows, CallError> {
        let pool = self.pool.clone();
        let query = move || {
            let (pool, values) = (pool.clone(), values.clone());
            async move {
                let values: Vec<&(dyn ToSql + Sync)> = values.iter().map(|it| &**it as _).collect();
                pool.query(statement, &values).await
            }
        };
        self.guard.call(on, query).await
    }
}

fn order(row: &Row) -> Result<Order, StoreError> {
    let read = || {
        let amount: i64 = row.try_get(3)?;
        let status: &str = row.try_get(4)?;
        Ok::<_, tokio_postgres::Error>(Order {
            id: row.try_get(0)?,
            tenant: row.try_get(1)?,
            item: row.try_get(2)?,
            amount_cents: amount.unsigned_abs(),
            status: if status == "paid" { Status::Paid } else { Status::PaymentPending },
        })
    };
    read().map_err(|error| unreadable(&error.to_string()))
}

fn unreadable(reason: &str) -> StoreError {
    CallError::Failed("primary".into(), reason.into()).into()
}
