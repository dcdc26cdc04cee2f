//! What is known of a kind of toxic, derived from its type alone.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, LazyLock};

use serde_json::{Map, Value};

use crate::connect::{ConnectCx, ConnectPlan, ConnectToxic};
use crate::http::{Answer, BoxFuture, Cx, HttpToxic, Match, Next, Request};
use crate::kinds::LIST;
use crate::stage::{Runner, Typed};
use crate::tls::{TlsCx, TlsPlan, TlsStep, TlsToxic};
use crate::toxic::{Changes, Toxic};
use crate::{Invalid, read};

/// Every kind, sorted by name.
#[must_use]
pub fn kinds() -> &'static [Kind] {
    &LIST
}

/// The kind of that name.
#[must_use]
pub fn kind(name: &str) -> Option<&'static Kind> {
    kinds().iter().find(|kind| kind.name == name)
}

/// The kind of that name, or an error that names the nearest.
///
/// # Errors
/// There is no such kind.
pub fn find_kind(name: &str) -> Result<&'static Kind, Invalid> {
    kind(name).ok_or_else(|| {
        let known: Vec<_> = kinds().iter().map(|kind| kind.name).collect();
        Invalid::new("type", format!("unknown type `{name}`{}", crate::suggestion(name, &known)))
    })
}

/// A kind of toxic.
pub struct Kind {
    /// Its `type` on the wire.
    pub name: &'static str,
    /// When it acts.
    pub phase: Phase,
    /// For kinds that Toxiproxy has: the attributes its routes show.
    pub classic: Option<&'static [&'static str]>,
    /// Attributes with which it is shown in use, if it has its own mind about them.
    pub example: &'static [(&'static str, &'static str)],
    /// What may become of the bytes.
    pub changes: Changes,
    /// Whether it acts on both directions, whatever its `stream`.
    pub both: bool,
    /// For a fault of TLS: the step that it changes.
    pub tls_step: Option<TlsStep>,
    pub(crate) separate_writes: bool,
    schema: LazyLock<Value>,
    parse: fn(Value) -> Result<Settings, Invalid>,
}

/// The part of a connection's life in which a toxic acts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// Accepting and dialling.
    Connect,
    /// While bytes flow.
    Stream,
    /// The TLS handshake and the end of a connection under TLS.
    Tls,
    /// While a request is on its way, on proxies that speak HTTP.
    Http,
}

impl Kind {
    pub(crate) const fn stream<T: Toxic>() -> Self {
        Self {
            name: T::KIND,
            phase: Phase::Stream,
            classic: T::CLASSIC,
            example: &[],
            changes: T::CHANGES,
            both: T::BOTH,
            tls_step: None,
            separate_writes: T::SEPARATE_WRITES,
            schema: LazyLock::new(|| schemars::schema_for!(T).to_value()),
            parse: |value| {
                let toxic: T = read(value)?;
                toxic.validate()?;
                Ok(Settings::Stream(Arc::new(toxic)))
            },
        }
    }

    pub(crate) const fn connect<T: ConnectToxic>() -> Self {
        Self {
            name: T::KIND,
            phase: Phase::Connect,
            classic: None,
            example: &[],
            changes: Changes::Timing,
            both: false,
            tls_step: None,
            separate_writes: false,
            schema: LazyLock::new(|| schemars::schema_for!(T).to_value()),
            parse: |value| {
                let toxic: T = read(value)?;
                toxic.validate()?;
                Ok(Settings::Connect(Arc::new(toxic)))
            },
        }
    }

    pub(crate) const fn tls<T: TlsToxic>() -> Self {
        Self {
            name: T::KIND,
            phase: Phase::Tls,
            classic: None,
            example: &[],
            changes: Changes::Timing,
            both: false,
            tls_step: Some(T::STEP),
            separate_writes: false,
            schema: LazyLock::new(|| schemars::schema_for!(T).to_value()),
            parse: |value| {
                let toxic: T = read(value)?;
                toxic.validate()?;
                Ok(Settings::Tls(Arc::new(toxic)))
            },
        }
    }

    pub(crate) const fn http<T: HttpToxic>() -> Self {
        Self {
            name: T::KIND,
            phase: Phase::Http,
            classic: T::CLASSIC,
            example: T::EXAMPLE,
            changes: Changes::Content,
            both: false,
            tls_step: None,
            separate_writes: false,
            schema: LazyLock::new(with_match::<T>),
            parse: |value| {
                let (toxic, matcher) = match value {
                    Value::Object(mut map) => {
                        let matcher = map.remove("match");
                        (
                            read::<T>(Value::Object(map))?,
                            matcher.map_or_else(|| Ok(Match::default()), matching)?,
                        )
                    }
                    other => (read(other)?, Match::default()),
                };
                toxic.validate()?;
                if toxic.acts_before_answer() && matcher.needs_answer() {
                    return Err(too_late(&toxic));
                }
                toxic.check_match(&matcher).map_err(|error| error.within("match"))?;
                Ok(Settings::Http(Arc::new(toxic), Arc::new(matcher)))
            },
        }
    }

    /// One sentence on what it does.
    #[must_use]
    pub fn summary(&self) -> String {
        let docs = self.docs();
        let first = docs.split("\n\n").next().unwrap_or_default();
        first.replace('\n', " ")
    }

    /// All that its documentation says (Markdown).
    #[must_use]
    pub fn docs(&self) -> String {
        self.schema["description"].as_str().unwrap_or_default().to_owned()
    }

    /// JSON Schema of its attributes.
    #[must_use]
    pub fn schema(&self) -> &Value {
        &self.schema
    }

    /// The names of its attributes, in the order of their declaration.
    #[must_use]
    pub fn attributes(&self) -> Vec<&str> {
        let properties = self.schema["properties"].as_object();
        properties.map(|map| map.keys().map(String::as_str).collect()).unwrap_or_default()
    }

    /// Reads attributes; those absent get their defaults.
    ///
    /// # Errors
    /// The attribute that is unknown (with the nearest known one), of another
    /// type or out of range; `field` is its name.
    pub fn parse(&self, attributes: &Map<String, Value>) -> Result<Settings, Invalid> {
        let known = self.attributes();
        if let Some(field) = attributes.keys().find(|field| !known.contains(&field.as_str())) {
            return Err(Invalid::unknown(&format!("attribute of {}", self.name), field, &known));
        }
        (self.parse)(Value::Object(attributes.clone()))
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kind").field(&self.name).finish()
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

/// The schema of an HTTP fault: its own attributes, and `match`.
fn with_match<T: HttpToxic>() -> Value {
    let mut schema = schemars::schema_for!(T).to_value();
    let mut matcher = schemars::generate::SchemaSettings::default()
        .with(|settings| settings.inline_subschemas = true)
        .into_generator()
        .into_root_schema_for::<Match>()
        .to_value();
    for meta in ["$schema", "title"] {
        matcher.as_object_mut().map(|map| map.remove(meta));
    }
    matcher["description"] = "Which requests it is meant for; all of them unless given.".into();
    matcher["default"] = Value::Object(Map::new());
    if let Some(root) = schema.as_object_mut()
        && let Value::Object(properties) =
            root.entry("properties").or_insert_with(|| Value::Object(Map::new()))
    {
        properties.insert("match".to_owned(), matcher);
    }
    schema
}

/// Refuses a choice by status for what acts on the way up, or keeps from going up.
fn too_late<T: HttpToxic>(toxic: &T) -> Invalid {
    let (kind, settings) = (T::KIND, toxic.to_value());
    // The attribute that says where it acts, for kinds that can act on the answer too.
    let place = ["at", "side", "mode"].iter().find_map(|name| Some((*name, settings.get(name)?.as_str()?)));
    let message = match place {
        Some((name, value)) => {
            let mut others = choices(&with_match::<T>(), name);
            others.retain(|other| other != value);
            let others = others.join(" or ");
            format!(
                "with `{name}` {value} {kind} acts before that: give `{name}` as {others}, or leave it out"
            )
        }
        None => format!("{kind} acts before that: leave it out"),
    };
    Invalid::new("match.status", format!("is known once the request has gone up, and {message}"))
}

/// The values that an attribute can have.
fn choices(schema: &Value, attribute: &str) -> Vec<String> {
    let property = &schema["properties"][attribute];
    let each = property["oneOf"].as_array().into_iter().flatten().chain([property]);
    let values =
        each.flat_map(|one| [&one["const"]].into_iter().chain(one["enum"].as_array().into_iter().flatten()));
    values.filter_map(|value| value.as_str().map(str::to_owned)).collect()
}

/// Reads a `match`, naming the nearest field for one that does not exist.
fn matching(value: Value) -> Result<Match, Invalid> {
    let strictly = |value: Value| {
        if let Value::Object(map) = &value
            && let Some(field) = map.keys().find(|field| !Match::FIELDS.contains(&field.as_str()))
        {
            return Err(Invalid::unknown("field of `match`", field, &Match::FIELDS));
        }
        if !value.is_object() {
            return Err(Invalid::new("", "must be an object, such as {\"path\": \"/charge\"}"));
        }
        let matcher = read::<Match>(value)?;
        matcher.validate()?;
        Ok(matcher)
    };
    strictly(value).map_err(|error| error.within("match"))
}

/// The settings of one toxic, its attributes read and checked.
#[derive(Clone)]
pub enum Settings {
    /// Of a toxic that acts on the stream.
    Stream(Arc<dyn StreamSettings>),
    /// Of a toxic that acts on accept and dial.
    Connect(Arc<dyn ConnectSettings>),
    /// Of a toxic that acts on TLS.
    Tls(Arc<dyn TlsSettings>),
    /// Of a toxic that acts on HTTP requests, and on which.
    Http(Arc<dyn HttpSettings>, Arc<Match>),
}

impl Settings {
    /// All attributes, defaults included.
    #[must_use]
    pub fn attributes(&self) -> Map<String, Value> {
        let value = match self {
            Self::Stream(settings) => settings.to_value(),
            Self::Connect(settings) => settings.to_value(),
            Self::Tls(settings) => settings.to_value(),
            Self::Http(settings, matcher) => {
                let mut value = settings.to_value();
                value["match"] = serde_json::to_value(&**matcher).unwrap_or_default();
                value
            }
        };
        match value {
            Value::Object(map) => map,
            _ => Map::new(),
        }
    }
}

/// A [`Toxic`] whose type was forgotten.
pub trait StreamSettings: Send + Sync + 'static {
    /// The attributes.
    fn to_value(&self) -> Value;
    #[doc(hidden)]
    fn runner(self: Arc<Self>) -> Box<dyn Runner>;
    #[doc(hidden)]
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<T: Toxic> StreamSettings for T {
    fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn runner(self: Arc<Self>) -> Box<dyn Runner> {
        Box::new(Typed::new(self))
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}

/// A [`ConnectToxic`] whose type was forgotten.
pub trait ConnectSettings: Send + Sync + 'static {
    /// The attributes.
    fn to_value(&self) -> Value;
    #[doc(hidden)]
    fn apply(&self, cx: &ConnectCx<'_>, plan: &mut ConnectPlan);
}

impl<T: ConnectToxic> ConnectSettings for T {
    fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn apply(&self, cx: &ConnectCx<'_>, plan: &mut ConnectPlan) {
        self.on_connect(cx, plan);
    }
}

/// A [`TlsToxic`] whose type was forgotten.
pub trait TlsSettings: Send + Sync + 'static {
    /// The attributes.
    fn to_value(&self) -> Value;
    #[doc(hidden)]
    fn apply(&self, cx: &TlsCx<'_>, plan: &mut TlsPlan);
}

impl<T: TlsToxic> TlsSettings for T {
    fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn apply(&self, cx: &TlsCx<'_>, plan: &mut TlsPlan) {
        self.on_tls(cx, plan);
    }
}

/// An [`HttpToxic`] whose type was forgotten.
pub trait HttpSettings: Send + Sync + 'static {
    /// The attributes.
    fn to_value(&self) -> Value;
    #[doc(hidden)]
    fn passes_on(&self) -> bool;
    #[doc(hidden)]
    fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> BoxFuture<Answer>;
    #[doc(hidden)]
    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync>;
}

impl<T: HttpToxic> HttpSettings for T {
    fn to_value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    fn passes_on(&self) -> bool {
        HttpToxic::passes_on(self)
    }

    fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> BoxFuture<Answer> {
        Box::pin(HttpToxic::call(self, cx, request, next))
    }

    fn into_any(self: Arc<Self>) -> Arc<dyn Any + Send + Sync> {
        self
    }
}
