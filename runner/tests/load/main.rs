//! The load engine against servers that behave, and servers that do not.

mod fates;
mod golden;
mod plans;
mod pool;
mod protocols;
mod support;
