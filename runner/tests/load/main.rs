//! The load engine against servers that behave, and servers that do not.

#![allow(clippy::needless_pass_by_value, reason = "plans are written where they are passed")]

mod fates;
mod golden;
mod plans;
mod pool;
mod protocols;
mod support;
