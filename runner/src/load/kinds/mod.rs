//! The kinds of requests: one file each, one line in the list.
//!
//! Plan, schema, validation and engine derive from the list. A kind says how its fields are read
//! (`Kind`), and what one request of it does on a connection.

use std::sync::Arc;

use sabot_toxics::{Invalid, suggestion};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::engine::lane::AnyCall;
use super::plan::Class;
use super::ready::Compile;

/// The fields of an endpoint that belong to one kind of request.
pub(crate) trait Kind: Serialize + DeserializeOwned + JsonSchema {
    /// What `kind` says in a plan.
    const NAME: &'static str;

    /// The endpoint's name, unless it is given one.
    fn label(&self) -> String;

    /// Whether it reads or writes, unless the plan says.
    fn class(&self) -> Class;

    /// Makes it ready: templates read, target and connections known.
    ///
    /// # Errors
    /// The first field that cannot be what it is.
    fn compile(&self, cx: &Compile<'_>) -> Result<Arc<dyn AnyCall>, Invalid>;
}

macro_rules! kinds {
    ($($module:ident::$kind:ident,)*) => {
        $(mod $module;)*
        $(pub use $module::$kind;)*

        /// What an endpoint asks, by kind.
        #[derive(Clone, Debug, PartialEq, Serialize)]
        #[serde(tag = "kind", rename_all = "lowercase")]
        #[allow(missing_docs, reason = "each variant is documented at its type")]
        pub enum RequestSpec {
            $($kind($kind),)*
        }

        /// The names of all kinds.
        pub const NAMES: &[&str] = &[$(<$kind as Kind>::NAME,)*];

        impl RequestSpec {
            pub(crate) fn label(&self) -> String {
                match self {
                    $(Self::$kind(spec) => spec.label(),)*
                }
            }

            pub(crate) fn class(&self) -> Class {
                match self {
                    $(Self::$kind(spec) => Kind::class(spec),)*
                }
            }

            pub(crate) fn compile(&self, cx: &Compile<'_>) -> Result<Arc<dyn AnyCall>, Invalid> {
                match self {
                    $(Self::$kind(spec) => spec.compile(cx),)*
                }
            }
        }

        $(impl From<$kind> for RequestSpec {
            fn from(spec: $kind) -> Self {
                Self::$kind(spec)
            }
        })*

        /// Reads what of an endpoint belongs to its kind; `common` are the fields it has besides.
        pub(crate) fn read(
            kind: &str,
            fields: Map<String, Value>,
            common: &[&str],
        ) -> Result<RequestSpec, Invalid> {
            $(if kind == <$kind as Kind>::NAME {
                return read_fields(fields, common).map(RequestSpec::$kind);
            })*
            Err(Invalid::new("kind", format!("there is no `{kind}`{}", suggestion(kind, NAMES))))
        }

        /// The schema of each kind's own fields.
        pub(crate) fn schemas(generator: &mut SchemaGenerator) -> Vec<(&'static str, Schema)> {
            vec![$((<$kind as Kind>::NAME, <$kind as JsonSchema>::json_schema(generator)),)*]
        }
    };
}

kinds! {
    http::Http,
    grpc::Grpc,
    redis::Redis,
    sql::Sql,
}

pub(crate) use self::http::HttpCall;

fn read_fields<K: Kind>(mut fields: Map<String, Value>, common: &[&str]) -> Result<K, Invalid> {
    fields.retain(|_, value| !value.is_null());
    let schema = SchemaGenerator::default().into_root_schema_for::<K>();
    let own = schema.get("properties").and_then(Value::as_object);
    let own = || own.into_iter().flat_map(Map::keys).map(String::as_str);
    if let Some(field) = fields.keys().find(|field| !own().any(|known| known == *field)) {
        let known: Vec<&str> = own().chain(common.iter().copied()).collect();
        let what = format!("field of an endpoint of kind {}", K::NAME);
        return Err(Invalid::unknown(&what, field, &known));
    }
    sabot_toxics::read(Value::Object(fields))
}
