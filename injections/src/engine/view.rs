//! What the proxies themselves see of the requests through them: with nothing else installed.
//!
//! Of an HTTP proxy it is requests: one is good unless it got no answer or a 5xx. Of one that passes bytes
//! it is connections: one is good if it reached its upstream. Counters are looked at every second.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use sabot_proxy::ProxyTotals;
use serde::{Deserialize, Serialize};

use crate::request::Selector;

/// So many seconds are remembered: what was before a fault.
const SECONDS: usize = 61;

/// Which number is made of what was seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Figure {
    /// The share of those that were good.
    #[default]
    Success,
    /// The median of the durations of requests in milliseconds.
    #[serde(rename = "p50_ms")]
    P50,
    /// Their 90th percentile.
    #[serde(rename = "p90_ms")]
    P90,
    /// Their 99th percentile.
    #[serde(rename = "p99_ms")]
    P99,
}

impl Figure {
    /// The one that is called so; success is what any other name means.
    #[must_use]
    pub fn named(name: &str) -> Self {
        match name {
            "p50_ms" => Self::P50,
            "p90_ms" => Self::P90,
            "p99_ms" => Self::P99,
            _ => Self::Success,
        }
    }

    /// The number; none if nothing was seen.
    #[must_use]
    pub fn of(self, seen: &Seen, methods: &[String]) -> Option<f64> {
        let share = match self {
            Self::Success => return seen.success_of(methods),
            Self::P50 => 0.5,
            Self::P90 => 0.9,
            Self::P99 => 0.99,
        };
        seen.percentile(share).map(|seconds| seconds * 1e3)
    }
}

/// An indicator that is made of what proxies see.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OwnView {
    /// Which proxies.
    pub watch: Selector,
    /// Requests of these methods only; of all if there are none. For `success` alone.
    pub methods: Vec<String>,
    /// Which number.
    pub value: Figure,
}

/// What was seen of some proxies in some seconds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Requests, or connections.
    pub all: u64,
    /// Those that failed.
    pub bad: u64,
    /// Requests by method: all, and those that failed.
    methods: BTreeMap<&'static str, (u64, u64)>,
    /// Requests by duration: upper bounds in seconds, and how many were no longer.
    buckets: Vec<(f64, u64)>,
}

impl Seen {
    /// The share of those that were good; none if there were none.
    #[must_use]
    pub fn success(&self) -> Option<f64> {
        (self.all > 0).then(|| (self.all - self.bad.min(self.all)) as f64 / self.all as f64)
    }

    /// The same of requests of these methods; of all if there are none.
    fn success_of(&self, methods: &[String]) -> Option<f64> {
        if methods.is_empty() {
            return self.success();
        }
        let chosen = self.methods.iter().filter(|(name, _)| methods.iter().any(|it| it == **name));
        let (all, bad) = chosen.fold((0, 0), |(all, bad), (_, it)| (all + it.0, bad + it.1));
        Self { all, bad, ..Self::default() }.success()
    }

    /// A percentile of the durations in seconds, `share` of 0 to 1; none without requests. As exact as the
    /// buckets are.
    #[must_use]
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let all = self.buckets.last().map(|(_, count)| *count).filter(|all| *all > 0)?;
        let wanted = share * all as f64;
        let at = self.buckets.iter().position(|(_, count)| *count as f64 >= wanted)?;
        let (bound, count) = self.buckets[at];
        let (below, before) = at.checked_sub(1).map_or((0.0, 0), |before| self.buckets[before]);
        if bound.is_infinite() {
            return Some(below);
        }
        let here = (count - before).max(1) as f64;
        Some(below + (bound - below) * ((wanted - before as f64) / here).clamp(0.0, 1.0))
    }

    fn add(&mut self, other: &Self) {
        self.all += other.all;
        self.bad += other.bad;
        for (method, (all, bad)) in &other.methods {
            let mine = self.methods.entry(method).or_default();
            *mine = (mine.0 + all, mine.1 + bad);
        }
        if self.buckets.is_empty() {
            self.buckets.clone_from(&other.buckets);
        } else {
            // All proxies have the same bounds.
            self.buckets.iter_mut().zip(&other.buckets).for_each(|(mine, its)| mine.1 += its.1);
        }
    }

    /// What has come since `before`; all of it if the proxy is another one now.
    fn since(&self, before: Option<&Self>) -> Self {
        let Some(before) = before.filter(|before| before.all <= self.all) else { return self.clone() };
        let buckets = self.buckets.iter().zip(&before.buckets);
        let buckets = buckets.map(|(now, then)| (now.0, now.1.saturating_sub(then.1))).collect();
        let methods = self.methods.iter().map(|(method, (all, bad))| {
            let (all_before, bad_before) = before.methods.get(method).copied().unwrap_or_default();
            (*method, (all.saturating_sub(all_before), bad.saturating_sub(bad_before)))
        });
        let methods = methods.collect();
        Self { all: self.all - before.all, bad: self.bad.saturating_sub(before.bad), methods, buckets }
    }
}

/// What a proxy has counted since it was created.
fn counted(totals: &ProxyTotals) -> Seen {
    match &totals.http {
        Some(http) => {
            let mut methods: BTreeMap<&'static str, (u64, u64)> = BTreeMap::new();
            for ((method, class), count) in &http.requests {
                let of = methods.entry(method).or_default();
                of.0 += count;
                of.1 += if matches!(*class, "5xx" | "none") { *count } else { 0 };
            }
            let (all, bad) = methods.values().fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
            Seen { all, bad, methods, buckets: http.duration.buckets.clone() }
        }
        None => {
            let bad = totals.failed.values().sum();
            Seen { all: totals.total_connections, bad, ..Seen::default() }
        }
    }
}

/// The last seconds of all proxies.
#[derive(Debug, Default)]
pub struct Views(Mutex<VecDeque<BTreeMap<String, Seen>>>);

impl Views {
    /// Remembers what has been counted until now; asked for once a second.
    pub fn look(&self, totals: &[ProxyTotals]) {
        let now = totals.iter().map(|it| (it.name.clone(), counted(it))).collect();
        let mut seconds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seconds.len() >= SECONDS {
            seconds.pop_front();
        }
        seconds.push_back(now);
    }

    /// What was seen of `proxies` in `seconds` until `ago` seconds ago, as far as it is remembered.
    #[must_use]
    pub fn seen<'a>(&self, proxies: impl Iterator<Item = &'a str>, seconds: usize, ago: usize) -> Seen {
        let remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut together = Seen::default();
        let Some(last) = remembered.len().checked_sub(1 + ago) else { return together };
        let first = last.saturating_sub(seconds);
        for proxy in proxies {
            if let Some(now) = remembered[last].get(proxy) {
                let before = remembered[first].get(proxy);
                // One that was not there then began at nothing.
                together.add(&now.since(before.filter(|_| first < last)));
                if first == last {
                    return Seen::default();
                }
            }
        }
        together
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(all: u64, bad: u64, buckets: &[(f64, u64)]) -> Seen {
        Seen { all, bad, buckets: buckets.to_vec(), ..Seen::default() }
    }

    fn views(seconds: &[&[(&str, Seen)]]) -> Views {
        let second = |all: &&[(&str, Seen)]| {
            all.iter().map(|(name, seen)| ((*name).to_owned(), seen.clone())).collect()
        };
        Views(Mutex::new(seconds.iter().map(second).collect()))
    }

    #[test]
    fn seconds_are_told_apart() {
        let views = views(&[
            &[("a", seen(10, 0, &[])), ("b", seen(5, 5, &[]))],
            &[("a", seen(20, 0, &[])), ("b", seen(5, 5, &[]))],
            &[("a", seen(40, 5, &[])), ("b", seen(9, 5, &[]))],
        ]);
        let of = |proxies: &[&str], seconds, ago| {
            let seen = views.seen(proxies.iter().copied(), seconds, ago);
            (seen.all, seen.bad)
        };
        assert_eq!(of(&["a"], 1, 0), (20, 5));
        assert_eq!(of(&["a"], 1, 1), (10, 0));
        assert_eq!(of(&["a", "b"], 60, 0), (34, 5));
        assert_eq!(of(&["b"], 1, 1), (0, 0));
        assert_eq!(of(&["a"], 1, 2), (0, 0));
        assert_eq!(of(&["a"], 1, 9), (0, 0));
        assert_eq!(of(&["nobody"], 1, 0), (0, 0));
        assert_eq!(views.seen(["b"].into_iter(), 1, 1).success(), None);
        assert_eq!(views.seen(["a"].into_iter(), 1, 0).success(), Some(0.75));
    }

    #[test]
    fn a_proxy_that_is_another_one_now_begins_anew() {
        let views = views(&[&[("a", seen(100, 50, &[]))], &[("a", seen(4, 1, &[]))]]);
        let seen = views.seen(["a"].into_iter(), 1, 0);
        assert_eq!((seen.all, seen.bad), (4, 1));
    }

    #[test]
    fn methods_are_told_apart() {
        let methods = BTreeMap::from([("GET", (90, 0)), ("POST", (10, 5))]);
        let seen = Seen { all: 100, bad: 5, methods, ..Seen::default() };
        let of = |methods: &[&str]| {
            Figure::Success.of(&seen, &methods.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>())
        };
        assert_eq!(
            (of(&[]), of(&["POST"]), of(&["GET", "POST"]), of(&["PUT"])),
            (Some(0.95), Some(0.5), Some(0.95), None)
        );
        assert_eq!(Figure::named("p99_ms").of(&seen, &[]), None);
    }

    #[test]
    fn percentiles_lie_in_their_bucket() {
        let seen = seen(100, 0, &[(0.01, 50), (0.1, 99), (1.0, 100), (f64::INFINITY, 100)]);
        assert_eq!(seen.percentile(0.5), Some(0.01));
        assert!((seen.percentile(0.99).unwrap() - 0.1).abs() < 1e-9);
        let far = Seen { buckets: vec![(0.01, 0), (f64::INFINITY, 5)], ..Seen::default() };
        assert_eq!(far.percentile(0.5), Some(0.01));
        assert_eq!(Seen::default().percentile(0.5), None);
    }
}
