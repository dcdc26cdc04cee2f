//! What guards a fault, and what it is compared with.

use super::*;

fn http(name: &str) -> ProxySpec {
    ProxySpec { protocol: sabot_proxy::Protocol::Http, ..ProxySpec::new(name, "127.0.0.1:9") }
}

/// HTTP proxies whose requests are told, second by second: nothing goes on by itself.
struct Watched {
    engine: Engine,
    controller: Controller,
    /// Requests through all of them until now: good ones, failed ones, and how many took longer than 100 ms.
    counted: Mutex<BTreeMap<&'static str, [u64; 3]>>,
}

impl Watched {
    async fn new(limits: Limits) -> Self {
        let controller = Controller::start(&Options { workers: Some(1), ..Options::default() }).unwrap();
        for name in ["a", "b", "edge"] {
            controller.create(http(name)).await.unwrap();
        }
        let settings = Settings { limits, ..Settings::default() };
        let clock = Arc::new(Told::default());
        let engine = Engine::open_with(controller.clone(), settings, None, OnRestart::Resume, clock).engine;
        Self { engine, controller, counted: Mutex::default() }
    }

    /// So many seconds pass in each of which this comes.
    fn come(&self, seconds: usize, requests: &[(&'static str, [u64; 3])]) {
        for _ in 0..seconds {
            let mut counted = self.counted.lock().unwrap();
            for (name, came) in requests {
                let all = counted.entry(name).or_default();
                all.iter_mut().zip(came).for_each(|(all, came)| *all += came);
            }
            let mut totals = self.controller.totals();
            for one in &mut totals {
                let [good, bad, slow] = counted.get(&*one.name).copied().unwrap_or_default();
                let http = one.http.as_mut().unwrap();
                http.requests = [(("GET", "2xx"), good), (("GET", "5xx"), bad)].into();
                let (fast, all) = (good + bad - slow, good + bad);
                http.duration.buckets = vec![(0.01, fast), (0.1, fast), (1.0, all), (f64::INFINITY, all)];
            }
            self.engine.inner.look(&totals);
        }
    }

    async fn inject(&self, service: &str) -> Injection {
        let target = json!({"service": service, "max_targets": 1});
        self.engine.inject(asked(|it| it["target"] = target)).await.unwrap()
    }

    /// The server's limits for an injection: what each has to stay between, and what there is now.
    async fn limits(&self, injection: &Injection) -> Vec<(Option<f64>, Option<f64>, Option<f64>)> {
        let mut limits = Vec::new();
        for (guard, source) in self.engine.guards(&self.engine.known(&injection.id).unwrap()) {
            if guard.objective.slo.starts_with("the server's limit") {
                let value = self.engine.value(&source).await.ok();
                limits.push((guard.objective.min, guard.objective.max, value));
            }
        }
        limits
    }
}

const FINE: [u64; 3] = [100, 0, 0];
const BROKEN: [u64; 3] = [70, 30, 0];
const SLOW: [u64; 3] = [100, 0, 100];

#[tokio::test]
async fn what_other_injections_break_is_no_breach_of_the_servers_limits() {
    let bench = Watched::new(Limits { error_rate: Some(0.25), ..Limits::default() }).await;
    bench.come(10, &[("a", FINE), ("b", FINE), ("edge", FINE)]);
    let (first, second) = (bench.inject("a").await, bench.inject("b").await);
    bench.come(10, &[("a", BROKEN), ("b", BROKEN), ("edge", FINE)]);
    let fine = [(Some(0.75), None, Some(1.0))];
    assert_eq!((bench.limits(&first).await, bench.limits(&second).await), (fine.to_vec(), fine.to_vec()));
    // Nor just after its end.
    bench.engine.revert(&first.id, &ann()).await.unwrap();
    bench.come(1, &[("a", BROKEN), ("b", BROKEN), ("edge", FINE)]);
    assert_eq!(bench.limits(&second).await, fine);
    // What neither of them hits counts, and so does what one has left behind.
    bench.come(5, &[("a", FINE), ("b", BROKEN), ("edge", BROKEN)]);
    assert!(bench.limits(&second).await[0].2.unwrap() < 0.9);
    bench.come(10, &[("a", BROKEN), ("b", BROKEN), ("edge", FINE)]);
    assert_eq!(bench.limits(&second).await[0].2, Some(0.85));
}

#[tokio::test]
async fn what_was_before_is_what_came_while_nothing_was_broken() {
    let bench = Watched::new(Limits { p99_factor: Some(2.0), ..Limits::default() }).await;
    bench.come(20, &[("a", FINE), ("b", FINE), ("edge", FINE)]);
    let first = bench.inject("a").await;
    let most = bench.limits(&first).await[0].1;
    assert!(most.is_some_and(|most| (10.0..=20.0).contains(&most)), "{most:?}");
    // The fault slows what lies before its target as well.
    bench.come(40, &[("a", SLOW), ("b", FINE), ("edge", SLOW)]);
    let beside = bench.inject("b").await;
    assert_eq!(bench.limits(&beside).await[0].1, most);
    for id in [&first.id, &beside.id] {
        bench.engine.revert(id, &ann()).await.unwrap();
    }
    bench.come(1, &[("a", SLOW), ("b", FINE), ("edge", SLOW)]);
    let after = bench.inject("b").await;
    assert_eq!(bench.limits(&after).await[0].1, most);
}

#[tokio::test]
async fn a_second_fault_in_a_row_is_not_over_when_it_is_as_during_the_first() {
    let bench = Watched::new(Limits::default()).await;
    bench.come(20, &[("a", FINE)]);
    tokio::time::pause();
    for (now, expected) in [(BROKEN, None), (BROKEN, None), (FINE, Some(0.0))] {
        let id = bench.inject("a").await.id;
        bench.come(40, &[("a", now)]);
        let mut changes = bench.engine.changes();
        bench.engine.revert(&id, &ann()).await.unwrap();
        let seconds = loop {
            if let Event::Recovered { seconds, .. } = changes.recv().await.unwrap().event {
                break seconds;
            }
        };
        assert_eq!(seconds, expected);
    }
}

#[tokio::test]
async fn the_servers_limits_look_at_requests_alone() {
    let limits = Limits { error_rate: Some(0.05), ..Limits::default() };
    let bench = Bench::new(None, OnRestart::Resume, Settings { limits, ..Settings::default() }).await;
    bench.controller.create(http("web")).await.unwrap();
    let id = bench.inject(|it| it["steady_state"]["slo"] = json!("success")).await.unwrap().id;
    let guards = bench.engine.guards(&bench.engine.known(&id).unwrap()).into_iter();
    let told: Vec<_> = guards.map(|(guard, _)| (guard.objective.slo, guard.source)).collect();
    let told: Vec<_> = told.iter().map(|(slo, source)| (slo.as_str(), source.as_str())).collect();
    let expected =
        [("success", "what south-a, south-b saw"), ("the server's limit of good requests", "what web saw")];
    assert_eq!(told, expected, "`north` relays bytes");
}

#[tokio::test]
async fn who_waits_for_a_recovery_that_nobody_watches_is_told_at_once() {
    for (requests, taken) in [(0, 0), (20, watch::RECOVERIES)] {
        let bench = Watched::new(Limits::default()).await;
        bench.come(requests, &[("a", FINE)]);
        let _taken = bench.engine.inner.recoveries.try_acquire_many(taken as u32).unwrap();
        let id = bench.inject("a").await.id;
        let mut changes = bench.engine.changes();
        bench.engine.revert(&id, &ann()).await.unwrap();
        // Over at once where nothing else is to come.
        tokio::time::pause();
        let told = async {
            loop {
                if let Event::Recovered { seconds, .. } = changes.recv().await.unwrap().event {
                    break seconds;
                }
            }
        };
        assert_eq!(tokio::time::timeout(Duration::from_secs(30), told).await, Ok(None), "{requests}");
        tokio::time::resume();
        let kept = bench.engine.audit(&Filter::default()).unwrap();
        assert!(!kept.iter().any(|it| matches!(it.event, Event::Recovered { .. })), "nothing came of it");
    }
}

#[tokio::test]
async fn limits_that_have_nothing_to_look_at_say_so_once() {
    let limits =
        |watch: &str| Limits { error_rate: Some(0.05), watch: watch.parse().unwrap(), ..Limits::default() };
    for (watch, service, warned, expected) in [
        ("", "a", vec![], None),
        (
            "",
            "all",
            vec![
                "the server's limits guard nothing: no HTTP proxy but its targets is there; \
                          put one before what may suffer",
            ],
            None,
        ),
        (
            "tier=edgy",
            "a",
            vec![
                "the server's limits guard nothing: no HTTP proxy but its targets meets `limits.watch` \
                  (tier=edgy); correct it, or label a proxy so",
            ],
            Some(
                "the server's limits guard nothing: no HTTP proxy meets `limits.watch` (tier=edgy); \
                  correct it, or label a proxy so",
            ),
        ),
    ] {
        let bench = Watched::new(limits(watch)).await;
        assert_eq!(bench.engine.idle_limits().as_deref(), expected, "{watch}");
        if service == "all" {
            bench.controller.delete("b").await.unwrap();
            bench.controller.delete("edge").await.unwrap();
        }
        let injection = bench.inject("a").await;
        assert_eq!(injection.warnings, warned, "{watch}");
        // It is looked at once more, as after a restart.
        bench.limits(&injection).await;
        let kept = bench.engine.revert(&injection.id, &ann()).await.unwrap();
        assert_eq!(kept.warnings, warned, "said once");
        assert_eq!(bench.engine.injection(&injection.id).unwrap().warnings, warned);
        let audit =
            bench.engine.audit(&Filter { action: Some("injection.warned".into()), ..Filter::default() });
        assert_eq!(audit.unwrap().len(), warned.len());
    }
}

#[tokio::test]
async fn a_p99_of_before_that_nobody_knows_is_told() {
    let bench = Watched::new(Limits { p99_factor: Some(2.0), ..Limits::default() }).await;
    assert_eq!(bench.inject("a").await.warnings, ["no requests came before it: its p99 has no limit"]);
}
