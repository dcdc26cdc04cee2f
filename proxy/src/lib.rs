//! Placeholder.

pub(crate) mod net;
pub(crate) mod relay;
