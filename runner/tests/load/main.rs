//! The load engine against servers that behave, and servers that do not.

#![allow(clippy::needless_pass_by_value, reason = "plans are written where they are passed")]
#![allow(clippy::unwrap_used, reason = "helpers of tests: a panic is how a test fails")]

mod fates;
mod golden;
mod plans;
mod pool;
mod protocols;
mod support;
