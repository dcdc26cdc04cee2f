//! The contract row by row: a server on a real socket, and tables of what is
//! sent and what must come back.
//!
//! [`api`] alone knows how to ask; every other file is data.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod access;
mod api;
mod audit;
mod bytes;
mod chaos;
mod engine;
mod errors;
mod events;
mod injections;
mod labels;
mod lenient;
mod life;
mod limits;
mod metrics;
mod openapi;
mod populate;
mod proxies;
mod schedules;
mod security;
mod toxics;
mod v1;
mod v1_refusals;
