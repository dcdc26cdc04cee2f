//! A toxic as people ask for it: strict, and checked while it is read.

use schemars::JsonSchema;
use serde::de::{self, Deserialize, Deserializer};
use serde::ser::{Serialize, SerializeStruct, Serializer};
use serde_json::{Map, Value};

use crate::catalog::{Kind, Phase, Settings, find_kind};
use crate::merge::merge;
use crate::{Direction, Invalid, When, read, take};

/// What is asked of a toxic. Read from JSON, YAML or TOML it is checked at
/// once, so that the parser's error names the place.
#[derive(Clone, Debug, PartialEq)]
pub struct ToxicSpec {
    /// Unique on the proxy over both directions.
    pub name: String,
    /// What it does.
    pub kind: &'static Kind,
    /// Which direction it acts on.
    pub stream: Direction,
    /// Share of the connections it acts on, 0 to 1.
    pub toxicity: f64,
    /// Its attributes, complete and checked.
    pub attributes: Map<String, Value>,
    /// When it acts.
    pub when: When,
}

impl ToxicSpec {
    const FIELDS: [&'static str; 6] = ["name", "type", "stream", "toxicity", "attributes", "when"];

    /// A toxic of `kind` under its default name, with these attributes.
    ///
    /// # Errors
    /// The attributes do not fit the kind.
    pub fn new(
        kind: &'static Kind,
        stream: Direction,
        attributes: &Map<String, Value>,
    ) -> Result<Self, Invalid> {
        let settings = kind.parse(attributes).map_err(|error| error.within("attributes"))?;
        Ok(Self {
            name: format!("{}_{stream}", kind.name),
            kind,
            stream,
            toxicity: 1.0,
            attributes: settings.attributes(),
            when: When::default(),
        })
    }

    /// Reads a toxic from an object.
    ///
    /// # Errors
    /// The field that is missing, unknown, of another type or out of range.
    pub fn from_map(mut map: Map<String, Value>) -> Result<Self, Invalid> {
        if let Some(field) = map.keys().find(|field| !Self::FIELDS.contains(&field.as_str())) {
            return Err(Invalid::unknown("field of a toxic", field, &Self::FIELDS));
        }
        let name = take::<String>(&mut map, "name")?;
        let kind = take::<String>(&mut map, "type")?
            .ok_or_else(|| Invalid::new("type", "is missing: say which kind of toxic"))?;
        let stream = take(&mut map, "stream")?.unwrap_or_default();
        let attributes = take(&mut map, "attributes")?.unwrap_or_default();
        let mut spec = Self::new(find_kind(&kind)?, stream, &attributes)?;
        if let Some(name) = name.filter(|name| !name.is_empty()) {
            spec.name = name;
        }
        spec.toxicity = take(&mut map, "toxicity")?.unwrap_or(1.0);
        spec.when = match map.remove("when") {
            None | Some(Value::Null) => When::default(),
            Some(when) => read_when(when)?,
        };
        if spec.toxicity > 1.0 {
            return Err(Invalid::new("toxicity", "must lie between 0 and 1"));
        }
        spec.validate()?;
        Ok(spec)
    }

    /// Checks what the types alone allow.
    ///
    /// # Errors
    /// The first field that cannot be what it is.
    pub fn validate(&self) -> Result<(), Invalid> {
        Invalid::unless_printable("name", &self.name)?;
        // Above 1 is as 1: clients of Toxiproxy send percents and read them back.
        if !(self.toxicity.is_finite() && self.toxicity >= 0.0) {
            return Err(Invalid::new("toxicity", "must lie between 0 and 1"));
        }
        self.when.validate().map_err(|error| error.within("when"))?;
        if self.kind.phase != Phase::Stream && self.when.after_bytes.0 > 0 {
            let acts = match self.kind.phase {
                Phase::Http => "on requests",
                Phase::Tls => "on the handshake and the end",
                _ => "before any byte flows",
            };
            let message = format!("{} acts {acts}: leave it out", self.kind.name);
            return Err(Invalid::new("when.after_bytes", message));
        }
        Ok(())
    }

    /// The settings that the attributes stand for.
    ///
    /// # Errors
    /// The attributes do not fit the kind.
    pub fn settings(&self) -> Result<Settings, Invalid> {
        self.kind.parse(&self.attributes).map_err(|error| error.within("attributes"))
    }

    /// This toxic with `changes` laid over its attributes: `null` brings back the
    /// default, and of what is an object, such as `match`, only the fields that are given
    /// change.
    ///
    /// # Errors
    /// The result does not fit the kind.
    pub fn with_attributes(&self, changes: &Map<String, Value>) -> Result<Self, Invalid> {
        let mut merged = self.attributes.clone();
        merge(&mut merged, changes, self.kind.schema());
        let settings = self.kind.parse(&merged).map_err(|error| error.within("attributes"))?;
        Ok(Self { attributes: settings.attributes(), ..self.clone() })
    }
}

/// Reads a `when`, naming the nearest field for one that does not exist.
///
/// # Errors
/// The field that is unknown, of another type or out of range.
pub fn read_when(value: Value) -> Result<When, Invalid> {
    if let Value::Object(map) = &value
        && let Some(field) = map.keys().find(|field| !When::FIELDS.contains(&field.as_str()))
    {
        return Err(Invalid::unknown("field of `when`", field, &When::FIELDS).within("when"));
    }
    let when: When = read(value).map_err(|error| error.within("when"))?;
    when.validate().map_err(|error| error.within("when"))?;
    Ok(when)
}

impl<'de> Deserialize<'de> for ToxicSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = Map::deserialize(deserializer)?;
        Self::from_map(map).map_err(de::Error::custom)
    }
}

impl Serialize for ToxicSpec {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let plain = self.when == When::default();
        let mut out = serializer.serialize_struct("ToxicSpec", if plain { 5 } else { 6 })?;
        out.serialize_field("name", &self.name)?;
        out.serialize_field("type", self.kind.name)?;
        out.serialize_field("stream", &self.stream)?;
        out.serialize_field("toxicity", &self.toxicity)?;
        out.serialize_field("attributes", &self.attributes)?;
        if !plain {
            out.serialize_field("when", &self.when)?;
        }
        out.end()
    }
}

impl JsonSchema for ToxicSpec {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ToxicSpec".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let kinds: Vec<_> = crate::catalog::kinds().iter().map(|kind| kind.name).collect();
        let when = generator.subschema_for::<When>();
        schemars::json_schema!({
            "type": "object",
            "required": ["type"],
            "additionalProperties": false,
            "properties": {
                "name": {"type": "string", "description": "unique on the proxy; `<type>_<stream>` unless given"},
                "type": {"enum": kinds},
                "stream": {"enum": ["upstream", "downstream"], "default": "downstream"},
                "toxicity": {"type": "number", "minimum": 0, "maximum": 1, "default": 1},
                "attributes": {"type": "object", "description": "as the schema of the kind says"},
                "when": when,
            },
        })
    }
}
