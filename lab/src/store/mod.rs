//! Where orders are kept.
//!
//! | module | what is in it |
//! |---|---|
//! | `memory` | in this process, shared by the replicas that run in it |
//! | `real` | in PostgreSQL, a primary and a replica |
//! | `postgres`, `cache` | the pools and Redis that `real` is made of |
//! | `schema.sql` | its tables |

mod cache;
mod memory;
mod postgres;
mod real;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::guard::CallError;
use crate::metrics::Meter;
use crate::mitigation::Mitigations;
pub use memory::Memory;
use real::Real;
pub use real::RealOptions;

/// Preloaded orders are numbered from 1; new ones from here on, as in [`SCHEMA`].
pub(crate) const FIRST_NEW: u64 = 1_000_001;

/// Makes the tables of a real store, and fills them.
pub(crate) const SCHEMA: &str = include_str!("schema.sql");

/// An order, as it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Order {
    /// `TENANT-NUMBER`.
    pub id: String,
    pub tenant: String,
    pub item: String,
    pub amount_cents: u64,
    pub status: Status,
}

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Accepted; the payment is still to be made.
    PaymentPending,
    Paid,
}

/// An order to be placed.
#[derive(Clone, Debug)]
pub(crate) struct NewOrder {
    pub tenant: String,
    pub item: String,
    pub amount_cents: u64,
    /// The same key means the same order.
    pub key: String,
}

/// What became of placing an order.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Placed {
    New(Order),
    /// The key was used for this very order before.
    Again(Order),
    /// The key was used for another order before.
    KeyReused,
}

/// Why the store did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StoreError {
    #[error("the store of orders is full")]
    Full,
    #[error(transparent)]
    Call(#[from] CallError),
}

/// Where orders are to be kept.
#[derive(Clone)]
pub enum StoreOptions {
    /// In this process; clones are the same store.
    Memory(Memory),
    /// In PostgreSQL and Redis.
    Real(RealOptions),
}

/// A store of either kind. Clones are the same store.
#[derive(Clone)]
pub(crate) enum Store {
    Memory(Memory),
    Real(Arc<Real>),
}

impl Store {
    pub(crate) fn new(meter: &Meter, options: &StoreOptions, seed: u64) -> Result<Self, LabError> {
        Ok(match options {
            StoreOptions::Memory(memory) => Self::Memory(memory.clone()),
            StoreOptions::Real(options) => Self::Real(Arc::new(Real::new(meter, options, seed)?)),
        })
    }

    /// The order with that id, whoever it belongs to.
    pub(crate) async fn find(&self, on: Mitigations, id: &str) -> Result<Option<Order>, StoreError> {
        match self {
            Self::Memory(memory) => Ok(memory.find(id)),
            Self::Real(real) => real.find(on, id).await,
        }
    }

    /// Places an order with its payment pending, once for each key of a tenant.
    pub(crate) async fn place(&self, on: Mitigations, new: &NewOrder) -> Result<Placed, StoreError> {
        match self {
            Self::Memory(memory) => memory.place(new),
            Self::Real(real) => real.place(on, new).await,
        }
    }

    /// Says that an order is paid.
    pub(crate) async fn paid(&self, on: Mitigations, id: &str) -> Result<(), StoreError> {
        match self {
            Self::Memory(memory) => memory.paid(id),
            Self::Real(real) => real.paid(on, id).await?,
        }
        Ok(())
    }

    /// Whether orders can be placed; if not, why.
    pub(crate) async fn ready(&self) -> Result<(), String> {
        match self {
            Self::Memory(_) => Ok(()),
            Self::Real(real) => real.ready().await,
        }
    }

    pub(crate) fn publish(&self, on: Mitigations) {
        if let Self::Real(real) = self {
            real.publish(on);
        }
    }
}
