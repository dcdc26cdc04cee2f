//! What the fuzz targets do with arbitrary bytes. Each `run` panics on a defect.
//!
//! `scripts/fuzz.sh` runs them under libFuzzer where nightly Rust is, and with
//! plain random bytes (`cargo run --example plain`) where it is not.

pub mod api;
pub mod config;
pub mod envoy;
mod head;
pub mod matching;
pub mod pipeline;

/// A target by name.
pub const TARGETS: [(&str, fn(&[u8])); 6] = [
    ("pipeline", pipeline::run),
    ("config", config::run),
    ("api", api::run),
    ("matching", matching::run),
    ("envoy", envoy::run),
    ("short_way", sabot_proxy::short_way),
];

/// Bytes handed out as small decisions; zeros when they have run out.
pub(crate) struct Input<'a>(pub(crate) &'a [u8]);

impl Input<'_> {
    pub(crate) fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        (usize::from(self.byte()) * 256 + usize::from(self.byte())) % bound.max(1)
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}
