//! Unary calls of gRPC.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Kind;
use crate::load::plan::Class;

/// A unary call of gRPC. A status other than OK is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grpc {
    /// `package.Service/Method`.
    pub method: String,
    /// The `.proto` file that defines it; needed for a message that is an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<PathBuf>,
    /// The message: an object as gRPC's JSON mapping has it (text in it is a template), or its bytes in
    /// hexadecimal. Empty unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Value>,
    /// Metadata beside the plan's headers; templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Kind for Grpc {
    const NAME: &'static str = "grpc";

    fn label(&self) -> String {
        self.method.clone()
    }

    fn class(&self) -> Class {
        let name = self.method.rsplit('/').next().unwrap_or_default();
        let reads = ["Get", "List", "Read", "Find", "Search", "Check", "Watch"];
        if reads.iter().any(|verb| name.starts_with(verb)) { Class::Read } else { Class::Write }
    }
}
