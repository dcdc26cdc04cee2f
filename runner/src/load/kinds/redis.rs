//! Commands of Redis.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Kind;
use crate::load::plan::Class;

/// A command of Redis. An error reply is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Redis {
    /// The command: a list of its words, or a line that is split at spaces. Each word is a template.
    pub command: Command,
}

/// A command's words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Command {
    /// As a line, split at spaces outside of templates.
    Line(String),
    /// As a list, for words with spaces in them.
    Words(Vec<String>),
}

impl Kind for Redis {
    const NAME: &'static str = "redis";

    fn label(&self) -> String {
        match &self.command {
            Command::Line(line) => line.clone(),
            Command::Words(words) => words.join(" "),
        }
    }

    fn class(&self) -> Class {
        let label = self.label();
        let verb = label.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
        let reads = [
            "GET", "MGET", "EXISTS", "TTL", "PTTL", "STRLEN", "HGET", "HMGET", "HGETALL", "HLEN", "LRANGE", "LLEN",
            "SMEMBERS", "SISMEMBER", "SCARD", "ZRANGE", "ZSCORE", "ZCARD", "SCAN", "PING", "INFO", "TYPE",
        ];
        if reads.contains(&verb.as_str()) { Class::Read } else { Class::Write }
    }
}
