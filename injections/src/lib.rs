//! Injections: who breaks what, for how long, why, and how it ends.
//!
//! | module | what is in it |
//! |---|---|
//! | [`request`] | what is asked for: six parts, each of which has to be there |
//! | [`rules`] | what the server allows: limits, approvals, windows |
//! | [`book`] | the state machine, pure |
//! | [`event`], [`injection`], [`schedule`] | what happens, and what there is |
//! | [`journal`] | what is kept: an append-only chain of all that happened |
//! | [`access`] | who may: tokens, their roles, and where they are kept |
//! | [`engine`] | all of it together, over the proxies |
//! | [`notify`] | who else is told |
//! | [`clock`] | what time it is |

pub mod access;
pub mod book;
pub mod clock;
pub mod engine;
pub mod event;
pub mod injection;
pub mod journal;
pub mod notify;
pub mod request;
pub mod rules;
pub mod schedule;
