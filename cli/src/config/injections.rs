//! The section `injections` of a config: what injections may do, what guards them, and who is told.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use sabot_injections::engine::view::{Figure, OwnView};
use sabot_injections::engine::{Indicator, Limits, Settings, Slo};
use sabot_injections::notify::Webhook;
use sabot_injections::request::Selector;
use sabot_injections::rules::{Approval, Closed, Rules, Span, read_moment};
use sabot_injections::schedule::Recurrence;
use sabot_runner::fetch::unless_headers;
use sabot_runner::sli::SourceSpec;
use sabot_toxics::units::Millis;
use sabot_toxics::{Invalid, read, suggestion};
use serde::Deserialize;
use serde_json::{Map, Value};

use super::changed::changed;

/// What a config says of injections.
#[derive(Clone, Default)]
pub(crate) struct Injections {
    /// What is allowed, and what guards.
    pub settings: Settings,
    /// Who is told.
    pub webhooks: Vec<Webhook>,
    /// The schedule of experiments that `/chaos/experiments` shows.
    pub experiments: Option<PathBuf>,
    /// As it is written.
    section: Map<String, Value>,
}

impl Injections {
    /// What differs in a newer one, each with its field; without secrets.
    pub(crate) fn changed(&self, newer: &Self) -> Vec<String> {
        changed(&self.section, &newer.section)
    }

    /// Reads the section; paths of errors begin below it.
    pub(super) fn read(value: Value) -> Result<Self, Invalid> {
        unless_vain(&value)?;
        let section = value.as_object().cloned().unwrap_or_default();
        let written: Written = read(value)?;
        let rules = written.rules()?;
        let error_rate = written.limits.error_rate;
        error_rate.map_or(Ok(()), |rate| Invalid::unless_share("limits.error_rate", rate))?;
        if written.limits.p99_factor.is_some_and(|factor| !(factor.is_finite() && factor > 1.0)) {
            return Err(Invalid::new("limits.p99_factor", "must be more than 1"));
        }
        let limits = Limits {
            error_rate,
            p99_factor: written.limits.p99_factor,
            grace: written.limits.grace.map_or(Duration::from_secs(5), Millis::get),
            watch: written.limits.watch,
        };
        let mut slos = BTreeMap::new();
        for (name, value) in written.slos {
            let slo = slo(value).map_err(|error| error.within(&format!("slos.{name}")))?;
            slos.insert(name, slo);
        }
        for (at, webhook) in written.webhooks.iter().enumerate() {
            let checked = webhook.check().and_then(|()| unless_headers("headers", &webhook.headers));
            checked.map_err(|error| error.within(&format!("webhooks[{at}]")))?;
        }
        let default_duration = written.default_duration.map(Millis::get);
        if default_duration.is_some_and(|span| span.is_zero() || span > rules.longest) {
            return Err(Invalid::new("default_duration", "must be more than 0, and at most `longest`"));
        }
        let settings = Settings { rules, slos, limits, default_duration };
        Ok(Self { settings, webhooks: written.webhooks, experiments: written.experiments, section })
    }
}

/// Refuses what would be read, and mean nothing that somebody can have wanted: a list for an object, which serde
/// takes for its fields one after the other, and a webhook that is told of no moment.
fn unless_vain(section: &Value) -> Result<(), Invalid> {
    let list = |field: String| Err(Invalid::new(field, "must be an object, not a list"));
    if section.is_array() {
        return list(String::new());
    }
    if let Some(field) = ["approval", "limits"].into_iter().find(|field| section[*field].is_array()) {
        return list(field.to_owned());
    }
    for of in ["windows", "webhooks"] {
        for (at, one) in section[of].as_array().into_iter().flatten().enumerate() {
            if one.is_array() {
                return list(format!("{of}[{at}]"));
            }
            if one["on"].as_array().is_some_and(Vec::is_empty) {
                let message = "must name a moment; leave it out to be told of all of them";
                return Err(Invalid::new(format!("{of}[{at}].on"), message));
            }
        }
    }
    for (name, slo) in section["slos"].as_object().into_iter().flatten() {
        for (source, given) in slo.as_object().into_iter().flatten() {
            if given.is_array() {
                return list(format!("slos.{name}.{source}"));
            }
        }
    }
    Ok(())
}

/// As it is written.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Written {
    longest: Option<Millis>,
    default_duration: Option<Millis>,
    patience: Option<Millis>,
    most: Option<usize>,
    approval: WrittenApproval,
    limits: WrittenLimits,
    windows: Vec<WrittenWindow>,
    slos: BTreeMap<String, Value>,
    webhooks: Vec<Webhook>,
    experiments: Option<PathBuf>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct WrittenApproval {
    above_targets: Option<usize>,
    environments: Option<Vec<String>>,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct WrittenLimits {
    error_rate: Option<f64>,
    p99_factor: Option<f64>,
    grace: Option<Millis>,
    watch: Selector,
}

/// Either `from` and `to`, or `when` and `for`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenWindow {
    reason: String,
    from: Option<String>,
    to: Option<String>,
    when: Option<Recurrence>,
    r#for: Option<Millis>,
}

impl Written {
    fn rules(&self) -> Result<Rules, Invalid> {
        let unless_given = Rules::default();
        let span = |field: &str, given: Option<Millis>, unless: Duration| match given.map(Millis::get) {
            Some(Duration::ZERO) => Err(Invalid::new(field, "must be more than 0")),
            Some(span) => Ok(span),
            None => Ok(unless),
        };
        let approval = Approval::default();
        let environments = self.approval.environments.clone().unwrap_or(approval.environments);
        let windows = self.windows.iter().enumerate();
        let windows = windows
            .map(|(at, window)| window.closed().map_err(|error| error.within(&format!("windows[{at}]"))));
        Ok(Rules {
            longest: span("longest", self.longest, unless_given.longest)?,
            patience: span("patience", self.patience, unless_given.patience)?,
            most: self.most.unwrap_or(unless_given.most),
            approval: Approval { above_targets: self.approval.above_targets, environments },
            windows: windows.collect::<Result<_, _>>()?,
        })
    }
}

impl WrittenWindow {
    fn closed(&self) -> Result<Closed, Invalid> {
        let span = match (&self.from, &self.to, &self.when, self.r#for) {
            (Some(from), Some(to), None, None) => {
                let (from_ms, to_ms) = (read_moment("from", from)?, read_moment("to", to)?);
                if from_ms >= to_ms {
                    return Err(Invalid::new("to", "must be after `from`"));
                }
                Span::Once { from_ms, to_ms }
            }
            (None, None, Some(when), Some(length)) if !length.is_zero() => {
                if !when.is_of_the_clock() {
                    let message = format!(
                        "`{when}` says at no time of the clock when a window begins: write five fields of cron, \
                         such as `0 9 * * MON-FRI Europe/Berlin`"
                    );
                    return Err(Invalid::new("when", message));
                }
                Span::Again { when: when.clone(), length: length.get() }
            }
            _ => return Err(Invalid::new("", "must have either `from` and `to`, or `when` and `for`")),
        };
        Ok(Closed { reason: self.reason.clone(), span })
    }
}

/// What proxies see, or one of the sources that experiments have.
fn slo(value: Value) -> Result<Slo, Invalid> {
    let known = [&["proxies"], SourceSpec::NAMES].concat();
    let mut fields = value.as_object().into_iter().flat_map(Map::keys);
    if let Some(field) = fields.find(|field| !known.contains(&field.as_str())) {
        // The only one of the indicators of experiments that is not taken.
        let message = match field.as_str() {
            "every" => "is for experiments; here indicators are read every second: leave it out".to_owned(),
            _ => format!("unknown field{}", suggestion(field, &known)),
        };
        return Err(Invalid::new(field, message));
    }
    match value {
        Value::Object(mut map) if map.contains_key("proxies") => {
            let own = map.remove("proxies").unwrap_or_default();
            if let Some(more) = map.keys().next() {
                return Err(Invalid::new(more, "does not go with `proxies`: an indicator has one source"));
            }
            let own: OwnView = read(own).map_err(|error| error.within("proxies"))?;
            if own.value != Figure::Success && !own.methods.is_empty() {
                let message = "go with `value: success` alone: durations are not told apart by method";
                return Err(Invalid::new("proxies.methods", message));
            }
            Ok(Slo::Seen(own))
        }
        other => {
            let source: SourceSpec = read(other)?;
            source.check()?;
            Ok(Slo::Asked(Arc::new(Given(source))))
        }
    }
}

/// An indicator by the means that experiments have, too.
struct Given(SourceSpec);

impl Indicator for Given {
    fn sample(&self, limit: Duration) -> Pin<Box<dyn Future<Output = Result<f64, String>> + Send + '_>> {
        Box::pin(self.0.sample(limit))
    }

    fn source(&self) -> String {
        self.0.told()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_of_it_is_read() {
        let read = Injections::read(json!({
            "longest": "2h", "default_duration": "30s", "patience": "15m", "most": 5,
            "approval": {"above_targets": 2, "environments": ["production", "live"]},
            "limits": {"error_rate": 0.05, "p99_factor": 2, "grace": "10s", "watch": "tier=edge"},
            "windows": [
                {"reason": "freeze", "from": "2026-12-20T00:00:00Z", "to": "2027-01-03T00:00:00Z"},
                {"reason": "business hours", "when": "0 9 * * MON-FRI Europe/Berlin", "for": "8h"},
            ],
            "slos": {
                "writes": {"prometheus": {"url": "http://localhost:9090", "query": "up"}},
                "edge": {"proxies": {"watch": "tier=edge", "methods": ["POST"], "value": "success"}},
            },
            "webhooks": [{"url": "https://hooks.example.com/x", "format": "slack", "on": ["aborted"]}],
            "experiments": "schedule.yaml",
        }));
        let read = read.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(read.settings.rules.longest, Duration::from_secs(7200));
        assert_eq!(read.settings.rules.windows.len(), 2);
        assert_eq!(read.settings.limits.error_rate, Some(0.05));
        let Slo::Asked(writes) = &read.settings.slos["writes"] else { panic!("it is asked") };
        assert_eq!(writes.source(), "Prometheus at http://localhost:9090");
        assert!(matches!(&read.settings.slos["edge"], Slo::Seen(own) if own.methods == ["POST"]));
        assert_eq!(read.webhooks.len(), 1);
        assert!(Injections::read(json!({})).is_ok());
    }

    #[test]
    fn what_cannot_be_is_refused_by_field() {
        for (value, field) in [
            (json!({"longest": 0}), "longest"),
            (json!({"longer": 1}), "longer"),
            (json!({"default_duration": "2h"}), "default_duration"),
            (json!({"limits": {"error_rate": 5}}), "limits.error_rate"),
            (json!({"limits": {"p99_factor": 1}}), "limits.p99_factor"),
            (json!({"limits": {"watch": "a b"}}), "limits.watch"),
            (json!({"windows": [{"reason": "x"}]}), "windows[0]"),
            (json!({"windows": [{"reason": "x", "when": "@daily", "for": "1h"}]}), "windows[0].when"),
            (json!({"windows": [{"reason": "x", "when": "@every 10s", "for": "5s"}]}), "windows[0].when"),
            (json!({"windows": [{"reason": "x", "from": "today", "to": "tomorrow"}]}), "windows[0].from"),
            (json!({"slos": {"w": {"prometheus": {"url": "x", "query": "up"}}}}), "slos.w.prometheus.url"),
            (json!({"slos": {"w": {"proxies": {"value": "p42"}}}}), "slos.w.proxies.value"),
            (
                json!({"slos": {"w": {"proxies": {"value": "p99_ms", "methods": ["GET"]}}}}),
                "slos.w.proxies.methods",
            ),
            (json!({"slos": {"w": {"proxies": {}, "http": {"url": "x"}}}}), "slos.w.http"),
            (json!({"webhooks": [{"url": "x"}]}), "webhooks[0].url"),
            (json!({"webhooks": [{"url": "http://x", "on": []}]}), "webhooks[0].on"),
            (
                json!({"webhooks": [{"url": "http://x", "headers": {"bad header": "x"}}]}),
                "webhooks[0].headers.bad header",
            ),
            (
                json!({"webhooks": [{"url": "http://x", "headers": {"x-a": "x\ny"}}]}),
                "webhooks[0].headers.x-a",
            ),
            (json!({"webhooks": [["http://x"]]}), "webhooks[0]"),
            (json!({"slos": {"w": {"http": {"url": "http://x", "status": 99}}}}), "slos.w.http.status"),
            (
                json!({"slos": {"w": {"http": {"url": "http://x", "headers": {"": "x"}}}}}),
                "slos.w.http.headers.",
            ),
            (json!({"slos": {"w": {"proxies": []}}}), "slos.w.proxies"),
            (json!({"slos": {"w": {"http": {"url": "http://x"}, "every": "5s"}}}), "slos.w.every"),
            (json!({"slos": {"w": {"proxies": {}, "every": "5s"}}}), "slos.w.every"),
            (json!({"slos": {"w": {"htp": {"url": "http://x"}}}}), "slos.w.htp"),
            (json!([]), ""),
            (json!({"limits": []}), "limits"),
            (json!({"approval": {"above_targets": -1}}), "approval.above_targets"),
        ] {
            let error = Injections::read(value.clone()).err().unwrap_or_else(|| panic!("{value}"));
            assert_eq!(error.field, field, "{value}: {error}");
        }
    }
}
