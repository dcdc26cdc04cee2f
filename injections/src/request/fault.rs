//! The fault of an injection: a toxic of any kind, written flat.

use std::time::Duration;

use sabot_toxics::{Direction, Invalid, Kind, ToxicSpec, find_kind, percentiles};
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::event::{DEEPEST, is_kept};

/// A fault as it was asked for: `{"type": "latency", "p50_ms": 200, "p99_ms": 500}`. Beside `type` it
/// may have `stream`, `toxicity` and `when`; all else are attributes of its kind, by themselves or under
/// `attributes`. `p50_ms` and `p99_ms` stand for the attributes of a delay that has these percentiles.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    kind: &'static Kind,
    asked: Map<String, Value>,
}

/// What a toxic has beside its attributes.
const OWN: [&str; 3] = ["stream", "toxicity", "when"];

impl Fault {
    /// A fault of `kind` with these parameters.
    ///
    /// # Errors
    /// No such kind, or a parameter that cannot be journalled.
    pub fn new(kind: &str, mut params: Map<String, Value>) -> Result<Self, Invalid> {
        let kind = find_kind(kind)?;
        if let Some((name, _)) = params.iter().find(|(_, value)| !is_kept(value)) {
            return Err(Invalid::new(name, format!("has more than {DEEPEST} levels of lists and objects")));
        }
        params.insert("type".to_owned(), Value::from(kind.name));
        Ok(Self { kind, asked: params })
    }

    pub(super) fn read(value: Option<Value>) -> Result<Self, Invalid> {
        let Some(Value::Object(map)) = value else {
            return Err(Invalid::new("", "must be an object"));
        };
        match map.get("type") {
            Some(Value::String(kind)) => {
                let kind = kind.clone();
                Self::new(&kind, map)
            }
            None => Err(Invalid::new("type", "is missing: `sabot kinds` lists all")),
            Some(_) => Err(Invalid::new("type", "must be text: `sabot kinds` lists all")),
        }
    }

    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// Its parameters as they were asked for, without the kind.
    pub fn params(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.asked.iter().filter(|(name, _)| *name != "type")
    }

    /// Its parameters in short, for people: `status=503`, `p50_ms=200 p99_ms=500`; cut off where that gets long.
    /// Empty without any.
    #[must_use]
    pub fn told(&self) -> String {
        let params = self.params().map(|(name, value)| {
            let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{name}={value}")
        });
        let told = params.collect::<Vec<_>>().join(" ");
        match told.char_indices().nth(TOLD) {
            None => told,
            Some((end, _)) => format!("{}…", &told[..end]),
        }
    }

    /// The toxic that does it.
    ///
    /// # Errors
    /// The parameter that is unknown, of another type or out of range.
    pub fn spec(&self) -> Result<ToxicSpec, Invalid> {
        let mut rest = self.asked.clone();
        rest.remove("type");
        let mut toxic = Map::from_iter([("type".to_owned(), Value::from(self.kind.name))]);
        toxic.insert("name".to_owned(), Value::from(self.kind.name));
        // Most links are broken on the way back, where the answers are.
        toxic.insert("stream".to_owned(), Value::from(Direction::Downstream.as_str()));
        for own in OWN {
            if let Some(value) = rest.remove(own) {
                toxic.insert(own.to_owned(), value);
            }
        }
        if toxic.get("when").is_some_and(|when| !when["expires_after"].is_null()) {
            let message = "is `duration_seconds` of the injection: give it there";
            return Err(Invalid::new("when.expires_after", message));
        }
        let nested = match rest.remove("attributes") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(map)) => map,
            Some(_) => return Err(Invalid::new("attributes", "must be an object")),
        };
        let mut attributes = self.percentiles(&mut rest, nested.is_empty())?;
        for (name, value) in rest.into_iter().chain(nested) {
            if attributes.insert(name.clone(), value).is_some() {
                return Err(Invalid::new(name, "is given twice"));
            }
        }
        toxic.insert("attributes".to_owned(), Value::Object(attributes));
        let spec = ToxicSpec::from_map(toxic).and_then(|spec| spec.validate().map(|()| spec));
        // Written flat, it is refused flat.
        spec.map_err(|error| {
            let field = error.field.strip_prefix("attributes.").unwrap_or(&error.field).to_owned();
            Invalid { field, message: error.message }
        })
    }

    /// The attributes that `p50_ms` and `p99_ms` stand for.
    fn percentiles(&self, rest: &mut Map<String, Value>, alone: bool) -> Result<Map<String, Value>, Invalid> {
        let bare = alone && rest.is_empty();
        let mut given = |name: &str| match rest.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => {
                let ms = value.as_f64().filter(|ms| (0.0..=LONGEST_MS).contains(ms));
                let ms = ms.ok_or_else(|| Invalid::new(name, "must be milliseconds, 0 to 3,600,000"))?;
                Ok(Some(Duration::from_secs_f64(ms / 1e3)))
            }
        };
        let (p50, p99) = match (given("p50_ms")?, given("p99_ms")?) {
            // A delay of nothing is no fault.
            (None, None) if bare && percentiles(self.kind, SOME, SOME).is_some() => {
                let message = "is missing: say how long, by it and `p99_ms` or by the attributes of the kind";
                return Err(Invalid::new("p50_ms", message));
            }
            (None, None) => return Ok(Map::new()),
            (Some(p50), p99) => (p50, p99.unwrap_or(p50)),
            (None, Some(_)) => return Err(Invalid::new("p50_ms", "is missing beside `p99_ms`")),
        };
        if p99 < p50 {
            return Err(Invalid::new("p99_ms", "must not be less than `p50_ms`"));
        }
        if p50.is_zero() {
            return Err(Invalid::new("p50_ms", "must be more than 0"));
        }
        percentiles(self.kind, p50, p99).ok_or_else(|| {
            let message = format!("{} delays nothing by a distribution: give its attributes", self.kind.name);
            Invalid::new("p50_ms", message)
        })
    }
}

/// Any time: whether a kind has a delay with percentiles does not depend on it.
const SOME: Duration = Duration::from_millis(1);

/// So many characters of parameters are told: a body to answer with may have thousands.
const TOLD: usize = 120;

const LONGEST_MS: f64 = 3_600_000.0;

impl Serialize for Fault {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.asked.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Fault {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::read(Some(Value::deserialize(deserializer)?)).map_err(de::Error::custom)
    }
}
