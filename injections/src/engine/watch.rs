//! What guards a fault while it is on, and whether all recovers after it.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::MissedTickBehavior;

use super::view::{Figure, OwnView, Seen};
use super::{Engine, Indicator, Slo};
use crate::book::Guard;
use crate::event::{Actor, Event};
use crate::injection::Injection;
use crate::request::{Labels, Selector, SteadyState};

/// How often indicators are read; and the most that one may take.
const EVERY: Duration = Duration::from_secs(1);

/// So many seconds of requests make a value: fewer would be noise, more would be late.
const WINDOW: usize = 5;

/// How long a recovery is waited for.
const PATIENCE: usize = 60;

/// So many seconds in a row have to be as before.
const STEADY: usize = 3;

/// Success may be this much less than before, and the 99th percentile so many times more, and still be the
/// same.
const LESS: f64 = 0.005;
const MORE: f64 = 1.5;

/// So many recoveries are watched at one time; beyond, how long one took stays unknown.
pub(super) const RECOVERIES: usize = 256;

/// Where a guard's values come from.
pub(super) enum Source {
    Asked(Arc<dyn Indicator>),
    /// What these proxies see of requests of these methods.
    Seen {
        proxies: Vec<String>,
        methods: Vec<String>,
        value: Figure,
    },
    /// What these see while no injection is on them.
    Spared {
        proxies: Vec<String>,
        value: Figure,
    },
}

impl Source {
    fn seen(proxies: &[String], value: Figure) -> Self {
        Self::Seen { proxies: proxies.to_vec(), methods: Vec::new(), value }
    }
}

/// Who watches what, to be told of its end at once.
#[derive(Default)]
pub(super) struct Watches(Mutex<HashMap<String, Arc<Notify>>>);

impl Watches {
    /// The injection is over.
    pub(super) fn over(&self, id: &str) {
        if let Some(over) = self.all().remove(id) {
            over.notify_one();
        }
    }

    fn begin(&self, id: &str) -> Arc<Notify> {
        Arc::clone(self.all().entry(id.to_owned()).or_default())
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine {
    /// Watches an injection whose fault has just come on, until some time after its end.
    pub(super) fn watch(&self, injection: Injection) {
        let (guards, sources): (Vec<_>, Vec<_>) = self.guards(&injection).into_iter().unzip();
        self.inner.book().guard(&injection.id, guards, self.inner.clock.now());
        let before = self.inner.views.before(&injection.targets);
        let over = self.inner.watches.begin(&injection.id);
        let engine = Arc::downgrade(&self.inner);
        tokio::spawn(async move {
            let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + EVERY, EVERY);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = ticks.tick() => {}
                    () = over.notified() => {}
                }
                let Some(inner) = engine.upgrade() else { return };
                let engine = Self { inner };
                let running = engine.inner.book().left(&injection.id, engine.inner.clock.now()).is_some();
                if !running {
                    // It may have been over before it was watched.
                    engine.inner.watches.over(&injection.id);
                    return engine.recover(&injection, &before).await;
                }
                engine.read(&injection.id, &sources).await;
            }
        });
    }

    /// What guards an injection, and where the values come from.
    pub(super) fn guards(&self, injection: &Injection) -> Vec<(Guard, Source)> {
        let settings = self.settings();
        let mut guards = Vec::new();
        if let Some(objective) = injection.request.steady_state.clone() {
            let (source, told) = match settings.slos.get(&objective.slo) {
                Some(Slo::Asked(indicator)) => (Source::Asked(Arc::clone(indicator)), indicator.source()),
                Some(Slo::Seen(OwnView { watch, methods, value })) => {
                    let proxies = self.labelled(|_, labels| watch.meets(labels));
                    let told = own_view(&proxies);
                    (Source::Seen { proxies, methods: methods.clone(), value: *value }, told)
                }
                None => {
                    let targets = &injection.targets;
                    (Source::seen(targets, Figure::named(&objective.slo)), own_view(targets))
                }
            };
            guards.push((Guard { objective, source: told }, source));
        }
        let limits = &settings.limits;
        if limits.error_rate.is_none() && limits.p99_factor.is_none() {
            return guards;
        }
        let watched = self.watched(&limits.watch, &injection.targets);
        if watched.is_empty() {
            self.warn(injection, unguarded(&limits.watch, "but its targets "));
        }
        let mut limit = |slo: &str, min, max, source| {
            let abort_after = limits.grace.as_secs_f64();
            // Where no requests come there is nothing to suffer.
            let abort_without_data_after = Some(f64::MAX);
            let slo = format!("the server's limit of {slo}");
            let objective = SteadyState { slo, min, max, abort_after, abort_without_data_after };
            guards.push((Guard { objective, source: own_view(&watched) }, source));
        };
        if let Some(most) = limits.error_rate {
            let source = Source::Spared { proxies: watched.clone(), value: Figure::Success };
            limit("good requests", Some(1.0 - most), None, source);
        }
        let Some(factor) = limits.p99_factor else { return guards };
        let before = injection.p99_before_ms.or_else(|| {
            let p99 = self.inner.views.before(&watched).percentile(0.99)?;
            self.note_before(&injection.id, p99 * 1e3);
            Some(p99 * 1e3)
        });
        match before {
            Some(before) => {
                let source = Source::Spared { proxies: watched.clone(), value: Figure::P99 };
                limit("p99 in ms", None, Some(before * factor), source);
            }
            None if watched.is_empty() => {}
            None => {
                self.warn(injection, "no requests came before it: its p99 has no limit".to_owned());
            }
        }
        guards
    }

    /// Keeps what was before a fault.
    pub(super) fn note_before(&self, id: &str, p99_ms: f64) {
        self.note_of_one(Event::Guarded { id: id.to_owned(), p99_ms });
    }

    /// Says what is amiss with an injection where people look; once, however often it is resumed.
    fn warn(&self, injection: &Injection, warning: String) {
        tracing::warn!(injection = injection.id, "{warning}");
        if !injection.warnings.contains(&warning) {
            self.note_of_one(Event::Warned { id: injection.id.clone(), warning });
        }
    }

    fn note_of_one(&self, event: Event) {
        let records = {
            let mut book = self.inner.book();
            self.inner.happened(&mut book, &Actor::server(), vec![event])
        };
        self.keep(records);
    }

    /// What the limits would guard nothing by, as proxies are now: labels that none has.
    pub(super) fn idle_limits(&self) -> Option<String> {
        let limits = &self.settings().limits;
        let any = limits.error_rate.is_some() || limits.p99_factor.is_some();
        let idle = any && !limits.watch.is_empty() && self.watched(&limits.watch, &[]).is_empty();
        idle.then(|| unguarded(&limits.watch, ""))
    }

    /// The HTTP proxies that the limits look at, but for targets.
    fn watched(&self, watch: &Selector, targets: &[String]) -> Vec<String> {
        let speaks_http = self.inner.controller.totals().into_iter().filter(|it| it.http.is_some());
        let speaks_http: HashSet<_> = speaks_http.map(|it| it.name).collect();
        self.labelled(|name, labels| {
            speaks_http.contains(name) && watch.meets(labels) && targets.iter().all(|target| target != name)
        })
    }

    /// The names of the proxies that are meant.
    fn labelled(&self, meant: impl Fn(&str, &Labels) -> bool) -> Vec<String> {
        let all = self.inner.controller.labels().into_iter();
        all.filter(|(name, labels)| meant(name, labels)).map(|(name, _)| name).collect()
    }

    pub(super) async fn read(&self, id: &str, sources: &[Source]) {
        let mut values = Vec::new();
        for source in sources {
            let value = self.value(source).await;
            values.push(value.inspect_err(|reason| tracing::debug!(injection = id, reason, "no data")));
        }
        let mut book = self.inner.book();
        let now = self.inner.clock.now();
        for (guard, value) in values.into_iter().enumerate() {
            book.read(id, guard, value, now);
        }
        drop(book);
        self.inner.sooner.notify_one();
    }

    /// What a guard has to judge now; why there is nothing.
    pub(super) async fn value(&self, source: &Source) -> Result<f64, String> {
        let views = &self.inner.views;
        let value = match source {
            Source::Asked(indicator) => {
                let sample = tokio::time::timeout(EVERY, indicator.sample(EVERY)).await;
                return sample.map_err(|_| "no answer in time".to_owned()).flatten();
            }
            Source::Seen { proxies, methods, value } => {
                value.of(&views.seen(names(proxies), WINDOW, 0), methods)
            }
            Source::Spared { proxies, value } => value.of(&views.spared(proxies, WINDOW), &[]),
        };
        value.ok_or_else(|| format!("no requests in the last {WINDOW} s"))
    }

    /// Waits until the requests through the targets are as they were `before`, and notes how long it took.
    async fn recover(&self, injection: &Injection, before: &Seen) {
        let Some(success) = before.success() else { return self.is_unwatched(injection) };
        let Ok(_place) = self.inner.recoveries.try_acquire() else { return self.is_unwatched(injection) };
        let p99 = before.percentile(0.99);
        let as_before = |seen: &Seen| {
            let good = seen.success().is_some_and(|now| now >= success - LESS);
            let fast = p99.zip(seen.percentile(0.99)).is_none_or(|(then, now)| now <= then * MORE);
            good && fast
        };
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + EVERY, EVERY);
        let (mut steady, mut seconds) = (0, None);
        for second in 1..=PATIENCE {
            ticks.tick().await;
            let seen = self.inner.views.seen(names(&injection.targets), 1, 0);
            steady = if as_before(&seen) { steady + 1 } else { 0 };
            if steady >= STEADY {
                // When the first of them began, counted from the end of the fault.
                seconds = Some((second - STEADY) as f64);
                break;
            }
        }
        let event = Event::Recovered { id: injection.id.clone(), seconds };
        let records = {
            let mut book = self.inner.book();
            self.inner.happened(&mut book, &Actor::server(), vec![event])
        };
        self.keep(records);
    }

    /// Tells whoever waits that a recovery stays unknown. Nothing has happened that would have to be kept.
    fn is_unwatched(&self, injection: &Injection) {
        let event = Event::Recovered { id: injection.id.clone(), seconds: None };
        self.inner.tell(&self.inner.book(), &event);
    }
}

fn unguarded(watch: &Selector, but: &str) -> String {
    let no = format!("the server's limits guard nothing: no HTTP proxy {but}");
    if watch.is_empty() {
        format!("{no}is there; put one before what may suffer")
    } else {
        format!("{no}meets `limits.watch` ({watch}); correct it, or label a proxy so")
    }
}

fn names(proxies: &[String]) -> impl Iterator<Item = &str> {
    proxies.iter().map(String::as_str)
}

fn own_view(proxies: &[String]) -> String {
    const SHOWN: usize = 3;
    let shown = proxies.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    match proxies.len() {
        0 => "no proxy".to_owned(),
        1..=SHOWN => format!("what {shown} saw"),
        more => format!("what {shown} and {} more saw", more - SHOWN),
    }
}
