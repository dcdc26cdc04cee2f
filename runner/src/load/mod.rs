//! An open-model load: requests start when the schedule says, whatever became of those before.
//!
//! Map, in the order in which a request passes through it:
//!
//! - [`plan`]: the load as people write it;
//! - [`profile`], [`arrivals`]: when each request is meant to start;
//! - [`mix`]: which endpoint it goes to, and for whom;
//! - `template`: what it says;
//! - [`kinds`]: HTTP, gRPC, Redis, SQL: one file each, one list;
//! - [`Load`]: a plan, checked and ready; [`Running`]: a load under way;
//! - [`sink`]: where what became of each request goes while the load runs;
//! - [`Recorder`]: keeps what is needed of it; [`summary`]: the numbers of the whole.

pub mod arrivals;
mod code;
mod engine;
pub mod kinds;
pub mod mix;
pub mod plan;
pub mod profile;
mod ready;
mod recorder;
pub mod sink;
pub mod summary;
mod target;
pub(crate) mod template;

pub use code::Code;
pub use engine::{Ended, LoadError, Running, Stopper};
pub use plan::{Class, Endpoint, Plan};
pub use ready::Load;
pub(crate) use ready::Ready;
pub use recorder::Recorder;
pub use sink::{Batch, Sink};
pub use summary::Summary;
