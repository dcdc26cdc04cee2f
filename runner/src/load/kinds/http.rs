//! Requests of HTTP/1.1 and HTTP/2.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Kind;
use crate::load::plan::Class;

/// A request of HTTP.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// The method.
    #[serde(default = "get")]
    pub method: String,
    /// Path and query; a template.
    pub path: String,
    /// Headers beside the plan's; templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Text, or an object that is sent as JSON; a template. In an object, text that is one number of a
    /// template (`"{{int 1 9}}"`) becomes a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// Statuses that are as expected: `201`, or a range such as `200-399`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expect: Vec<Statuses>,
}

/// A status, or a range of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Statuses {
    /// This one.
    One(u16),
    /// From one to another, both included: `200-399`.
    Range(String),
}

fn get() -> String {
    "GET".to_owned()
}

impl Kind for Http {
    const NAME: &'static str = "http";

    fn label(&self) -> String {
        format!("{} {}", self.method, self.path)
    }

    fn class(&self) -> Class {
        if ["GET", "HEAD", "OPTIONS"].contains(&self.method.as_str()) { Class::Read } else { Class::Write }
    }
}
