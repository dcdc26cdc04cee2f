//! Quantities with a unit, as people write them.
//!
//! A bare number is in the unit of the type (milliseconds, say, fractions
//! allowed); a string names its own unit (`"250us"`). Answers hold numbers.

use std::borrow::Cow;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};

/// A span of time whose bare unit is `UNIT` nanoseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span<const UNIT: u64>(pub Duration);

/// A span in milliseconds unless it names its unit.
pub type Millis = Span<1_000_000>;
/// A span in microseconds unless it names its unit.
pub type Micros = Span<1_000>;

/// Longer than any test; keeps sums of spans far from overflow.
const LONGEST_S: f64 = 10.0 * 365.0 * 86_400.0;

const TIME_UNITS: &[(&str, f64)] =
    &[("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];

impl<const UNIT: u64> Span<UNIT> {
    /// No time at all.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// That many of the type's own unit.
    #[must_use]
    pub const fn new(count: u64) -> Self {
        Self(Duration::from_nanos(count.saturating_mul(UNIT)))
    }

    /// The span itself.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }

    /// Whether it is no time at all.
    #[must_use]
    pub const fn is_zero(&self) -> bool {
        self.0.is_zero()
    }

    fn unit_name() -> &'static str {
        if UNIT == 1_000 { "microseconds" } else { "milliseconds" }
    }

    fn from_seconds(seconds: f64) -> Result<Self, String> {
        if !seconds.is_finite() || seconds < 0.0 {
            return Err("must not be negative".to_owned());
        }
        if seconds > LONGEST_S {
            return Err("is longer than ten years".to_owned());
        }
        Ok(Self(Duration::from_nanos((seconds * 1e9).round() as u64)))
    }
}

impl<const UNIT: u64> Serialize for Span<UNIT> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        number(self.0.as_nanos() as f64 / UNIT as f64, serializer)
    }
}

impl<'de, const UNIT: u64> Deserialize<'de> for Span<UNIT> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = format!(
            "a number of {} or a string with a unit such as \"250us\", \"5ms\", \"1.5s\"",
            Self::unit_name()
        );
        let (value, unit) = deserializer.deserialize_any(Quantity { expected, units: TIME_UNITS })?;
        let seconds = value * unit.unwrap_or(UNIT as f64 / 1e9);
        Self::from_seconds(seconds).map_err(de::Error::custom)
    }
}

impl<const UNIT: u64> JsonSchema for Span<UNIT> {
    fn schema_name() -> Cow<'static, str> {
        if UNIT == 1_000 { "Micros".into() } else { "Millis".into() }
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["number", "string"],
            "minimum": 0,
            "pattern": "^[0-9.]+ *(ns|us|µs|ms|s|m|h)$",
            "x-unit": if UNIT == 1_000 { "us" } else { "ms" },
        })
    }
}

/// A rate in kilobytes (1000 bytes) a second unless it names its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Rate(f64);

const RATE_UNITS: &[(&str, f64)] = &[
    ("B/s", 1.0),
    ("KB/s", 1e3),
    ("kB/s", 1e3),
    ("MB/s", 1e6),
    ("GB/s", 1e9),
    ("kbit/s", 125.0),
    ("Mbit/s", 125e3),
    ("Gbit/s", 125e6),
];

impl Rate {
    /// That many kilobytes (1000 bytes) a second.
    #[must_use]
    pub const fn from_kilobytes(rate: f64) -> Self {
        Self(rate * 1e3)
    }

    /// Bytes a second.
    #[must_use]
    pub const fn bytes_per_s(self) -> f64 {
        self.0
    }

    /// How long `bytes` take; forever (saturated) at rate 0.
    #[must_use]
    pub fn time_for(self, bytes: f64) -> Duration {
        let seconds = bytes / self.0;
        if seconds.is_finite() && seconds < LONGEST_S {
            Duration::from_nanos((seconds * 1e9).round() as u64)
        } else {
            Duration::from_secs(LONGEST_S as u64)
        }
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        number(self.0 / 1e3, serializer)
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected =
            "a number of KB/s (1000 bytes) or a string with a unit such as \"250KB/s\", \"8Mbit/s\""
                .to_owned();
        let (value, unit) = deserializer.deserialize_any(Quantity { expected, units: RATE_UNITS })?;
        let rate = value * unit.unwrap_or(1e3);
        if !rate.is_finite() || rate < 0.0 {
            return Err(de::Error::custom("must not be negative, 0 stalls"));
        }
        Ok(Self(rate))
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["number", "string"],
            "minimum": 0,
            "pattern": "^[0-9.]+ *(B/s|KB/s|kB/s|MB/s|GB/s|kbit/s|Mbit/s|Gbit/s)$",
            "x-unit": "KB/s",
        })
    }
}

/// A number of bytes; strings may say `"64KiB"` or `"10MB"`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

const SIZE_UNITS: &[(&str, f64)] = &[
    ("B", 1.0),
    ("KB", 1e3),
    ("kB", 1e3),
    ("MB", 1e6),
    ("GB", 1e9),
    ("KiB", 1024.0),
    ("MiB", 1_048_576.0),
    ("GiB", 1_073_741_824.0),
];

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let expected = "a number of bytes or a string with a unit such as \"64KiB\", \"10MB\"".to_owned();
        let (value, unit) = deserializer.deserialize_any(Quantity { expected, units: SIZE_UNITS })?;
        let bytes = value * unit.unwrap_or(1.0);
        if !(0.0..=9.0e15).contains(&bytes) || bytes.fract() != 0.0 {
            return Err(de::Error::custom("must be a whole number of bytes, not negative"));
        }
        Ok(Self(bytes as u64))
    }
}

impl JsonSchema for ByteSize {
    fn schema_name() -> Cow<'static, str> {
        "ByteSize".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["integer", "string"],
            "minimum": 0,
            "pattern": "^[0-9.]+ *(B|KB|kB|MB|GB|KiB|MiB|GiB)$",
            "x-unit": "B",
        })
    }
}

/// Whole numbers stay whole on the wire: typed clients read integers.
fn number<S: Serializer>(value: f64, serializer: S) -> Result<S::Ok, S::Error> {
    if value.fract() == 0.0 && value.abs() < 9.0e15 {
        serializer.serialize_i64(value as i64)
    } else {
        serializer.serialize_f64(value)
    }
}

/// Reads a number, or a string of a number and one of `units`.
struct Quantity {
    expected: String,
    units: &'static [(&'static str, f64)],
}

impl Visitor<'_> for Quantity {
    /// The number, and the factor of its unit if it named one.
    type Value = (f64, Option<f64>);

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.expected)
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok((value as f64, None))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok((value as f64, None))
    }

    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Ok((value, None))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let text = text.trim();
        let split = text.find(|c: char| !(c.is_ascii_digit() || "+-.".contains(c)));
        let (digits, unit) = text.split_at(split.unwrap_or(text.len()));
        let refuse = || E::invalid_value(de::Unexpected::Str(text), &self);
        let value: f64 = digits.parse().map_err(|_| refuse())?;
        match unit.trim() {
            "" => Ok((value, None)),
            name => {
                let known = self.units.iter().find(|(unit, _)| *unit == name);
                known.map(|(_, factor)| (value, Some(*factor))).ok_or_else(refuse)
            }
        }
    }
}
