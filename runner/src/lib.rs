//! Experiments: drive load, break one thing, say whether it held.
//!
//! Map, in the order in which a run passes through it:
//!
//! - [`outcome`]: what became of one request of the load; everything else is made of these.

pub mod outcome;
