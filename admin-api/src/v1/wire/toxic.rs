//! Toxics.

use sabot_proxy::ToxicView;
use sabot_toxics::{Direction, When};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};
use utoipa::ToSchema;
use utoipa::openapi::Ref;

use super::Stream;

/// A toxic on a proxy.
#[derive(Serialize, ToSchema)]
pub(crate) struct Toxic {
    /// Unique on its proxy over both directions, among those of its owner's layer.
    name: String,
    /// The kind.
    #[serde(rename = "type")]
    kind: &'static str,
    /// The direction that it acts on.
    #[schema(value_type = Stream)]
    stream: Direction,
    /// Share of the connections that it acts on, 0 to 1.
    toxicity: f64,
    /// All attributes of the kind.
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    /// When it acts; empty is always.
    #[schema(schema_with = when)]
    when: When,
    /// On how many connections it acted so far.
    applied: u64,
    /// In how many milliseconds the server removes it; `null` is never.
    #[schema(value_type = Option<f64>)]
    expires_in_ms: Option<Number>,
    /// Who may change it: `toxic` is what people and clients set, `injection <id>` what that
    /// injection owns.
    #[schema(example = "toxic")]
    owner: String,
}

impl From<ToxicView> for Toxic {
    fn from(toxic: ToxicView) -> Self {
        Self {
            name: toxic.name,
            kind: toxic.kind.name,
            stream: toxic.stream,
            // Toxiproxy's routes take more, which acts as 1.
            toxicity: toxic.toxicity.min(1.0),
            attributes: toxic.attributes,
            when: toxic.when,
            applied: toxic.applied,
            expires_in_ms: toxic.expires_in_ms.and_then(Number::from_f64),
            owner: toxic.owner.map_or_else(|| "toxic".to_owned(), |id| format!("injection {id}")),
        }
    }
}

/// The toxics of a proxy, the upstream chain first; in each chain those of injections last.
#[derive(Serialize, ToSchema)]
pub(crate) struct Toxics {
    pub(in crate::v1) toxics: Vec<Toxic>,
}

/// What of a toxic is to change; what is absent stays as it is.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ToxicPatch)]
pub(crate) struct PatchToxic {
    /// Attributes to change, the others stay; `null` brings back the default.
    #[schema(value_type = Option<Object>)]
    pub(in crate::v1) attributes: Option<Map<String, Value>>,
    /// The new share of connections, or of requests for HTTP faults.
    #[schema(minimum = 0, maximum = 1)]
    pub(in crate::v1) toxicity: Option<f64>,
    /// Conditions to change, the others stay; `null` takes one away. Times and counts
    /// begin anew.
    #[schema(schema_with = when)]
    pub(in crate::v1) when: Option<Value>,
}

/// The core describes it; see `openapi`.
fn when() -> Ref {
    Ref::from_schema_name("When")
}
