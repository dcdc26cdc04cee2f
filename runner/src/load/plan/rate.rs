//! How many requests a second, and how that changes.

use std::borrow::Cow;
use std::fmt;

use sabot_toxics::units::Millis;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, MapAccess, Visitor, value::MapAccessDeserializer};
use serde::ser::{Serialize, Serializer};

/// The shape of a load's rate over time.
#[derive(Clone, Debug, PartialEq)]
pub enum Rate {
    /// Always the same: `300/s`.
    Constant(PerSecond),
    /// Evenly from one rate to another, where it stays: `ramp: {from: 10/s, to: 500/s, over: 60s}`.
    Ramp {
        /// The rate at the start.
        from: PerSecond,
        /// The rate at the end.
        to: PerSecond,
        /// How long the way takes.
        over: Millis,
    },
    /// One rate after another: `steps: [{rate: 100/s, for: 30s}, …]`.
    Steps(Vec<Step>),
    /// A base, and for a while another rate: `spike: {base: 100/s, peak: 900/s, at: 20s, for: 5s}`.
    Spike(Spike),
}

/// A rate that is kept for a while.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// How many requests a second.
    pub rate: PerSecond,
    /// For how long.
    #[serde(rename = "for")]
    pub span: Millis,
}

/// A burst over a steady rate.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spike {
    /// The rate before and after.
    pub base: PerSecond,
    /// The rate meanwhile.
    pub peak: PerSecond,
    /// When it begins, from the start of the load.
    pub at: Millis,
    /// How long it lasts.
    #[serde(rename = "for")]
    pub span: Millis,
}

/// As it is written: a name, then what belongs to it.
#[derive(serde::Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase", deny_unknown_fields)]
enum Shape {
    Ramp { from: PerSecond, to: PerSecond, over: Millis },
    Steps(Vec<Step>),
    Spike(Spike),
}

impl From<Shape> for Rate {
    fn from(shape: Shape) -> Self {
        match shape {
            Shape::Ramp { from, to, over } => Self::Ramp { from, to, over },
            Shape::Steps(steps) => Self::Steps(steps),
            Shape::Spike(spike) => Self::Spike(spike),
        }
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Rate;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a rate such as 300/s, or an object with ramp, steps or spike")
            }

            fn visit_u64<E: de::Error>(self, rate: u64) -> Result<Rate, E> {
                self.visit_f64(rate as f64)
            }

            fn visit_i64<E: de::Error>(self, rate: i64) -> Result<Rate, E> {
                self.visit_f64(rate as f64)
            }

            fn visit_f64<E: de::Error>(self, rate: f64) -> Result<Rate, E> {
                PerSecond::new(rate).map(Rate::Constant).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Rate, E> {
                text.parse().map(Rate::Constant).map_err(E::custom)
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rate, A::Error> {
                Shape::deserialize(MapAccessDeserializer::new(map)).map(Rate::from)
            }
        }
        deserializer.deserialize_any(Reader)
    }
}

impl Serialize for Rate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.clone() {
            Self::Constant(rate) => rate.serialize(serializer),
            Self::Ramp { from, to, over } => Shape::Ramp { from, to, over }.serialize(serializer),
            Self::Steps(steps) => Shape::Steps(steps).serialize(serializer),
            Self::Spike(spike) => Shape::Spike(spike).serialize(serializer),
        }
    }
}

impl JsonSchema for Rate {
    fn schema_name() -> Cow<'static, str> {
        "Rate".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let constant = generator.subschema_for::<PerSecond>();
        let shape = generator.subschema_for::<Shape>();
        json_schema!({
            "description": "a rate such as `300/s`, or one of ramp, steps and spike",
            "anyOf": [constant, shape],
        })
    }
}

/// Requests a second. A number, or text that may name its unit: `300/s`, `18000/m`.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct PerSecond(f64);

/// Far more than one machine sends; keeps sums exact.
const MOST_PER_S: f64 = 10_000_000.0;

impl PerSecond {
    /// That many a second.
    ///
    /// # Errors
    /// It is negative, not finite, or above ten million.
    pub fn new(rate: f64) -> Result<Self, String> {
        if !(0.0..=MOST_PER_S).contains(&rate) {
            return Err("a rate lies between 0 and 10000000/s".to_owned());
        }
        Ok(Self(rate))
    }

    /// Requests a second.
    #[must_use]
    pub const fn get(self) -> f64 {
        self.0
    }
}

impl std::str::FromStr for PerSecond {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (number, unit) = text.trim().split_once('/').unwrap_or((text.trim(), "s"));
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return Err(format!("`{text}` is no rate: write it as 300/s, 18000/m or 300")),
        };
        let number: f64 = number
            .trim()
            .parse()
            .map_err(|_| format!("`{text}` is no rate: write it as 300/s, 18000/m or 300"))?;
        Self::new(number / seconds)
    }
}

impl fmt::Display for PerSecond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

impl Serialize for PerSecond {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for PerSecond {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Rate::deserialize(deserializer)? {
            Rate::Constant(rate) => Ok(rate),
            _ => Err(de::Error::custom("must be a rate such as 300/s")),
        }
    }
}

impl JsonSchema for PerSecond {
    fn schema_name() -> Cow<'static, str> {
        "PerSecond".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": ["number", "string"],
            "minimum": 0,
            "pattern": "^ *[0-9.]+ *(/ *(s|m|min|h))? *$",
            "x-unit": "1/s",
        })
    }
}
