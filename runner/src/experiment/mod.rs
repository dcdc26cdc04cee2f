//! Experiments as people commit them: what is fine, what is broken, and what is expected of it.
//!
//! - [`Experiment`] is the file; `read` takes it from a document, `vars` fills in what stands for
//!   the environment, `check` sees to what the fields mean together;
//! - [`schedule`]: several experiments, one after another;
//! - [`action`]: what is done before and after.

pub mod action;
mod check;
mod read;
pub mod schedule;
pub mod vars;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use sabot_toxics::Invalid;
use sabot_toxics::units::Millis;
use schemars::JsonSchema;
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

pub use action::Action;

use crate::judge::Verdict;
use crate::load::{Load, Plan};
use crate::sli::SliSpec;
use crate::slo::Slo;

/// An experiment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// What it is called; results are found by it.
    pub title: String,
    /// What is believed of the system: the sentence that the run confirms or refutes.
    pub hypothesis: String,
    /// The load, as `sabot load` takes it, or the file of one, relative to this file; how long it runs
    /// follows from the windows.
    // Read apart: a plan says more of what is wrong with it than can pass through serde.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LoadSpec")]
    pub load: Option<Plan>,
    /// SLIs beside those of the load, by the name that objectives use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub slis: BTreeMap<String, SliSpec>,
    /// The objectives, for all phases or for each: what "fine" means.
    pub slos: SlosSpec,
    /// What is broken. Without any, the run only shows whether the system is in SLO.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<FaultSpec>,
    /// How long each phase takes.
    #[serde(default)]
    pub windows: Windows,
    /// For how long everything must be in SLO again to count as recovered.
    #[serde(default = "defaults::stable")]
    #[schemars(default = "defaults::stable")]
    pub stable: Millis,
    /// When to stop at once, such as `reads error_rate > 1% for 5s`: conditions that must not come
    /// true.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<Slo>,
    /// The endpoints that may leave their objectives while the fault is on. If others do, it has
    /// spread, and the verdict is `failed`. Unless given, it has spread if all endpoints did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blast_radius: Option<Vec<String>>,
    /// The verdict that is expected; `held` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<Verdict>,
    /// What is done before the load, in order; if one fails, nothing is broken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub prepare: Vec<Action>,
    /// What is done after the run, however it ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cleanup: Vec<Action>,
    /// The same experiment on a system prepared otherwise, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub variants: BTreeMap<String, Variant>,
}

/// What a file may say of its load.
#[derive(JsonSchema)]
#[serde(untagged)]
#[allow(dead_code, reason = "it stands for the field in the schema alone")]
enum LoadSpec {
    /// A plan.
    Plan(Box<Plan>),
    /// The file of one.
    File(String),
}

/// Objectives: one list for every phase, or a list for each.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
#[serde(untagged)]
pub enum SlosSpec {
    /// The same in every phase.
    All(Vec<Slo>),
    /// Each phase has its own.
    Phases(PhaseSlos),
}

/// By hand, because an untagged enum would not say what is wrong with an objective.
impl<'de> Deserialize<'de> for SlosSpec {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListOrPhases)
    }
}

struct ListOrPhases;

impl<'de> Visitor<'de> for ListOrPhases {
    type Value = SlosSpec;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objectives, or an object of lists: steady, fault, after")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, list: A) -> Result<SlosSpec, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(list)).map(SlosSpec::All)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<SlosSpec, A::Error> {
        PhaseSlos::deserialize(MapAccessDeserializer::new(map)).map(SlosSpec::Phases)
    }
}

/// The objectives of each phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PhaseSlos {
    /// In the baseline: what is steady. A run without it proves nothing.
    pub steady: Vec<Slo>,
    /// While the fault is on; as `steady` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Vec<Slo>>,
    /// After it; as `steady` unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<Vec<Slo>>,
}

/// A toxic on a proxy, for the time of the fault.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FaultSpec {
    /// The proxy between the services whose link is broken.
    pub proxy: String,
    /// The kind of toxic, such as `latency`; `sabot kinds` lists them.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its attributes; what is left out gets its default.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub attributes: Map<String, Value>,
    /// `downstream` (server to client, the default) or `upstream`.
    #[serde(default)]
    pub stream: Stream,
    /// The share of connections (HTTP faults: of requests) that it acts on.
    #[serde(default = "defaults::toxicity")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub toxicity: f64,
    /// When within the window of the fault it acts, as `sabot toxic add --when` takes it.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub when: Map<String, Value>,
}

/// The direction of a toxic.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// From the server to the client.
    #[default]
    Downstream,
    /// From the client to the server.
    Upstream,
}

/// How long each phase takes; rounded up to seconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Windows {
    /// Load that does not count yet.
    pub warm_up: Millis,
    /// The steady state.
    pub baseline: Millis,
    /// The fault.
    pub fault: Millis,
    /// The time after it.
    pub recovery: Millis,
}

impl Default for Windows {
    fn default() -> Self {
        Self {
            warm_up: Millis::new(5_000),
            baseline: Millis::new(60_000),
            fault: Millis::new(120_000),
            recovery: Millis::new(120_000),
        }
    }
}

impl Windows {
    /// Warm-up, baseline, fault and recovery, from seconds.
    #[must_use]
    pub fn of_seconds(seconds: [u64; 4]) -> Self {
        // What is far too long stays so, and is refused.
        let [warm_up, baseline, fault, recovery] =
            seconds.map(|seconds| Millis::new(seconds.saturating_mul(1000)));
        Self { warm_up, baseline, fault, recovery }
    }

    /// Warm-up, baseline, fault and recovery in whole seconds.
    #[must_use]
    pub fn seconds(&self) -> [u64; 4] {
        [self.warm_up, self.baseline, self.fault, self.recovery].map(|window| whole_seconds(window.get()))
    }
}

/// A length in seconds, rounded up.
#[must_use]
pub fn whole_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

/// What differs in a variant of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Variant {
    /// Done before the load, after the experiment's own `prepare`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub prepare: Vec<Action>,
    /// The verdict that is expected of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expect: Option<Verdict>,
}

impl Experiment {
    /// The experiment as the variant of that name has it.
    ///
    /// # Errors
    /// There is none of that name; the error names the nearest.
    pub fn variant(mut self, name: &str) -> Result<Self, String> {
        let Some(variant) = self.variants.remove(name) else {
            let known: Vec<&str> = self.variants.keys().map(String::as_str).collect();
            return Err(format!("unknown variant `{name}`{}", sabot_toxics::suggestion(name, &known)));
        };
        self.prepare.extend(variant.prepare);
        self.expect = variant.expect.or(self.expect);
        Ok(self)
    }

    /// Gives it other windows. A recovery that is shorter than `stable` makes that as short.
    ///
    /// # Errors
    /// A window is missing that its faults need, or they are too long together.
    pub fn set_windows(&mut self, windows: Windows) -> Result<(), Invalid> {
        self.stable = self.stable.min(windows.recovery);
        self.windows = windows;
        check::windows(self)
    }

    /// Its load, ready for as long as its windows last.
    ///
    /// # Errors
    /// The field of the load that is missing or cannot be what it is.
    pub fn load(&self) -> Result<Load, Invalid> {
        let mut plan = self.load.clone().ok_or_else(|| Invalid::new("load", "is missing"))?;
        plan.duration = Some(Millis::new(self.windows.seconds().iter().sum::<u64>() * 1000));
        Load::new(plan).map_err(|error| error.within("load"))
    }

    /// A load with nothing to break and nothing asked of it.
    #[must_use]
    pub fn of_load(title: &str, plan: Plan) -> Self {
        Self {
            title: title.to_owned(),
            hypothesis: String::new(),
            load: Some(plan),
            slis: BTreeMap::new(),
            slos: SlosSpec::All(Vec::new()),
            faults: Vec::new(),
            windows: Windows::default(),
            stable: defaults::stable(),
            stop: Vec::new(),
            blast_radius: None,
            expect: None,
            prepare: Vec::new(),
            cleanup: Vec::new(),
            variants: BTreeMap::new(),
        }
    }

    /// Asks these objectives of it, in every phase, instead of its own.
    ///
    /// # Errors
    /// The load has not what one of them is about.
    pub fn ask(&mut self, slos: Vec<Slo>) -> Result<(), Invalid> {
        let names = crate::slo::Names::of(&self.load()?);
        let slis: Vec<&str> = self.slis.keys().map(String::as_str).collect();
        for slo in &slos {
            slo.check(&names, &slis).map_err(|message| Invalid::new("slo", message))?;
        }
        self.slos = SlosSpec::All(slos);
        Ok(())
    }

    /// The objectives by phase.
    #[must_use]
    pub fn objectives(&self) -> crate::judge::Slos {
        let (steady, fault, after) = match &self.slos {
            SlosSpec::All(all) => (all.clone(), all.clone(), all.clone()),
            SlosSpec::Phases(phases) => {
                let or_steady = |own: &Option<Vec<Slo>>| own.clone().unwrap_or_else(|| phases.steady.clone());
                (phases.steady.clone(), or_steady(&phases.fault), or_steady(&phases.after))
            }
        };
        crate::judge::Slos { steady, fault, after, blast_radius: self.blast_radius.clone() }
    }
}

mod defaults {
    use sabot_toxics::units::Millis;

    pub(super) fn stable() -> Millis {
        Millis::new(10_000)
    }

    pub(super) fn toxicity() -> f64 {
        1.0
    }
}

#[cfg(test)]
mod tests;
