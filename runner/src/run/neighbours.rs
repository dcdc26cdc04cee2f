//! What else is on the proxies that a run breaks: who shares a proxy shares its numbers.
//!
//! A toxic that was there from the beginning is part of what is measured, and told. One of another run, or
//! one that comes, goes or changes meanwhile, makes the numbers say nothing of the run's own fault.
//! A toxic that acts on nobody (toxicity 0) is no neighbour: runs rehearse with such.

use std::collections::BTreeMap;

use sabot_client::{Proxy, Toxic};
use serde_json::{Map, Value};

/// What the names of all runs' toxics begin with.
const RUNS: &str = "run-";

/// The toxics on the run's proxies that are not its own.
#[derive(Debug)]
pub(super) struct Neighbours {
    /// What the names of this run's own toxics begin with.
    own: String,
    /// As they were when the run began, by proxy.
    before: BTreeMap<String, Vec<Toxic>>,
}

impl Neighbours {
    pub(super) fn new(run: &str) -> Self {
        Self { own: format!("{RUNS}{run}-"), before: BTreeMap::new() }
    }

    /// The name of this run's fault number `at`.
    pub(super) fn own_name(&self, at: usize) -> String {
        format!("{}{at}", self.own)
    }

    /// A fault of another run, as a sentence without its end.
    pub(super) fn of_another_run(&self, proxy: &Proxy) -> Option<String> {
        let other = self.on(proxy).find(|toxic| toxic.name.starts_with(RUNS))?;
        let until = other.expires_in_ms.map(|ms| format!(", for {:.0} s more at most", (ms / 1000.0).ceil()));
        Some(format!(
            "Another run has its fault {} on {}{}",
            told(other),
            proxy.name,
            until.unwrap_or_default()
        ))
    }

    /// Takes in what is there as the run begins; a sentence for each.
    pub(super) fn begin(&mut self, proxy: &Proxy) -> Vec<String> {
        let there: Vec<Toxic> = self.on(proxy).cloned().collect();
        let sentence = |toxic: &Toxic| {
            format!(
                "The toxic {} was on {} already: all that was measured is with it.",
                told(toxic),
                proxy.name
            )
        };
        let warnings = there.iter().map(sentence).collect();
        self.before.insert(proxy.name.clone(), there);
        warnings
    }

    /// What differs from when the run began, as a sentence without its end.
    pub(super) fn changed(&self, proxy: &Proxy) -> Option<String> {
        let before = self.before.get(&proxy.name)?;
        let name = &proxy.name;
        if let Some(other) = self.of_another_run(proxy) {
            return Some(other);
        }
        for toxic in self.on(proxy) {
            let Some(was) = before.iter().find(|was| was.name == toxic.name) else {
                return Some(format!("Somebody else put the toxic {} on {name} meanwhile", told(toxic)));
            };
            if let Some(how) = difference(was, toxic) {
                return Some(format!(
                    "Somebody else changed the toxic {} on {name} meanwhile: {how}",
                    told(was)
                ));
            }
        }
        let gone = before.iter().find(|was| self.on(proxy).all(|toxic| toxic.name != was.name))?;
        Some(format!("The toxic {}, which was on {name} at first, went meanwhile", told(gone)))
    }

    fn on<'p>(&self, proxy: &'p Proxy) -> impl Iterator<Item = &'p Toxic> {
        let own = |toxic: &Toxic| toxic.name.starts_with(&self.own) && toxic.injection().is_none();
        proxy.toxics.iter().filter(move |toxic| toxic.toxicity > 0.0 && !own(toxic))
    }
}

fn told(toxic: &Toxic) -> String {
    format!("{} ({})", toxic.name, toxic.kind)
}

/// How a toxic differs from what it was; none if it does not.
pub(super) fn difference(was: &Toxic, is: &Toxic) -> Option<String> {
    if (&was.kind, was.stream) != (&is.kind, is.stream) {
        return Some(format!("it is a {} of the {} now", is.kind, is.stream.as_str()));
    }
    if was.toxicity.to_bits() != is.toxicity.to_bits() {
        return Some(format!("its toxicity is {}, not {}", is.toxicity, was.toxicity));
    }
    let attribute = different(&was.attributes, &is.attributes);
    attribute.or_else(|| different(&was.when, &is.when).map(|how| format!("when.{how}")))
}

fn different(was: &Map<String, Value>, is: &Map<String, Value>) -> Option<String> {
    let name = was.keys().chain(is.keys()).find(|name| was.get(*name) != is.get(*name))?;
    let told = |map: &Map<String, Value>| map.get(name).map_or_else(|| "unset".to_owned(), Value::to_string);
    Some(format!("{name} is {}, not {}", told(is), told(was)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn proxy(toxics: &[Value]) -> Proxy {
        let proxy = json!({
            "name": "pay", "listen": "127.0.0.1:1", "upstream": "127.0.0.1:2", "enabled": true, "toxics": toxics,
        });
        serde_json::from_value(proxy).unwrap()
    }

    fn toxic(name: &str, toxicity: f64, latency: u32) -> Value {
        json!({
            "name": name, "type": "latency", "stream": "downstream", "toxicity": toxicity,
            "attributes": {"latency": latency, "jitter": 0}, "when": {"expires_after": "13s"}, "expires_in_ms": 9100.0,
        })
    }

    #[test]
    fn what_was_there_is_told_and_what_changes_is_found() {
        let mut all = Neighbours::new("7");
        assert_eq!(all.own_name(0), "run-7-0");
        let mine = toxic("run-7-0", 1.0, 300);
        let warnings = all.begin(&proxy(&[mine.clone(), toxic("old", 1.0, 50), toxic("idle", 0.0, 50)]));
        let told = "The toxic old (latency) was on pay already: all that was measured is with it.";
        assert_eq!(warnings, [told]);
        let cases: [(&[Value], Option<&str>); 7] = [
            (&[mine.clone(), toxic("old", 1.0, 50)], None),
            (&[toxic("old", 1.0, 50), toxic("run-8-0", 0.0, 9)], None),
            (
                &[toxic("old", 1.0, 51)],
                Some("changed the toxic old (latency) on pay meanwhile: latency is 51, not 50"),
            ),
            (&[toxic("old", 0.5, 50)], Some("its toxicity is 0.5, not 1")),
            (&[mine], Some("The toxic old (latency), which was on pay at first, went meanwhile")),
            (&[toxic("old", 1.0, 50), toxic("new", 1.0, 9)], Some("else put the toxic new (latency) on pay")),
            (
                &[toxic("old", 1.0, 50), toxic("run-8-0", 1.0, 9)],
                Some("Another run has its fault run-8-0 (latency) on pay, for 10 s more at most"),
            ),
        ];
        for (toxics, expected) in cases {
            let found = all.changed(&proxy(toxics));
            match expected {
                None => assert_eq!(found, None),
                Some(part) => assert!(found.as_deref().is_some_and(|told| told.contains(part)), "{found:?}"),
            }
        }
    }

    #[test]
    fn a_time_that_was_given_more_of_is_a_change() {
        let read = |value: Value| serde_json::from_value::<Toxic>(value).unwrap();
        let (was, mut is) = (toxic("a", 1.0, 1), toxic("a", 1.0, 1));
        is["applied"] = json!(7);
        is["expires_in_ms"] = json!(1.0);
        assert_eq!(difference(&read(was.clone()), &read(is.clone())), None, "it acts, and time passes");
        is["when"] = json!({});
        assert_eq!(difference(&read(was), &read(is)).unwrap(), "when.expires_after is unset, not \"13s\"");
    }
}
