//! The rate of a load as a function of time, and its integral both ways.

use std::time::Duration;

use sabot_toxics::Invalid;

use super::plan::{PerSecond, Plan, Rate};
use crate::series::LONGEST_S;

/// A rate that changes evenly within each of its segments.
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    segments: Vec<Segment>,
    /// How many requests it calls for in all.
    total: f64,
    duration: Duration,
}

#[derive(Clone, Debug, PartialEq)]
struct Segment {
    start_s: f64,
    length_s: f64,
    from: f64,
    to: f64,
    /// The integral of the rate up to its start.
    before: f64,
}

impl Segment {
    fn area(&self) -> f64 {
        (self.from + self.to) / 2.0 * self.length_s
    }
}

impl Profile {
    /// The profile of a plan.
    ///
    /// # Errors
    /// The duration is missing, is none, is too long, or there is nothing to send.
    pub fn new(plan: &Plan) -> Result<Self, Invalid> {
        let given = plan.duration.map(|span| span.get().as_secs_f64());
        let duration = given.or_else(|| own_duration(&plan.rate)).ok_or_else(|| {
            Invalid::new(
                "duration",
                "is missing: say for how long, such as 30s; this rate has no end of its own",
            )
        })?;
        if duration <= 0.0 || duration > LONGEST_S as f64 {
            return Err(Invalid::new(
                "duration",
                format!("must be longer than 0 and at most {LONGEST_S}s (a week)"),
            ));
        }
        if let Rate::Spike(spike) = &plan.rate
            && spike.at.get().as_secs_f64() >= duration
        {
            let message = format!("lies at the end of the load, which lasts {duration} s, or after it");
            return Err(Invalid::new("rate.spike.at", message));
        }
        let mut profile =
            Self { segments: Vec::new(), total: 0.0, duration: Duration::from_secs_f64(duration) };
        profile.fill(&plan.rate, duration);
        if profile.total <= 0.0 {
            return Err(Invalid::new("rate", "must not be 0 all the time: nothing would be sent"));
        }
        Ok(profile)
    }

    fn fill(&mut self, rate: &Rate, end: f64) {
        match rate {
            Rate::Constant(rate) => self.level(rate, end, end),
            Rate::Ramp { from, to, over } => {
                let over = over.get().as_secs_f64();
                if over > 0.0 {
                    self.push(over, from.get(), to.get(), end);
                }
                self.level(to, f64::INFINITY, end);
            }
            Rate::Steps(steps) => {
                for step in steps {
                    self.level(&step.rate, step.span.get().as_secs_f64(), end);
                }
            }
            Rate::Spike(spike) => {
                self.level(&spike.base, spike.at.get().as_secs_f64(), end);
                self.level(&spike.peak, spike.span.get().as_secs_f64(), end);
                self.level(&spike.base, f64::INFINITY, end);
            }
        }
    }

    fn level(&mut self, rate: &PerSecond, length_s: f64, end: f64) {
        self.push(length_s, rate.get(), rate.get(), end);
    }

    /// Adds a segment, cut at `end`.
    fn push(&mut self, length_s: f64, from: f64, to: f64, end: f64) {
        let start_s = self.segments.last().map_or(0.0, |last| last.start_s + last.length_s);
        let cut = length_s.min(end - start_s);
        if cut <= 0.0 {
            return;
        }
        let to =
            if cut < length_s && length_s.is_finite() { from + (to - from) * cut / length_s } else { to };
        let segment = Segment { start_s, length_s: cut, from, to, before: self.total };
        self.total += segment.area();
        self.segments.push(segment);
    }

    /// How long the load lasts.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.duration
    }

    /// How many requests it calls for: exactly for even arrivals, in the mean for Poisson's.
    #[must_use]
    pub fn total(&self) -> f64 {
        self.total
    }

    /// The highest rate, a second.
    #[must_use]
    pub fn peak(&self) -> f64 {
        self.segments.iter().map(|segment| segment.from.max(segment.to)).fold(0.0, f64::max)
    }

    /// How many requests it calls for from the start to a time.
    #[must_use]
    pub fn expected(&self, until: Duration) -> f64 {
        let until = until.as_secs_f64();
        let Some(segment) = self.segments.iter().rev().find(|segment| segment.start_s <= until) else {
            return 0.0;
        };
        let t = (until - segment.start_s).min(segment.length_s);
        let slope = (segment.to - segment.from) / segment.length_s;
        segment.before + (segment.from + slope * t / 2.0) * t
    }

    /// When the integral of the rate passes `count`; none if it never does.
    #[must_use]
    pub fn when(&self, count: f64) -> Option<Duration> {
        // A sum of decimal rates may end a hair above the whole number that was meant.
        if count >= self.total - 1e-9 {
            return None;
        }
        let at = self.segments.partition_point(|segment| segment.before + segment.area() <= count);
        let segment = self.segments.get(at)?;
        let missing = (count - segment.before).max(0.0);
        let slope = (segment.to - segment.from) / segment.length_s;
        // The root of from·t + slope·t²/2 = missing, in the form that stays exact for small slopes.
        let root = (segment.from * segment.from + 2.0 * slope * missing).max(0.0).sqrt();
        let t = if missing == 0.0 { 0.0 } else { 2.0 * missing / (segment.from + root) };
        Some(Duration::from_secs_f64(segment.start_s + t.min(segment.length_s)))
    }
}

/// The time after which a rate has said all it has to say.
fn own_duration(rate: &Rate) -> Option<f64> {
    match rate {
        Rate::Constant(_) | Rate::Spike(_) => None,
        Rate::Ramp { over, .. } => Some(over.get().as_secs_f64()),
        Rate::Steps(steps) => Some(steps.iter().map(|step| step.span.get().as_secs_f64()).sum()),
    }
}
