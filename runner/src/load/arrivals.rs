//! When each request is meant to start.

use std::time::Duration;

use sabot_toxics::Seed;

use super::plan::ArrivalKind;
use super::profile::Profile;

/// The intended starts of a load's requests, in order, from its start.
///
/// Both kinds are laid out on the integral of the rate, in which it is 1 everywhere, and carried back
/// to time: even arrivals at its whole numbers; Poisson's with exponential gaps there, which gives an
/// inhomogeneous Poisson process in time (the time-rescaling theorem), without a rejected draw.
#[derive(Clone, Debug)]
pub struct Arrivals {
    profile: Profile,
    /// None for even arrivals.
    gaps: Option<Seed>,
    number: u64,
    /// The integral of the rate at the next arrival.
    place: f64,
}

impl Arrivals {
    /// The arrivals of `profile`; `seed` is the load's.
    #[must_use]
    pub fn new(profile: Profile, kind: ArrivalKind, seed: &Seed) -> Self {
        let gaps = (kind == ArrivalKind::Poisson).then(|| seed.split("arrivals"));
        let mut arrivals = Self { profile, gaps, number: 0, place: 0.0 };
        arrivals.place = arrivals.gap();
        if arrivals.gaps.is_none() {
            arrivals.place = 0.0;
        }
        arrivals
    }

    fn gap(&self) -> f64 {
        match &self.gaps {
            // 1 - u lies in (0, 1]: no infinite gap.
            Some(seed) => -(1.0 - seed.at(self.number).unit()).ln(),
            None => 1.0,
        }
    }
}

impl Iterator for Arrivals {
    /// The request's number, from 0, and when it is meant to start.
    type Item = (u64, Duration);

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.profile.when(self.place)?;
        let number = self.number;
        self.number += 1;
        // Whole numbers rather than a sum: even arrivals stay even over days.
        self.place = if self.gaps.is_some() { self.place + self.gap() } else { self.number as f64 };
        Some((number, at))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use sabot_toxics::Seed;
    use serde_json::{Value, json};

    use super::Arrivals;
    use crate::load::plan::{ArrivalKind, Plan};
    use crate::load::profile::Profile;

    #[allow(clippy::needless_pass_by_value, reason = "values are written where they are passed")]
    fn arrivals(rate: Value, duration: &str, kind: ArrivalKind, seed: u64) -> Vec<f64> {
        let plan = Plan::read(json!({"rate": rate, "duration": duration})).unwrap();
        let profile = Profile::new(&plan).unwrap();
        Arrivals::new(profile, kind, &Seed::new(seed)).map(|(_, at)| at.as_secs_f64()).collect()
    }

    #[test]
    fn even_arrivals_are_exact() {
        let times = arrivals(json!("300/s"), "2s", ArrivalKind::Uniform, 0);
        assert_eq!(times.len(), 600);
        for (number, time) in times.iter().enumerate() {
            assert!((time - number as f64 / 300.0).abs() < 2e-9, "{number} at {time}");
        }
        // 0.1 has no exact double; thirty seconds of it are three requests all the same.
        assert_eq!(arrivals(json!(0.1), "30s", ArrivalKind::Uniform, 0).len(), 3);
    }

    #[test]
    fn a_ramp_sends_its_integral() {
        let ramp = json!({"ramp": {"from": 0, "to": 200, "over": "10s"}});
        let times = arrivals(ramp.clone(), "20s", ArrivalKind::Uniform, 0);
        // Half of 200/s × 10 s, then 200/s for 10 s.
        assert_eq!(times.len(), 1000 + 2000);
        let early = times.iter().filter(|time| **time < 5.0).count();
        assert!((249..=251).contains(&early), "{early}");
        // Cut short, it ends on its way.
        assert_eq!(arrivals(ramp, "5s", ArrivalKind::Uniform, 0).len(), 250);
    }

    #[test]
    fn steps_and_spikes_have_their_rates() {
        let steps = json!({"steps": [{"rate": 10, "for": "1s"}, {"rate": 0, "for": "5s"}, {"rate": 20, "for": "1s"}]});
        let times = arrivals(steps, "7s", ArrivalKind::Uniform, 0);
        assert_eq!(times.len(), 30);
        assert!(times.iter().all(|time| *time < 1.0 || *time >= 6.0), "{times:?}");
        let spike = json!({"spike": {"base": 10, "peak": 100, "at": "2s", "for": "1s"}});
        let times = arrivals(spike, "5s", ArrivalKind::Uniform, 0);
        assert_eq!(times.len(), 40 + 100);
        assert_eq!(times.iter().filter(|time| (2.0..3.0).contains(*time)).count(), 100);
    }

    #[test]
    fn poisson_arrivals_are_poisson() {
        let times = arrivals(json!("1000/s"), "100s", ArrivalKind::Poisson, 7);
        // The count is within four standard deviations of its mean.
        assert!((times.len() as f64 - 100_000.0).abs() < 4.0 * 100_000f64.sqrt(), "{}", times.len());
        // Index of dispersion: the variance of counts in windows equals their mean. With 1,000 windows
        // its standard error is sqrt(2 / 1000).
        let mut counts = vec![0.0f64; 1000];
        times.iter().for_each(|time| counts[(time * 10.0) as usize] += 1.0);
        let mean = counts.iter().sum::<f64>() / 1000.0;
        let variance = counts.iter().map(|count| (count - mean).powi(2)).sum::<f64>() / 999.0;
        assert!((variance / mean - 1.0).abs() < 4.0 * (2.0f64 / 1000.0).sqrt(), "{}", variance / mean);
        // Exponential gaps: their share above the mean is 1/e.
        let gaps: Vec<f64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        let above = gaps.iter().filter(|gap| **gap > 0.001).count() as f64 / gaps.len() as f64;
        assert!((above - (-1f64).exp()).abs() < 0.01, "{above}");
        // And one says nothing of the next.
        let product: f64 = gaps.windows(2).map(|pair| (pair[0] - 0.001) * (pair[1] - 0.001)).sum();
        let square: f64 = gaps.iter().map(|gap| (gap - 0.001).powi(2)).sum();
        assert!((product / square).abs() < 0.02, "{}", product / square);
    }

    #[test]
    fn a_poisson_ramp_follows_its_rate() {
        let ramp = json!({"ramp": {"from": 0, "to": 2000, "over": "20s"}});
        let times = arrivals(ramp, "20s", ArrivalKind::Poisson, 3);
        for quarter in 1..=4 {
            let until = f64::from(quarter) * 5.0;
            let expected = 2000.0 / 20.0 * until * until / 2.0;
            let count = times.iter().filter(|time| **time < until).count() as f64;
            assert!((count - expected).abs() < 4.0 * expected.sqrt(), "{count} of {expected} by {until} s");
        }
    }

    #[test]
    fn the_seed_says_when() {
        let of = |seed| arrivals(json!(50), "5s", ArrivalKind::Poisson, seed);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
    }

    proptest! {
        #[test]
        fn the_inverse_is_the_inverse(from in 0.0f64..1000.0, to in 0.0f64..1000.0, over in 0.1f64..100.0, share in 0.0f64..0.999) {
            prop_assume!(from + to > 1.0);
            let rate = json!({"ramp": {"from": from, "to": to, "over": over * 1000.0}});
            let plan = Plan::read(json!({"rate": rate, "duration": over * 2000.0})).unwrap();
            let Ok(profile) = Profile::new(&plan) else { return Ok(()) };
            let count = profile.total() * share;
            if let Some(at) = profile.when(count) {
                prop_assert!((profile.expected(at) - count).abs() < 1e-4 * (1.0 + count), "{} {count}", profile.expected(at));
                prop_assert!(at <= profile.duration() + Duration::from_micros(1));
            }
        }

        #[test]
        fn arrivals_come_in_order(seed: u64, rate in 1.0f64..2000.0) {
            let times = arrivals(json!(rate), "2s", ArrivalKind::Poisson, seed);
            prop_assert!(times.is_sorted());
            prop_assert!(times.iter().all(|time| *time < 2.0));
        }
    }
}
