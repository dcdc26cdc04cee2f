//! The lab: a small shop to break. `api` → `orders` → `payments`.
//!
//! It is the system under test and must not know that it is tested: no crate of
//! this workspace is used here. What is true of real services is true of these:
//! workers, connections and queues are limited, so that a slow dependency is felt
//! far from where it is; and what protects them can be switched on and off.
//!
//! Map:
//!
//! - [`api`], [`orders`], [`payments`] make the services, [`Service`] serves them;
//! - `token`, `store`: who asks, and what for;
//! - `admission` is how a request gets in, `dependency`, `guard`, `http_pool`,
//!   `slots` how a call gets out;
//! - [`Mitigation`] lists what protects them, `control` switches it;
//! - [`run()`] makes services a process, [`up`] makes processes a lab;
//! - `metrics` has the name of everything that is counted.
//!
//! Not here: the faults, and the load.

mod admission;
mod api;
mod control;
mod dependency;
mod draws;
mod error;
mod guard;
mod http_pool;
mod metrics;
mod mitigation;
mod orders;
mod payments;
mod reply;
mod run;
mod service;
mod slots;
mod store;
mod token;
pub mod up;

pub use api::{ApiOptions, api};
pub use error::LabError;
pub use mitigation::{Mitigation, Mitigations, Switches, Unknown};
pub use orders::{OrdersOptions, orders};
pub use payments::{Behaviour, payments};
pub use run::{Instance, Listen, Sockets, run};
pub use service::{Common, Listeners, Service};
pub use store::{Memory, RealOptions, StoreOptions};
