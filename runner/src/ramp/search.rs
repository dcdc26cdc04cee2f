//! Which rate to try next: up by steps until one does not pass, then bisection.
//!
//! A rate that did not pass is tried once more before that counts, since one hiccup of a system or of the
//! machine is no limit. What the load's own machine or connections could not send is no failure of the
//! system: it bounds the search like one, but is told apart.

use sabot_toxics::Invalid;
use schemars::JsonSchema;
use serde::Serialize;

use super::Outcome;

/// More steps than this take longer than anybody means.
const MOST_STEPS: f64 = 100.0;

/// Which rates are searched, requests a second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bounds {
    /// The first.
    pub from: f64,
    /// The highest: the search ends there.
    pub to: f64,
    /// How much is added with each step up; none: each doubles the rate.
    pub step: Option<f64>,
    /// The search ends when it knows the breakpoint to within this share of it.
    pub tolerance: f64,
}

impl Bounds {
    /// Refuses what cannot be searched.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn check(&self) -> Result<(), Invalid> {
        let Self { from, to, step, tolerance } = *self;
        if !(from > 0.0 && from.is_finite()) {
            return Err(Invalid::new("from", "must be above 0/s"));
        }
        if !(to > from && to.is_finite()) {
            return Err(Invalid::new("to", "must be above --from"));
        }
        if step.is_some_and(|step| !(step > 0.0 && (to - from) / step <= MOST_STEPS)) {
            return Err(Invalid::new("step", "must lead from --from to --to in 100 steps at most"));
        }
        if !(0.005..=0.5).contains(&tolerance) {
            return Err(Invalid::new("tolerance", "must lie between 0.5% and 50%"));
        }
        Ok(())
    }
}

/// What keeps the breakpoint from being higher.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Ceiling {
    /// The system left its objectives.
    System,
    /// The load's own machine could send no more: the system may bear more.
    Load,
    /// All connections of the load were in use: the system may bear more.
    Connections,
    /// The search went no higher: the system may bear more.
    Bound,
    /// The search did not come to its end.
    Unfinished,
}

/// A search under way.
#[derive(Clone, Debug)]
pub struct Search {
    bounds: Bounds,
    /// The highest rate that passed.
    good: Option<f64>,
    /// The lowest that did not, and why.
    bad: Option<(f64, Outcome)>,
    /// What is to be tried now; none once it is over.
    now: Option<f64>,
    /// How it went the first time, if this is the second try.
    first: Option<Outcome>,
}

impl Search {
    /// Between these bounds, which were checked.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, good: None, bad: None, now: Some(bounds.from), first: None }
    }

    /// The rate to try next; none if it is over.
    #[must_use]
    pub fn next(&self) -> Option<f64> {
        self.now
    }

    /// Takes in how the rate of [`Self::next`] went.
    pub fn take(&mut self, outcome: Outcome) {
        let Some(rate) = self.now else { return };
        match (outcome, self.first.take()) {
            (Outcome::Held, _) => self.good = Some(rate),
            (_, None) => {
                self.first = Some(outcome);
                return;
            }
            // It failed twice; if the system was to blame once, it is.
            (second, Some(first)) => {
                let why = if second == Outcome::Broke { second } else { first };
                self.bad = Some((rate, why));
            }
        }
        self.now = self.following();
    }

    fn following(&self) -> Option<f64> {
        let Bounds { to, step, tolerance, .. } = self.bounds;
        match (self.good, self.bad) {
            (None, _) => None,
            (Some(good), None) if good >= to => None,
            (Some(good), None) => Some(step.map_or(good * 2.0, |step| good + step).min(to)),
            (Some(good), Some((bad, _))) if bad - good <= tolerance * bad => None,
            (Some(good), Some((bad, _))) => Some(f64::midpoint(good, bad)),
        }
    }

    /// The highest rate that passed; none if none did.
    #[must_use]
    pub fn breakpoint(&self) -> Option<f64> {
        self.good
    }

    /// The lowest rate that did not pass; none if each did.
    #[must_use]
    pub fn ceiling_per_s(&self) -> Option<f64> {
        self.bad.map(|(rate, _)| rate)
    }

    /// What keeps the breakpoint from being higher.
    #[must_use]
    pub fn ceiling(&self) -> Ceiling {
        match (self.now, self.bad) {
            (Some(_), _) => Ceiling::Unfinished,
            (None, Some((_, Outcome::Late))) => Ceiling::Load,
            (None, Some((_, Outcome::Full))) => Ceiling::Connections,
            (None, Some(_)) => Ceiling::System,
            (None, None) => Ceiling::Bound,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BOUNDS: Bounds = Bounds { from: 50.0, to: 2000.0, step: None, tolerance: 0.05 };

    /// Searches a system that `answer` simulates, by rate and number of the probe; the rates tried.
    fn searched(bounds: Bounds, mut answer: impl FnMut(f64, usize) -> Outcome) -> (Search, Vec<f64>) {
        let (mut search, mut tried) = (Search::new(bounds), Vec::new());
        while let Some(rate) = search.next() {
            search.take(answer(rate, tried.len()));
            tried.push(rate);
            assert!(tried.len() < 300, "no end: {tried:?}");
        }
        (search, tried)
    }

    fn up_to(limit: f64) -> impl Fn(f64, usize) -> Outcome {
        move |rate, _| if rate <= limit { Outcome::Held } else { Outcome::Broke }
    }

    proptest! {
        #[test]
        fn the_breakpoint_is_found_to_its_tolerance(
            limit in 50.0f64..1999.0,
            tolerance in 0.005f64..0.5,
            step in prop::option::of(20.0f64..500.0),
        ) {
            let bounds = Bounds { step, tolerance, ..BOUNDS };
            prop_assert!(bounds.check().is_ok());
            let (search, _) = searched(bounds, up_to(limit));
            let (found, above) = (search.breakpoint().unwrap(), search.ceiling_per_s().unwrap());
            prop_assert!(found <= limit && limit < above);
            prop_assert!(above - found <= tolerance * above);
            prop_assert_eq!(search.ceiling(), Ceiling::System);
        }

        #[test]
        fn one_hiccup_of_each_rate_changes_nothing(limit in 50.0f64..1999.0, late: bool) {
            let (calm, _) = searched(BOUNDS, up_to(limit));
            let mut met = Vec::new();
            let (noisy, _) = searched(BOUNDS, |rate, _| {
                if !met.contains(&rate.to_bits()) {
                    met.push(rate.to_bits());
                    return if late { Outcome::Late } else { Outcome::Broke };
                }
                up_to(limit)(rate, 0)
            });
            prop_assert_eq!(noisy.breakpoint(), calm.breakpoint());
            prop_assert_eq!(noisy.ceiling(), Ceiling::System);
        }

        #[test]
        fn no_rate_beyond_the_bounds_is_tried(limit in 0.0f64..5000.0, step in prop::option::of(20.0f64..500.0)) {
            let (_, tried) = searched(Bounds { step, ..BOUNDS }, up_to(limit));
            prop_assert!(tried.iter().all(|rate| (BOUNDS.from..=BOUNDS.to).contains(rate)), "{:?}", tried);
        }
    }

    #[test]
    fn steps_then_halves() {
        let (search, tried) = searched(BOUNDS, up_to(330.0));
        let steps = [50.0, 100.0, 200.0, 400.0, 400.0, 300.0, 350.0, 350.0, 325.0, 337.5, 337.5];
        assert_eq!(tried, steps, "what did not pass is tried twice");
        assert_eq!((search.breakpoint(), search.ceiling_per_s()), (Some(325.0), Some(337.5)));
        let added = Bounds { step: Some(100.0), ..BOUNDS };
        assert_eq!(searched(added, up_to(330.0)).1[..5], [50.0, 150.0, 250.0, 350.0, 350.0]);
    }

    #[test]
    fn what_ends_a_search_is_told_apart() {
        let (search, tried) = searched(BOUNDS, up_to(10.0));
        assert_eq!((search.breakpoint(), search.ceiling(), tried.len()), (None, Ceiling::System, 2));
        let (search, tried) = searched(BOUNDS, up_to(1e9));
        assert_eq!((search.breakpoint(), search.ceiling()), (Some(2000.0), Ceiling::Bound));
        assert_eq!(tried.last(), Some(&2000.0));
        let late = |rate: f64, _| if rate <= 700.0 { Outcome::Held } else { Outcome::Late };
        let (search, _) = searched(BOUNDS, late);
        assert_eq!(search.ceiling(), Ceiling::Load);
        let full = |rate: f64, _| if rate <= 700.0 { Outcome::Held } else { Outcome::Full };
        assert_eq!(searched(BOUNDS, full).0.ceiling(), Ceiling::Connections);
        assert!((665.0..=700.0).contains(&search.breakpoint().unwrap()));
        assert_eq!(Search::new(BOUNDS).ceiling(), Ceiling::Unfinished);
    }

    #[test]
    fn a_rate_that_was_late_once_and_broke_once_is_the_systems() {
        let (search, _) = searched(BOUNDS, |rate, number| match rate {
            ..=60.0 => Outcome::Held,
            _ if number % 2 == 1 => Outcome::Broke,
            _ => Outcome::Late,
        });
        assert_eq!(search.ceiling(), Ceiling::System);
    }

    #[test]
    fn bounds_that_lead_nowhere_are_refused() {
        for (bounds, field) in [
            (Bounds { from: 0.0, ..BOUNDS }, "from"),
            (Bounds { to: 50.0, ..BOUNDS }, "to"),
            (Bounds { to: f64::NAN, ..BOUNDS }, "to"),
            (Bounds { step: Some(1.0), ..BOUNDS }, "step"),
            (Bounds { step: Some(-5.0), ..BOUNDS }, "step"),
            (Bounds { tolerance: 0.0, ..BOUNDS }, "tolerance"),
        ] {
            assert_eq!(bounds.check().unwrap_err().field, field, "{bounds:?}");
        }
        assert!(BOUNDS.check().is_ok());
    }
}
