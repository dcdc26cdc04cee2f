//! The tests of the core, in one binary: they link once.
//!
//! | module | what it holds the core to |
//! |---|---|
//! | `conformance` | what every stream toxic must do, whatever it does |
//! | `catalog` | schemas, defaults and refusals of every kind |
//! | `engine` | order, updates, windows and ends in the pipeline |
//! | `http` | faults of requests, over a world of virtual time |
//! | `tls` | what faults of TLS make of a connection |
//! | `timing` | the exact moments, kind by kind |
//! | `chance` | golden draws, shares and distributions |
//! | `pipelines` | random plans, chunks and changes (proptest) |
//! | `simulation` | connections under churn, replayable by `SABOT_SEED` |

#![allow(
    clippy::unwrap_used,
    reason = "in a test a panic is how a failure shows; the lint spares test functions only"
)]
#![allow(clippy::print_stderr, reason = "a failing simulation says which seed replays it")]
#![allow(clippy::needless_pass_by_value, reason = "the arguments are `json!({…})`, made on the spot")]

mod support;

mod catalog;
mod chance;
mod conformance;
mod engine;
mod http;
mod pipelines;
mod simulation;
mod timing;
mod tls;
