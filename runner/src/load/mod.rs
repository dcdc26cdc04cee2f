//! An open-model load: requests start when the schedule says, whatever became of those before.
//!
//! Map, in the order in which a request passes through it:
//!
//! - [`plan`]: the load as people write it;
//! - [`profile`], [`arrivals`]: when each request is meant to start;
//! - [`mix`]: which endpoint it goes to, and for whom;
//! - [`template`]: what it says;
//! - [`kinds`]: HTTP, gRPC, Redis, SQL: one file each, one list;
//! - [`sink`]: where what became of each request goes while the load runs;
//! - [`summary`]: the numbers of the whole.

pub mod arrivals;
mod code;
pub mod kinds;
pub mod mix;
pub mod plan;
pub mod profile;
pub mod sink;
pub mod summary;
pub(crate) mod template;

pub use code::Code;
pub use plan::{Class, Endpoint, Plan};
pub use sink::{Batch, Sink};
pub use summary::Summary;
