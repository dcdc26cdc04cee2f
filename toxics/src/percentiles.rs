//! Delays as service levels speak of them: by percentiles.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::Kind;
use crate::units::{Millis, Span};

/// The attributes with which the delay of a kind has these percentiles: lognormal, or constant
/// where both are the same. The other attributes are left to their defaults.
///
/// `None` for kinds without a delay that varies: those have an attribute that their schema marks
/// with `x-varies`, the name of the delay. A `p99` below `p50` counts as `p50`; a `p50` of 0 with
/// a longer `p99` is nothing that a lognormal delay can have, and the kind refuses it by name.
#[must_use]
pub fn percentiles(kind: &Kind, p50: Duration, p99: Duration) -> Option<Map<String, Value>> {
    let properties = kind.schema()["properties"].as_object()?;
    let (jitter, delay) =
        properties.iter().find_map(|(name, schema)| Some((name, schema["x-varies"].as_str()?)))?;
    let value = |span: Duration| serde_json::to_value::<Millis>(Span(span)).ok();
    let mut attributes = Map::from_iter([(delay.to_owned(), value(p50)?)]);
    let more = p99.saturating_sub(p50);
    if !more.is_zero() {
        attributes.insert(jitter.clone(), value(more)?);
        attributes.insert("distribution".to_owned(), "lognormal".into());
    }
    Some(attributes)
}
