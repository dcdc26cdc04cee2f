//! Two runs beside each other: before and after.
//!
//! - [`compare`] makes a [`Comparison`] of two records: all that any form of it shows, and its JSON;
//! - `numbers` are those of its phases, `unlike` says where the runs cannot be compared;
//! - `terminal`, `markdown` and `html` write it.

mod html;
mod markdown;
mod numbers;
mod terminal;
mod unlike;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use numbers::{Measure, Pair};

use super::text;
use crate::judge::{Phase, Recovery, Verdict};
use crate::record::Record;

/// Two runs beside each other.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Comparison {
    /// The run that the other is compared with.
    pub a: Side,
    /// The other.
    pub b: Side,
    /// What makes them two different things rather than a before and an after; sentences.
    pub differences: Vec<String>,
    /// The numbers of each phase: of all requests, then of each endpoint.
    pub numbers: Vec<Pair>,
    /// Each objective in its phase.
    pub objectives: Vec<ObjectivePair>,
}

/// What one of the runs came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Side {
    /// Names the run.
    pub id: String,
    /// The experiment's title.
    pub experiment: String,
    /// The variant, if it has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub variant: Option<String>,
    /// When it began, RFC 3339 in UTC.
    pub started_at: String,
    /// The command that runs it again.
    pub command: String,
    /// What it came to.
    pub verdict: Verdict,
    /// Why.
    pub reasons: Vec<String>,
    /// How it came through.
    pub recovery: Option<Recovery>,
    /// From the removal of the fault until all objectives were met, in seconds.
    pub mttr_s: Option<f64>,
    /// The endpoints that left an objective.
    pub blast_radius: Vec<String>,
}

/// An objective in both runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ObjectivePair {
    /// The objective as it was written.
    pub slo: String,
    /// When it was judged.
    pub phase: Phase,
    /// The tenant, if every tenant is judged by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
    /// What was measured in the first run, in words, and whether the objective was met; none: the run
    /// had no such objective.
    pub a: Option<(String, Option<bool>)>,
    /// The same in the second run.
    pub b: Option<(String, Option<bool>)>,
}

/// Puts two runs beside each other.
#[must_use]
pub fn compare(a: &Record, b: &Record) -> Comparison {
    Comparison {
        a: Side::of(a),
        b: Side::of(b),
        differences: unlike::differences(a, b),
        numbers: numbers::numbers(a, b),
        objectives: objectives(a, b),
    }
}

/// Two runs beside each other in a terminal, short: verdicts, reasons, and what all requests met.
#[must_use]
pub fn side_by_side(a: &Record, b: &Record, width: usize, colour: bool) -> String {
    terminal::short(&compare(a, b), width, colour)
}

impl Comparison {
    /// All of it as tables of at most `width` cells where words allow it.
    #[must_use]
    pub fn terminal(&self, width: usize, colour: bool) -> String {
        terminal::whole(self, width, colour)
    }

    /// All of it but the endpoints' numbers, for a pull request.
    #[must_use]
    pub fn markdown(&self) -> String {
        markdown::markdown(self)
    }

    /// All of it as one self-contained HTML file, with the pictures of `a` and `b`: the records that it
    /// was made of.
    ///
    /// # Errors
    /// It could not be put together, which no record should be able to cause.
    pub fn html(&self, a: &Record, b: &Record) -> Result<String, super::ReportError> {
        html::html(self, a, b)
    }

    /// What both are about, if it is one thing; and what each is called beside the other.
    fn names(&self) -> (Option<&str>, [String; 2]) {
        let (a, b) = (&self.a, &self.b);
        let sides = [a, b];
        match (a.experiment == b.experiment, a.variant == b.variant) {
            (true, false) => (
                Some(&a.experiment),
                sides.map(|side| side.variant.clone().unwrap_or_else(|| "no variant".into())),
            ),
            // The same again: only time tells them apart.
            (true, true) => (Some(&a.experiment), sides.map(|side| side.id.clone())),
            (false, _) => (None, sides.map(Side::title)),
        }
    }

    /// The numbers of all requests.
    fn of_all(&self) -> impl Iterator<Item = &Pair> {
        self.numbers.iter().filter(|pair| pair.endpoint.is_none())
    }
}

impl Side {
    fn of(record: &Record) -> Self {
        let judgement = &record.judgement;
        let is_hit =
            |name: &String| judgement.blast_radius.iter().any(|hit| hit.endpoint.as_ref() == Some(name));
        Self {
            id: record.id.clone(),
            experiment: record.title.clone(),
            variant: record.variant.clone(),
            started_at: record.started_at.clone(),
            command: record.command.clone(),
            verdict: judgement.verdict,
            reasons: judgement.reasons.clone(),
            recovery: judgement.recovery,
            mttr_s: judgement.mttr_s,
            blast_radius: record
                .endpoints
                .iter()
                .map(|endpoint| endpoint.name.clone())
                .filter(is_hit)
                .collect(),
        }
    }

    /// The experiment's title, with its variant.
    fn title(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{} ({variant})", self.experiment),
            None => self.experiment.clone(),
        }
    }

    /// The MTTR in words.
    fn mttr(&self) -> String {
        match (self.mttr_s, self.recovery) {
            (Some(mttr_s), _) => text::seconds(mttr_s),
            (None, Some(Recovery::NotRecovered)) => "never".to_owned(),
            (None, _) => text::NOTHING.to_owned(),
        }
    }

    fn recovery(&self) -> &'static str {
        self.recovery.map_or(text::NOTHING, text::recovery)
    }

    fn hit_count(&self) -> String {
        text::count(self.blast_radius.len() as u64, "endpoint", "endpoints")
    }

    fn hit(&self) -> String {
        if self.blast_radius.is_empty() { "none".to_owned() } else { self.blast_radius.join(", ") }
    }
}

fn objectives(a: &Record, b: &Record) -> Vec<ObjectivePair> {
    let mut pairs: Vec<ObjectivePair> = Vec::new();
    for (is_a, record) in [(true, a), (false, b)] {
        for objective in &record.judgement.objectives {
            let is_it = |pair: &&mut ObjectivePair| {
                pair.slo == objective.slo && pair.phase == objective.phase && pair.tenant == objective.tenant
            };
            let said = Some((text::measured(objective), objective.met));
            match pairs.iter_mut().find(is_it) {
                Some(pair) if is_a => pair.a = said,
                Some(pair) => pair.b = said,
                None => pairs.push(ObjectivePair {
                    slo: objective.slo.clone(),
                    phase: objective.phase,
                    tenant: objective.tenant.clone(),
                    a: said.clone().filter(|_| is_a),
                    b: said.filter(|_| !is_a),
                }),
            }
        }
    }
    pairs
}

#[cfg(test)]
mod tests;
