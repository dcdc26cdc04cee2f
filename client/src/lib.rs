//! A small typed async client of Sabot's API (`/v1`).
//!
//! For the command line, for runners, and for people's tests:
//!
//! ```no_run
//! use sabot_client::{Client, NewProxy, NewToxic};
//!
//! # async fn example() -> Result<(), sabot_client::Error> {
//! let sabot = Client::new("http://localhost:8474")?;
//! let proxy = sabot.create_proxy(&NewProxy::new("redis", "localhost:6379")).await?;
//! sabot.add_toxic("redis", &NewToxic::new("latency").attribute("latency", "250us")).await?;
//! println!("point your service at {}", proxy.listen);
//! # Ok(())
//! # }
//! ```
//!
//! Map: [`Client`] holds every call, those of injections stand in `injections`; [`types`](Proxy) are what the calls take and
//! give; [`Events`] is the live stream of one proxy; [`Error`] says what went wrong.
//!
//! Every call ends: it has a timeout (5 s unless [`Client::with_timeout`] says
//! otherwise) and answers are bounded. Over `https://` it believes the
//! system's roots, or whom [`Trust`] says. Where the server asks for a token it
//! shows that of [`Client::with_token`]. Not here: retries, and the Toxiproxy
//! routes, which have clients of their own.

mod client;
mod error;
mod events;
mod http;
mod injections;
mod path;
mod tokens;
mod traffic;
mod trust;
mod types;

pub use client::Client;
pub use error::Error;
pub use events::{Event, Events};
pub use http::without_token;
pub use injections::types::{
    Actor, Audit, AuditEvent, Breach, Halted, Injection, InjectionTarget, Listed, NewInjection, OnAt,
    Schedule, SteadyState, Verified, Which,
};
pub use tokens::{CreatedToken, NewToken, Token};
pub use traffic::Traffic;
pub use trust::Trust;
pub use types::{
    Connection, ConnectionCount, Direction, Kind, NewProxy, NewToxic, Proxy, ProxyPatch, Toxic, ToxicPatch,
    Version,
};
