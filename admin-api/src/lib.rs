//! The HTTP API of Sabot, thin over one [`Controller`](sabot_proxy::Controller).
//!
//! | module | what is in it |
//! |---|---|
//! | [`classic`] | Toxiproxy's routes: lenient, byte for byte where clients look |
//! | `v1` | Sabot's own routes: strict, every refusal names its field |
//! | `injections` | injections, schedules and the audit |
//! | `changes` | the audit of all other changes |
//! | `openapi` | the description of both, from the handlers and the catalog |
//! | [`metrics`] | Prometheus text |
//! | `security` | Host, Origin and browsers; tokens, and what each route takes |
//! | `stream` | server-sent events |
//! | `app` | the router and what requests share |
//! | `server`, `places` | sockets and their limits |
//!
//! No route waits for the data plane, and none knows a kind of toxic by name.

mod app;
mod changes;
pub mod classic;
mod error;
mod extract;
mod injections;
pub mod metrics;
mod openapi;
mod options;
mod places;
mod security;
mod server;
mod stream;
mod trace;
mod v1;

pub use app::router;
pub use openapi::document as openapi;
pub use options::{ApiOptions, Experiments};
pub use server::serve;
