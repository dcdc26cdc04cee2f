//! Where orders are kept.
//!
//! | module | what is in it |
//! |---|---|
//! | `memory` | in this process, shared by the replicas that run in it |

mod memory;

use serde::Serialize;

use crate::guard::CallError;
use crate::mitigation::Mitigations;
pub use memory::Memory;

/// Preloaded orders are numbered from 1; new ones from here on.
pub(crate) const FIRST_NEW: u64 = 1_000_001;

/// An order, as it is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Order {
    /// `TENANT-NUMBER`.
    pub id: String,
    pub tenant: String,
    pub item: String,
    pub amount_cents: u64,
    pub status: Status,
}

/// How far an order has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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

/// A store of either kind. Clones are the same store.
#[derive(Clone)]
pub enum Store {
    /// In this process.
    Memory(Memory),
}

impl Store {
    /// The order with that id, whoever it belongs to.
    pub(crate) async fn find(&self, _on: Mitigations, id: &str) -> Result<Option<Order>, StoreError> {
        match self {
            Self::Memory(memory) => Ok(memory.find(id)),
        }
    }

    /// Places an order with its payment pending, once for each key of a tenant.
    pub(crate) async fn place(&self, _on: Mitigations, new: &NewOrder) -> Result<Placed, StoreError> {
        match self {
            Self::Memory(memory) => memory.place(new),
        }
    }

    /// Says that an order is paid.
    pub(crate) async fn paid(&self, _on: Mitigations, id: &str) -> Result<(), StoreError> {
        match self {
            Self::Memory(memory) => memory.paid(id),
        }
        Ok(())
    }
}
