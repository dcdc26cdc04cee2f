//! What each fault does to a stream or a request: pure, repeatable, testable without a socket.
//!
//! No socket, no task, no clock and no global chance live here: bytes, time and
//! seeds are arguments. The rooms:
//!
//! | module | what is in it |
//! |---|---|
//! | [`toxic`] | the trait that a fault of a stream implements |
//! | [`connect`] | the trait that a fault of the connect phase implements |
//! | [`mod@http`] | the trait that a fault of HTTP requests implements, and which requests it meets |
//! | [`tls`] | the trait that a fault of TLS implements |
//! | [`mod@kinds`] | every fault: one file each, one list |
//! | [`catalog`] | what derives from that list: schema, validation, docs |
//! | [`spec`], [`when`], [`units`] | a toxic as people ask for it |
//! | [`plan`] | the toxics of a proxy, and which connection draws which |
//! | [`pipeline`] | the chain of toxics on one direction of a connection |
//! | [`seed`], [`distribution`] | chance |
//! | [`percentiles()`] | a delay by its median and its 99th percentile |

pub mod catalog;
pub mod connect;
pub mod distribution;
mod frame;
pub mod http;
pub mod kinds;
mod merge;
mod percentiles;
pub mod pipeline;
pub mod plan;
pub mod seed;
pub mod spec;
mod stage;
mod time;
pub mod tls;
pub mod toxic;
pub mod units;
pub mod when;

pub use catalog::{Kind, Phase, Settings, find_kind, kind, kinds};
pub use connect::{ConnectCx, ConnectPlan, ConnectToxic, Dial};
pub use frame::{Direction, End, Frame};
pub use percentiles::percentiles;
pub use pipeline::{Pipeline, Ready};
pub use plan::{ConnKey, Entry, Plan};
pub use sabot_invalid::{Invalid, read, suggestion, take};
pub use seed::{Draws, Seed};
pub use spec::{ToxicSpec, read_when};
pub use time::Time;
pub use tls::{TlsCx, TlsFate, TlsPlan, TlsStep, TlsToxic, TlsVersion};
pub use toxic::{Changes, Cx, Departure, Held, Out, Reschedule, Shared, Toxic};
pub use when::{When, Window};
