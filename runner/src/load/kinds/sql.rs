//! Statements of SQL, to PostgreSQL.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::load::plan::Class;

/// A statement of SQL, prepared once on each connection. An error of the server is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Sql {
    /// The statement, with `$1`, `$2` for its parameters. No template: what changes is a parameter.
    pub statement: String,
    /// The parameters, as text that the server turns into their types; templates.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parameters: Vec<String>,
}

impl Kind for Sql {
    const NAME: &'static str = "sql";

    fn label(&self) -> String {
        self.statement.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn class(&self) -> Class {
        let verb = self.statement.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        if ["SELECT", "SHOW", "TABLE", "VALUES"].contains(&verb.as_str()) { Class::Read } else { Class::Write }
    }
}
