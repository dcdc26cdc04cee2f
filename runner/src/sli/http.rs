//! A probe: one request.

use std::collections::BTreeMap;
use std::time::Duration;

use sabot_toxics::Invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Source;
use crate::fetch::{Fetch, fetch, http_url, unless_headers};

/// A GET.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where to.
    pub url: String,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The status that is expected; any from 200 to 399 unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Which number it gives.
    #[serde(default)]
    pub value: HttpValue,
}

/// Which number a probe gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum HttpValue {
    /// 1 if it was answered as expected, else 0.
    #[default]
    Success,
    /// How long the whole answer took, in seconds; none if it was not as expected.
    Seconds,
}

impl Source for Http {
    async fn sample(&self, limit: Duration) -> Result<f64, String> {
        let fetch_it = Fetch { method: "GET", url: &self.url, headers: &self.headers, body: None, limit };
        let answer = fetch(&fetch_it).await.and_then(|answer| {
            let fine = self.status.map_or((200..400).contains(&answer.status), |one| one == answer.status);
            if fine { Ok(answer) } else { Err(format!("it answered {}", answer.status)) }
        });
        match self.value {
            HttpValue::Success => Ok(f64::from(u8::from(answer.is_ok()))),
            HttpValue::Seconds => answer.map(|answer| answer.took.as_secs_f64()),
        }
    }

    fn told(&self) -> String {
        format!("GET {}", self.url)
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.status.is_some_and(|status| !(100..600).contains(&status)) {
            return Err(Invalid::new("status", "must be a status of HTTP, from 100 to 599"));
        }
        unless_headers("headers", &self.headers)?;
        http_url("url", &self.url)
    }
}
