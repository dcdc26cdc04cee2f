//! A bounded pool of connections to one PostgreSQL.

use std::time::Duration;

use deadpool_postgres::{Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime};
use metrics::Gauge;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Config, NoTls, Row};
use tower::BoxError;

use crate::error::LabError;
use crate::guard::{Answer, NAIVE_TIMEOUT};
use crate::metrics::{Meter, POOL_IN_USE, POOL_SIZE, POOL_WAITING};

/// Connecting, explicit since a system's own limit is minutes.
const CONNECT: Duration = Duration::from_secs(10);

/// Connections to one server. Clones share them.
#[derive(Clone)]
pub(super) struct Postgres {
    pool: Pool,
    in_use: Gauge,
    waiting: Gauge,
}

/// Rows of an answer.
pub(super) struct Rows(pub Vec<Row>);

impl Answer for Rows {
    /// A server that cannot do it answers with an error, which is none of these.
    fn is_failure(&self) -> bool {
        false
    }
}

impl Postgres {
    /// `settings` as libpq has them: `host=… port=… user=… dbname=…`.
    pub(super) fn new(meter: &Meter, name: &str, settings: &str, size: usize) -> Result<Self, LabError> {
        let wrong = |reason: String| LabError::Address { address: settings.to_owned(), reason };
        let mut config: Config =
            settings.parse().map_err(|error: tokio_postgres::Error| wrong(error.to_string()))?;
        config.connect_timeout(CONNECT).tcp_user_timeout(NAIVE_TIMEOUT).application_name("sabot-lab");
        // Which statements can be prepared is asked of nobody: a connection that broke says so when used.
        let manager_config = ManagerConfig { recycling_method: RecyclingMethod::Fast };
        let pool = Pool::builder(Manager::from_config(config, NoTls, manager_config))
            .max_size(size)
            // The guard has its own, shorter limit where the mitigation is on.
            .wait_timeout(Some(NAIVE_TIMEOUT))
            .create_timeout(Some(CONNECT))
            .recycle_timeout(Some(CONNECT))
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let labels = [("pool", name)];
        meter.gauge(POOL_SIZE, &labels).set(size as f64);
        let (in_use, waiting) = (meter.gauge(POOL_IN_USE, &labels), meter.gauge(POOL_WAITING, &labels));
        Ok(Self { pool, in_use, waiting })
    }

    /// One statement. Cancel safe: its connection is closed then, since an answer
    /// that nobody waits for would stand before the next one.
    pub(super) async fn query(
        &self,
        statement: &'static str,
        values: &[&(dyn ToSql + Sync)],
    ) -> Result<Rows, BoxError> {
        let mut lease = Lease(Some(self.pool.get().await?));
        let Some(client) = &lease.0 else { return Err("the connection is gone".into()) };
        let prepared = client.prepare_cached(statement).await?;
        let rows = client.query(&prepared, values).await?;
        // Answered in full: the connection may go back to the pool.
        drop(lease.0.take());
        Ok(Rows(rows))
    }

    pub(super) fn publish(&self) {
        let status = self.pool.status();
        self.in_use.set(status.size.saturating_sub(status.available) as f64);
        self.waiting.set(status.waiting as f64);
    }
}

/// A connection that is closed unless its statement came to an end.
struct Lease(Option<Object>);

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}
