//! A query in PromQL, answered by a Prometheus server's HTTP API
//! (<https://prometheus.io/docs/prometheus/latest/querying/api/>).

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sabot_toxics::Invalid;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Source;
use crate::fetch::{Fetch, fetch, http_url};

/// An instant query.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Prometheus {
    /// The server, such as `http://localhost:9090`.
    pub url: String,
    /// The query; it has to give a scalar, or a vector of one element.
    pub query: String,
}

impl Source for Prometheus {
    async fn sample(&self, limit: Duration) -> Result<f64, String> {
        let query = utf8_percent_encode(&self.query, NON_ALPHANUMERIC);
        let url = format!("{}/api/v1/query?query={query}", self.url.trim_end_matches('/'));
        let headers = BTreeMap::new();
        let answer = fetch(&Fetch { method: "GET", url: &url, headers: &headers, body: None, limit }).await?;
        let json: Value = serde_json::from_slice(&answer.body)
            .map_err(|_| format!("it answered {} without JSON: is it Prometheus?", answer.status))?;
        number(&json)
    }

    fn told(&self) -> String {
        format!("Prometheus at {}", self.url)
    }

    fn check(&self) -> Result<(), Invalid> {
        if self.query.trim().is_empty() {
            return Err(Invalid::new("query", "must not be empty"));
        }
        http_url("url", &self.url)
    }
}

/// The one number of an answer.
pub(crate) fn number(answer: &Value) -> Result<f64, String> {
    if answer["status"] != "success" {
        return Err(format!(
            "it refused the query: {}",
            answer["error"].as_str().unwrap_or("no reason given")
        ));
    }
    let result = &answer["data"]["result"];
    let value = match answer["data"]["resultType"].as_str() {
        Some("scalar") => &result[1],
        Some("vector") => match result.as_array().map(Vec::as_slice) {
            Some([one]) => &one["value"][1],
            Some([]) => return Err("the query gives nothing: no such series, or none lately".to_owned()),
            Some(many) => {
                return Err(format!("the query gives {} series; sum them up to one", many.len()));
            }
            None => return Err("the answer has no result".to_owned()),
        },
        other => return Err(format!("the query gives a {}; a number is needed", other.unwrap_or("nothing"))),
    };
    let text = value.as_str().ok_or("the answer has no value")?;
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::number;

    #[test]
    fn one_number_is_an_answer() {
        let vector =
            |result| json!({"status": "success", "data": {"resultType": "vector", "result": result}});
        let one = json!([{"metric": {}, "value": [1.5, "0.25"]}]);
        assert_eq!(number(&vector(one)), Ok(0.25));
        let scalar = json!({"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}});
        assert_eq!(number(&scalar), Ok(2.0));
        for (answer, told) in [
            (vector(json!([])), "gives nothing"),
            (vector(json!([{"value": [1, "1"]}, {"value": [1, "2"]}])), "2 series"),
            (json!({"status": "error", "error": "parse error"}), "parse error"),
            (json!({"status": "success", "data": {"resultType": "matrix", "result": []}}), "a matrix"),
        ] {
            assert!(number(&answer).unwrap_err().contains(told), "{answer}");
        }
    }
}
