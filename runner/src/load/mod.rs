//! An open-model load: requests start when the schedule says, whatever became of those before.
//!
//! Map, in the order in which a request passes through it:
//!
//! - [`plan`]: the load as people write it;
//! - [`kinds`]: HTTP, gRPC, Redis, SQL: one file each, one list;
//! - [`sink`]: where what became of each request goes while the load runs;
//! - [`summary`]: the numbers of the whole.

mod code;
pub mod kinds;
pub mod plan;
pub mod sink;
pub mod summary;

pub use code::Code;
pub use plan::{Class, Endpoint, Plan};
pub use sink::{Batch, Sink};
pub use summary::Summary;
