//! What Sabot costs, and how exact its faults are. Programs, not prose.
//!
//! | program | what it tells |
//! |---|---|
//! | `compare` | cost: direct, HAProxy, nginx, Envoy and Sabot, interleaved, in one run |
//! | `fidelity` | exactness: what was asked of a fault against what a client measures |
//! | `generators` | what `sabot load` costs a request, next to oha and wrk, and how late it is |
//! | `instructions` | instructions of the pure core, against committed limits |
//! | `cargo bench -p sabot-benches` | times of the pure core (criterion) |
//!
//! ```text
//! benches/setup.sh                                       # peers and load generators
//! cargo build --release -p sabot -p sabot-benches
//! target/release/compare                                 # about 12 minutes; --quick: 2
//! target/release/fidelity                                # about 2 minutes
//! target/release/compare --markdown docs/benchmarks.md   # measure and write the page's table
//! target/release/instructions                            # exits 1 above a limit; --bless sets them
//! ```
//!
//! The rooms: [`site`] and [`server`] start programs in a temporary place and end
//! them; [`process`] reads what they cost, [`quiet`] waits until nobody else does; [`services`] is what lies behind the
//! proxies, [`peers`] are the proxies, [`load`] the generators, [`figures`] the
//! rows of `compare`, [`exact`] those of `fidelity`; [`table`] and [`report`]
//! show them. [`scenarios`] drive the pure core, and [`faults`] are those that meet nobody.
//!
//! Not here: verdicts about a machine. Times on a shared or small machine are
//! noisy; compare the columns of one run, not runs.

pub mod api;
pub mod exact;
pub mod faults;
pub mod figures;
pub mod load;
pub mod machine;
pub mod peers;
pub mod process;
pub mod quiet;
pub mod report;
pub mod scenarios;
pub mod server;
pub mod services;
pub mod site;
pub mod statistics;
pub mod table;
