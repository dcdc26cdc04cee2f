//! The queries of `chaostoolkit-prometheus`.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sabot_toxics::Invalid;
use serde_json::{Map, Value};

use super::Around;
use super::python::Function;
use crate::chaostoolkit::scope::to_text;
use crate::fetch::{Fetch, fetch};

/// Prometheus itself gives up after two minutes.
const LIMIT: Duration = Duration::from_secs(120);

/// One query.
#[derive(Clone, Debug)]
pub(in crate::chaostoolkit) struct Prometheus {
    pub(super) function: &'static Function<Call>,
    pub(super) arguments: Map<String, Value>,
}

/// What a function does: the route, and the arguments that are times with their parameters.
#[derive(Debug)]
pub(super) struct Call {
    route: &'static str,
    times: &'static [(&'static str, &'static str)],
}

const MODULE: &str = "chaosprometheus.probes";

pub(super) const FUNCTIONS: &[Function<Call>] = &[
    Function {
        module: MODULE,
        name: "query",
        required: &["query"],
        optional: &["when", "timeout"],
        call: Call { route: "query", times: &[("when", "time")] },
    },
    Function {
        module: MODULE,
        name: "query_interval",
        required: &["query", "start", "end"],
        optional: &["step", "timeout"],
        call: Call { route: "query_range", times: &[("start", "start"), ("end", "end")] },
    },
];

impl Prometheus {
    /// Refuses times that nobody could read; those behind a name are read when it has a value.
    pub(super) fn check(&self) -> Result<(), Invalid> {
        for (argument, _) in self.function.call.times {
            let text = self.arguments.get(*argument).map(to_text).unwrap_or_default();
            if !text.is_empty() && !text.contains('$') {
                time(&text, Timestamp::now())
                    .map_err(|message| Invalid::new(format!("arguments.{argument}"), message))?;
            }
        }
        Ok(())
    }

    pub(super) async fn run(&self, around: &Around) -> Result<Value, String> {
        let scope = around.scope();
        let base = scope.configuration.get("prometheus_base_url").map(to_text);
        let base = base.unwrap_or_else(|| "http://localhost:9090".to_owned());
        let arguments = scope.fill_arguments(&Value::Object(self.arguments.clone()));
        let given = |name: &str| arguments.get(name).filter(|value| !value.is_null()).map(to_text);

        let mut parameters = vec![("query", given("query").unwrap_or_default())];
        parameters.extend(given("timeout").map(|timeout| ("timeout", timeout)));
        if self.function.call.route == "query_range" {
            parameters.push(("step", given("step").unwrap_or_else(|| "1".to_owned())));
        }
        for (argument, parameter) in self.function.call.times {
            if let Some(text) = given(argument).filter(|text| !text.is_empty()) {
                parameters.push((parameter, time(&text, Timestamp::now())?.to_string()));
            }
        }
        let pair = |(name, value): &(&str, String)| {
            format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC))
        };
        let query: Vec<String> = parameters.iter().map(pair).collect();
        let url =
            format!("{}/api/v1/{}?{}", base.trim_end_matches('/'), self.function.call.route, query.join("&"));
        let headers = BTreeMap::from([("accept".to_owned(), "application/json".to_owned())]);
        let answer =
            fetch(&Fetch { method: "GET", url: &url, headers: &headers, body: None, limit: LIMIT }).await;
        let answer = answer.map_err(|reason| format!("failed to ask Prometheus at {base}: {reason}"))?;
        if answer.status != 200 {
            let told: String = answer.text().chars().take(200).collect();
            return Err(format!("Prometheus answered {}: {}", answer.status, told.trim()));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|_| format!("no JSON came from {base}: is it Prometheus?"))
    }
}

/// A time as RFC 3339 has it, `now`, or as long ago as `2 minutes ago`.
fn time(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let wrong = || format!("`{text}` is no time that Sabot knows: write RFC 3339, `now`, or `2 minutes ago`");
    if let Ok(time) = text.trim().parse() {
        return Ok(time);
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    let (number, unit) = match words.as_slice() {
        ["now"] => return Ok(now),
        [both] | [both, "ago"] => both.split_at(both.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?),
        [number, unit] | [number, unit, "ago"] => (*number, *unit),
        _ => return Err(wrong()),
    };
    let seconds: i64 = match unit.trim_end_matches('s') {
        "" if unit == "s" => 1,
        "sec" | "second" => 1,
        "m" | "min" | "minute" => 60,
        "h" | "hour" => 3_600,
        "d" | "day" => 86_400,
        "w" | "week" => 604_800,
        _ => return Err(wrong()),
    };
    let ago = number.parse::<i64>().ok().and_then(|number| number.checked_mul(seconds)).ok_or_else(wrong)?;
    now.checked_sub(SignedDuration::from_secs(ago)).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_ago() {
        let now: Timestamp = "2024-05-01T12:00:00Z".parse().unwrap();
        for (text, expected) in [
            ("now", "2024-05-01T12:00:00Z"),
            ("2 minutes ago", "2024-05-01T11:58:00Z"),
            ("1 hour", "2024-05-01T11:00:00Z"),
            ("30s ago", "2024-05-01T11:59:30Z"),
            ("1d", "2024-04-30T12:00:00Z"),
            ("2024-01-02T03:04:05+01:00", "2024-01-02T02:04:05Z"),
        ] {
            assert_eq!(time(text, now).unwrap().to_string(), expected, "{text}");
        }
        for text in ["yesterday", "two minutes ago", "5", "1 fortnight ago", "99999999999999 weeks ago"] {
            assert!(time(text, now).unwrap_err().contains("2 minutes ago"), "{text}");
        }
    }
}
