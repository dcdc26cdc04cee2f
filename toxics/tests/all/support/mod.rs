//! What the tests need: toxics from JSON, settings from schemas, a rig that
//! drives one pipeline through virtual time and checks conservation.

pub(crate) mod rig;
pub(crate) mod sample;

use std::sync::Arc;
use std::time::Duration;

use sabot_toxics::{ConnKey, Direction, Entry, Plan, Seed, Time, ToxicSpec};
use serde_json::Value;

pub(crate) use rig::Rig;

pub(crate) const MS: Duration = Duration::from_millis(1);

/// The moment so many milliseconds after the origin.
pub(crate) fn at_ms(ms: f64) -> Time {
    Time::from_nanos((ms * 1e6).round() as u64)
}

pub(crate) fn toxic(kind: &str, attributes: Value) -> ToxicSpec {
    let Value::Object(attributes) = attributes else { panic!("attributes are an object") };
    ToxicSpec::new(sabot_toxics::find_kind(kind).unwrap(), Direction::Downstream, &attributes).unwrap()
}

/// A toxic as the API would read it.
pub(crate) fn spec(json: Value) -> ToxicSpec {
    serde_json::from_value(json).unwrap()
}

pub(crate) fn entry(spec: ToxicSpec, id: u64) -> Arc<Entry> {
    Arc::new(Entry::new(spec, id, Time::ZERO, 1).unwrap())
}

/// A plan of toxics added at the origin; their ids count from 1.
pub(crate) fn plan(specs: impl IntoIterator<Item = ToxicSpec>) -> Plan {
    let entries = specs.into_iter().enumerate().map(|(index, mut spec)| {
        spec.name = format!("{}_{index}", spec.name);
        entry(spec, index as u64 + 1)
    });
    Plan::new(entries.collect())
}

/// `plan` with the toxic at `index` given other attributes.
pub(crate) fn updated(plan: &Plan, index: usize, attributes: Value) -> Plan {
    let Value::Object(attributes) = attributes else { panic!("attributes are an object") };
    let mut entries = plan.entries().to_vec();
    let spec = entries[index].spec.with_attributes(&attributes).unwrap();
    entries[index] = Arc::new(entries[index].with_update(spec).unwrap());
    Plan::new(entries)
}

pub(crate) fn key(number: u64) -> ConnKey {
    ConnKey { number, client: None, seed: Seed::new(7).split("proxy") }
}

/// The byte at that place of every test's stream.
pub(crate) fn byte_at(offset: u64) -> u8 {
    (offset.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 56) as u8
}

pub(crate) fn stream(range: std::ops::Range<u64>) -> Vec<u8> {
    range.map(byte_at).collect()
}
