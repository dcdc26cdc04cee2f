//! The machine under random use, with clocks that jump and a process that dies, against what must hold.

use std::collections::HashMap;
use std::time::Duration;

use sabot_toxics::{Draws, Seed};
use serde_json::json;

use super::*;
use crate::clock::Moment;
use crate::injection::State;
use crate::request::{Request, Selector};
use crate::rules::{Approval, Closed, Rules, Span};

const PROXIES: [&str; 6] = ["a", "b", "c", "d", "e", "f"];

/// A server: what it keeps, what it remembers, and what is really on.
struct World {
    draws: Draws,
    now: Moment,
    boot: u32,
    journal: Vec<Record>,
    book: Book,
    /// What is on each proxy, and how long it may be by the clock that nobody sets; gone with the process.
    plane: HashMap<String, (String, u64)>,
    /// How long each has been on in truth, and how long it was to be.
    on_ms: HashMap<String, (u64, u64)>,
    asked: u64,
    /// What it has been through, to know that the run was worth something.
    seen: HashMap<&'static str, u64>,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            draws: Seed::new(seed).at(0),
            now: Moment { wall_ms: 1_800_000_000_000, steady_ms: 1_000_000 },
            boot: 0,
            journal: Vec::new(),
            book: Book::new(rules()),
            plane: HashMap::new(),
            on_ms: HashMap::new(),
            asked: 0,
            seen: HashMap::new(),
        }
    }

    fn boot(&self) -> String {
        format!("boot {}", self.boot)
    }

    /// Does what events say, and dies at step `death` of that, if it is to.
    fn perform(&mut self, actor: &Actor, events: Vec<Event>, death: Option<u64>) {
        let mut steps = 0;
        for event in events {
            for step in [Self::keep, Self::remember, Self::put_into_effect] {
                steps += 1;
                if death == Some(steps) {
                    return self.die();
                }
                step(self, &Record { at: self.now, actor: actor.clone(), event: event.clone() });
            }
        }
        self.settle();
    }

    fn keep(&mut self, record: &Record) {
        self.journal.push(record.clone());
        *self.seen.entry(kind(&record.event)).or_default() += 1;
    }

    fn remember(&mut self, record: &Record) {
        self.book.record(record);
    }

    fn put_into_effect(&mut self, record: &Record) {
        match &record.event {
            Event::Started { id, duration_ms, .. } | Event::Resumed { id, duration_ms, .. } => {
                let until = self.now.steady_ms + duration_ms;
                self.on_ms.entry(id.clone()).or_insert((0, *duration_ms));
                for target in self.book.injection(id).unwrap().targets.clone() {
                    let before = self.plane.insert(target.clone(), (id.clone(), until));
                    assert_eq!(before, None, "{id} came on {target} while another one was on");
                }
            }
            Event::Ended { id, .. } => self.plane.retain(|_, (on, _)| on != id),
            _ => {}
        }
    }

    /// Lets time bring what it brings, and looks at everything.
    fn settle(&mut self) {
        for round in 0.. {
            assert!(round < 100, "it never comes to rest");
            let events = self.book.due(self.now, &self.boot());
            if events.is_empty() {
                break;
            }
            for event in events {
                let record = Record { at: self.now, actor: Actor::server(), event };
                self.keep(&record);
                self.remember(&record);
                self.put_into_effect(&record);
            }
        }
        self.check();
    }

    fn check(&self) {
        let mut expected: Vec<_> = self
            .book
            .running()
            .flat_map(|it| it.targets.iter().map(|target| (target.clone(), it.id.clone())))
            .collect();
        let mut on: Vec<_> = self.plane.iter().map(|(proxy, (id, _))| (proxy.clone(), id.clone())).collect();
        expected.sort();
        on.sort();
        assert_eq!(on, expected, "what is on is what is running");
        for (id, until) in self.plane.values() {
            assert!(*until > self.now.steady_ms, "{id} is on beyond its end");
        }
        for (id, (on, most)) in &self.on_ms {
            assert!(on <= most, "{id} was on for {on} ms and had {most}");
        }
        if self.book.rules.closed(self.now.wall_ms).is_some() {
            assert_eq!(self.plane.len(), 0, "something is on in a window in which nothing may run");
        }
        for it in self.book.injections().filter(|it| it.state.is_over()) {
            assert!(it.reason.is_some() && it.ended_at_ms.is_some(), "{it:?}");
            let (began, last) = (it.started_at_ms.unwrap_or(0), it.ends_at_ms.unwrap_or(u64::MAX));
            assert!(it.ended_at_ms >= Some(began) && it.ended_at_ms <= Some(last.max(began)), "{it:?}");
        }
        if self.book.running().next().is_some() {
            assert!(self.book.next_due(self.now).is_some_and(|ms| ms > 0), "nobody would look again");
        }
    }

    /// The process dies, all that it held with it, and comes back.
    fn die(&mut self) {
        self.plane.clear();
        let reboots = self.draws.chance(0.2);
        if reboots {
            self.boot += 1;
            self.now.steady_ms = 1000;
        }
        let down = self.draws.below(20_000);
        self.pass(down, false);
        if self.draws.chance(0.2) {
            self.now.wall_ms += self.draws.below(7_200_000);
        }
        let mut book = Book::new(self.book.rules.clone());
        let mut began = HashMap::new();
        for record in &self.journal {
            book.record(record);
            began.extend(Began::of(record));
        }
        let policy = if self.draws.chance(0.3) { OnRestart::Clear } else { OnRestart::Resume };
        let newest = self.journal.iter().map(|it| it.at.wall_ms).max().unwrap_or(0);
        let events = book.restart(&began, newest, policy, self.now, &self.boot());
        let closed = book.rules.closed(self.now.wall_ms).is_some();
        let resumes = events.iter().any(|event| matches!(event, Event::Resumed { .. }));
        assert!(!(closed && resumes), "something comes on in a window in which nothing may run");
        self.book = book;
        *self.seen.entry("died").or_default() += 1;
        self.perform(&Actor::server(), events, None);
        let nothing = self.book.injections().all(|it| it.state == State::Pending || it.state.is_over());
        assert!(policy == OnRestart::Resume || nothing, "what was to be cleared goes on");
    }

    /// Time passes in truth; `alive` says whether the process is there to see it.
    fn pass(&mut self, ms: u64, alive: bool) {
        let mut left = ms;
        while left > 0 {
            let next = if alive { self.book.next_due(self.now).unwrap_or(left).clamp(1, left) } else { left };
            self.now = self.now.after(Duration::from_millis(next));
            left -= next;
            let ids: std::collections::HashSet<_> = self.plane.values().map(|(id, _)| id.clone()).collect();
            for id in ids {
                self.on_ms.get_mut(&id).unwrap().0 += next;
            }
            if alive {
                self.settle();
            }
        }
    }

    fn step(&mut self) {
        let death = self.draws.chance(0.05).then(|| 1 + self.draws.below(4));
        let who = ["ann@x", "bob@x", "eve@x"][self.draws.below(3) as usize];
        let actor = Actor::new(who, "");
        let boot = self.boot();
        let any = |world: &mut Self| {
            let ids: Vec<_> = world.book.injections().map(|it| it.id.clone()).take(20).collect();
            if ids.is_empty() {
                "none".to_owned()
            } else {
                ids[world.draws.below(ids.len() as u64) as usize].clone()
            }
        };
        let events = match self.draws.below(12) {
            0..4 => {
                let draft = self.draft(who);
                self.book.request(draft, &candidates(), self.now, &boot).unwrap_or_default()
            }
            4 => {
                let id = any(self);
                self.book.approve(&id, &actor, self.now, &boot).unwrap_or_default()
            }
            5 => {
                let id = any(self);
                self.book.revert(&id, &actor).unwrap_or_default()
            }
            6 if self.draws.chance(0.1) => self.book.halt(&actor, |_| true),
            7 => {
                let id = any(self);
                let _ = self.book.renew(&id, self.now);
                Vec::new()
            }
            8 => {
                let id = any(self);
                let none = Err("nobody answers".to_owned());
                let value = [Ok(1.0), Ok(0.5), none][self.draws.below(3) as usize].clone();
                self.book.read(&id, 0, value, self.now);
                self.settle();
                Vec::new()
            }
            9 => {
                // Somebody sets the clock on the wall.
                let jump = self.draws.below(7_200_000);
                let back = self.draws.chance(0.5);
                let wall = &mut self.now.wall_ms;
                *wall = if back { wall.saturating_sub(jump) } else { *wall + jump };
                self.settle();
                Vec::new()
            }
            _ => {
                let ms = self.draws.below(30_000);
                self.pass(ms, true);
                Vec::new()
            }
        };
        let starts = events.iter().filter(|event| matches!(event, Event::Started { .. }));
        let started: Vec<_> = starts.filter_map(Event::subject).map(str::to_owned).collect();
        let died = self.seen.get("died").copied();
        self.perform(&actor, events, death);
        if died == self.seen.get("died").copied() {
            for id in started {
                let guard = self.book.injection(&id).and_then(|it| it.request.steady_state.clone());
                let guards = guard.map(|objective| Guard { objective, source: "test".to_owned() });
                self.book.guard(&id, guards.into_iter().collect(), self.now);
            }
        }
    }

    fn draft(&mut self, who: &str) -> Draft {
        self.asked += 1;
        let service = ["all", "a", "left"][self.draws.below(3) as usize];
        let selector = [None, Some("side=left"), Some("env!=production")][self.draws.below(3) as usize];
        let mut request = json!({
            "target": {"service": service, "selector": selector, "max_targets": 1 + self.draws.below(3)},
            "fault": {"type": "latency", "latency": 10},
            "duration_seconds": (1 + self.draws.below(60_000)) as f64 / 1e3,
            "steady_state": {"slo": "s", "min": 0.9, "abort_after": 3, "abort_without_data_after": 20},
            "hypothesis": "it holds", "owner": who, "queue": self.draws.chance(0.5),
        });
        if self.draws.chance(0.3) {
            request["lease_seconds"] = json!(5);
        }
        let request = Request::read(request).unwrap();
        let (id, scope) = (format!("inj-{}", self.asked), Selector::default());
        Draft { id, request, scope, schedule: None, indicator: None, seed: 7 }
    }
}

fn kind(event: &Event) -> &'static str {
    match event {
        Event::Requested { .. } => "requested",
        Event::Approved { .. } => "approved",
        Event::Started { .. } => "started",
        Event::Resumed { .. } => "resumed",
        Event::Ended { state, .. } => State::from(*state).as_str(),
        _ => "other",
    }
}

fn rules() -> Rules {
    let frozen = Span::Once { from_ms: 1_800_003_600_000, to_ms: 1_800_007_200_000 };
    Rules {
        patience: Duration::from_secs(120),
        approval: Approval { above_targets: Some(2), environments: vec!["production".to_owned()] },
        windows: vec![Closed { reason: "freeze".to_owned(), span: frozen }],
        ..Rules::default()
    }
}

fn candidates() -> Vec<Candidate> {
    let labels = |name: &str| {
        let mut labels = crate::request::Labels::new();
        if name != "a" {
            labels.insert("service".into(), if name < "e" { "all" } else { "left" }.into());
        }
        labels.insert("side".into(), if name < "d" { "left" } else { "right" }.into());
        if name == "b" {
            labels.insert("env".into(), "production".into());
        }
        labels
    };
    PROXIES.iter().map(|name| Candidate { name: (*name).to_owned(), labels: labels(name) }).collect()
}

#[test]
fn whatever_happens_nothing_stays_on_and_the_journal_tells_it_all() {
    let mut seen = HashMap::new();
    for seed in 0..200 {
        let caught = std::panic::catch_unwind(|| {
            let mut world = World::new(seed);
            (0..300).for_each(|_| world.step());
            // Everything ends when nobody does anything any more.
            world.pass(10 * 60_000, true);
            assert_eq!(world.book.running().count(), 0);
            // And the journal tells the same as the memory.
            let mut replayed = Book::new(rules());
            world.journal.iter().for_each(|record| replayed.record(record));
            let states = |book: &Book| -> Vec<_> {
                let mut all: Vec<_> = book
                    .injections()
                    .map(|it| (it.id.clone(), it.state.as_str(), it.reason.clone()))
                    .collect();
                all.sort();
                all
            };
            assert_eq!(states(&replayed), states(&world.book));
            world.seen
        });
        let counts = caught.unwrap_or_else(|_| panic!("with seed {seed}"));
        counts.into_iter().for_each(|(what, count)| *seen.entry(what).or_insert(0) += count);
    }
    for what in
        ["requested", "approved", "started", "resumed", "aborted", "completed", "reverted", "failed", "died"]
    {
        assert!(seen.get(what).is_some_and(|count| *count > 50), "{what}: {seen:?}");
    }
}
