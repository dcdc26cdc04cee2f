//! What the proxies themselves see of the requests through them: with nothing else installed.
//!
//! Of an HTTP proxy it is requests: one is good unless it got no answer or a 5xx. Of one that passes bytes
//! it is connections: one is good if it reached its upstream. Counters are looked at every second.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sabot_proxy::ProxyTotals;
use serde::{Deserialize, Serialize};

use crate::request::Selector;

/// What was before a fault, for comparison: so many seconds.
const BEFORE: usize = 30;

/// So many ends of seconds are remembered: nobody asks for more.
const SECONDS: usize = BEFORE + 1;

/// What was longer ago, in seconds, is compared with nothing: load and system are others by then.
const STALE: u64 = 3600;

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
pub struct Views(Mutex<Remembered>);

#[derive(Debug, Default)]
struct Remembered {
    /// The newest is the last.
    seconds: VecDeque<Second>,
    /// On which an injection was since the newest.
    hit: BTreeSet<String>,
    /// On which one was in the newest.
    hit_before: BTreeSet<String>,
    /// What came in each of the last seconds in which no proxy was hit, and which second it was. It outlasts
    /// `seconds`: injections may follow each other for longer.
    quiet: VecDeque<(u64, BTreeMap<String, Seen>)>,
    /// The number of the newest.
    second: u64,
}

/// What had been counted at the end of a second.
#[derive(Debug, Default)]
struct Second {
    counted: BTreeMap<String, Seen>,
    /// On which an injection was in it, or in the one before: what it held is counted when it lets go.
    hit: BTreeSet<String>,
}

impl Views {
    /// Remembers what has been counted until now, and on which proxies injections are; asked for once a
    /// second.
    pub fn look(&self, totals: &[ProxyTotals], running_on: BTreeSet<String>) {
        let counted = totals.iter().map(|it| (it.name.clone(), counted(it))).collect();
        self.remember(counted, running_on);
    }

    /// An injection comes on or goes off there.
    pub fn hit(&self, proxies: &[String]) {
        self.remembered().hit.extend(proxies.iter().cloned());
    }

    /// What was seen of `proxies` in `seconds` until `ago` seconds ago, as far as it is remembered.
    #[must_use]
    pub fn seen<'a>(&self, proxies: impl Iterator<Item = &'a str>, seconds: usize, ago: usize) -> Seen {
        let remembered = &self.remembered().seconds;
        let mut together = Seen::default();
        let Some(last) = remembered.len().checked_sub(1 + ago) else { return together };
        let first = last.saturating_sub(seconds);
        for proxy in proxies {
            if let Some(now) = remembered[last].counted.get(proxy) {
                let before = remembered[first].counted.get(proxy);
                // One that was not there then began at nothing.
                together.add(&now.since(before.filter(|_| first < last)));
                if first == last {
                    return Seen::default();
                }
            }
        }
        together
    }

    /// The same of the last `seconds`, of each proxy those alone in which no injection was on it: what is
    /// broken on purpose is broken.
    #[must_use]
    pub fn spared(&self, proxies: &[String], seconds: usize) -> Seen {
        let remembered = &self.remembered().seconds;
        let mut together = Seen::default();
        let skipped = remembered.len().saturating_sub(seconds + 1);
        for (before, now) in remembered.iter().zip(remembered.iter().skip(1)).skip(skipped) {
            for proxy in proxies.iter().filter(|it| !now.hit.contains(*it)) {
                if let Some(counted) = now.counted.get(proxy) {
                    together.add(&counted.since(before.counted.get(proxy)));
                }
            }
        }
        together
    }

    /// What was seen of `proxies` before a fault that comes on now. Of seconds in which nothing was broken
    /// anywhere, since a fault slows others than its targets; without any, of those in which their proxy
    /// was not.
    #[must_use]
    pub fn before(&self, proxies: &[String]) -> Seen {
        let mut together = Seen::default();
        for (_, second) in &self.remembered().quiet {
            proxies.iter().filter_map(|proxy| second.get(proxy)).for_each(|seen| together.add(seen));
        }
        if together.all > 0 { together } else { self.spared(proxies, BEFORE) }
    }

    fn remember(&self, counted: BTreeMap<String, Seen>, running_on: BTreeSet<String>) {
        let mut remembered = self.remembered();
        let remembered = &mut *remembered;
        let mut hit = std::mem::take(&mut remembered.hit);
        hit.extend(running_on);
        let hit_before = std::mem::replace(&mut remembered.hit_before, hit.clone());
        hit.extend(hit_before);
        remembered.second += 1;
        if let Some(before) = remembered.seconds.back()
            && hit.is_empty()
        {
            let came = counted.iter().map(|(name, now)| (name.clone(), now.since(before.counted.get(name))));
            let came = came.filter(|(_, seen)| seen.all > 0).collect();
            remembered.quiet.push_back((remembered.second, came));
        }
        let stale = remembered.second.saturating_sub(STALE);
        while remembered.quiet.len() > BEFORE || remembered.quiet.front().is_some_and(|it| it.0 < stale) {
            remembered.quiet.pop_front();
        }
        if remembered.seconds.len() >= SECONDS {
            remembered.seconds.pop_front();
        }
        remembered.seconds.push_back(Second { counted, hit });
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(all: u64, bad: u64, buckets: &[(f64, u64)]) -> Seen {
        Seen { all, bad, buckets: buckets.to_vec(), ..Seen::default() }
    }

    fn views(seconds: &[&[(&str, Seen)]]) -> Views {
        let views = Views::default();
        seconds.iter().for_each(|all| remember(&views, all, &[]));
        views
    }

    fn remember(views: &Views, all: &[(&str, Seen)], running_on: &[&str]) {
        let counted = all.iter().map(|(name, seen)| ((*name).to_owned(), seen.clone())).collect();
        views.remember(counted, running_on.iter().map(|it| (*it).to_owned()).collect());
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
    fn seconds_in_which_something_was_broken_are_left_out() {
        let views = Views::default();
        let names = ["a".to_owned(), "b".to_owned()];
        let told = |seen: Seen| (seen.all, seen.bad);
        // Ten a second, all of `a` bad from the fifth second to the eighth; what it held is bad in the ninth.
        let second = |number: u64, running_on: &[&str]| {
            let bad = number.clamp(4, 9) * 10 - 40;
            remember(
                &views,
                &[("a", seen(number * 10, bad, &[])), ("b", seen(number * 10, 0, &[]))],
                running_on,
            );
        };
        for number in 0..5 {
            second(number, &[]);
        }
        assert_eq!((told(views.before(&names)), told(views.spared(&names, 3))), ((80, 0), (60, 0)));
        for (number, running_on) in [(5, ["a"].as_slice()), (6, &["a"]), (7, &["a"])] {
            second(number, running_on);
        }
        // It goes off before the eighth is looked at.
        views.hit(&names[..1]);
        second(8, &[]);
        assert_eq!((told(views.before(&names)), told(views.spared(&names, 3))), ((80, 0), (30, 0)));
        assert_eq!(told(views.spared(&names[..1], 4)), (0, 0));
        second(9, &[]);
        second(10, &[]);
        assert_eq!((told(views.before(&names)), told(views.spared(&names, 3))), ((100, 0), (40, 0)));
    }

    #[test]
    fn what_was_before_is_neither_forgotten_for_long_faults_nor_kept_for_ever() {
        let views = Views::default();
        let name = ["a".to_owned()];
        let ten = |number: u64, running_on: &[&str]| {
            remember(&views, &[("a", seen(number * 10, 0, &[]))], running_on);
        };
        (0..100).for_each(|number| ten(number, &[]));
        assert_eq!(views.before(&name).all, 300);
        (100..1000).for_each(|number| ten(number, &["a"]));
        assert_eq!((views.before(&name).all, views.spared(&name, 60).all), (300, 0));
        (1000..5000).for_each(|number| ten(number, &["a"]));
        assert_eq!(views.before(&name).success(), None);
        // Where something is always on, there are the proxies that it is not on.
        (5000..5010).for_each(|number| ten(number, &["b"]));
        assert_eq!(views.before(&name).all, 90);
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
