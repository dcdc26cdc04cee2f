use std::time::Duration;

use sabot_document::Document;
use serde_json::json;

use super::*;
use crate::chaostoolkit::HypothesisStrategy;

/// An experiment whose hypothesis is that a file is there, which its method may change.
struct Bench {
    folder: tempfile::TempDir,
    settings: Settings,
    interrupt: watch::Sender<Option<String>>,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("steady"), "").unwrap();
        let (interrupt, receiver) = watch::channel(None);
        let settings = Settings {
            hypothesis: HypothesisStrategy::Default,
            rollbacks: RollbackStrategy::Default,
            frequency: Duration::from_millis(1),
            fail_fast: None,
            dry: None,
            toxiproxy_url: String::new(),
            toxiproxy_token: None,
            interrupt: receiver,
            said: Arc::new(|_: &str| {}),
        };
        Self { folder, settings, interrupt }
    }

    fn has(&self, file: &str) -> bool {
        self.folder.path().join(file).exists()
    }

    fn program(&self, kind: &str, script: &str) -> Value {
        let script = format!("cd {} && {script}", self.folder.path().display());
        let provider = json!({"type": "process", "path": "sh", "arguments": ["-c", script]});
        json!({"type": kind, "name": script, "provider": provider})
    }

    fn experiment(&self, method: &[Value]) -> Experiment {
        let mut probe = self.program("probe", "test -e steady");
        probe["tolerance"] = json!(0);
        let file = json!({
            "title": "t", "description": "d",
            "steady-state-hypothesis": {"title": "steady", "probes": [probe]},
            "method": method,
            "rollbacks": [self.program("action", "touch rolled-back")],
        });
        let document = Document::parse("e.json".to_owned(), file.to_string()).unwrap();
        Experiment::read(&document, &[]).unwrap()
    }

    async fn run(&self, method: &[Value]) -> Journal {
        run(&self.experiment(method), &self.settings).await
    }
}

#[tokio::test]
async fn a_system_that_stays_well_completes() {
    let bench = Bench::new();
    let journal = bench.run(&[bench.program("action", "touch done; exit 3")]).await;
    assert_eq!((journal.status, journal.deviated), (Some(Status::Completed), false));
    assert!(journal.is_good() && bench.has("done") && bench.has("rolled-back"));
    assert_eq!(journal.run[0].output["status"], 3);
    assert_eq!(journal.steady_states.after.unwrap().probes[0].tolerance_met, Some(true));
}

#[tokio::test]
async fn a_system_that_is_not_well_afterwards_has_deviated() {
    let bench = Bench::new();
    let journal = bench.run(&[bench.program("action", "rm steady")]).await;
    assert_eq!((journal.status, journal.deviated), (Some(Status::Completed), true));
    assert!(!journal.is_good() && bench.has("rolled-back"));
}

#[tokio::test]
async fn a_system_that_is_not_well_before_is_not_touched() {
    let bench = Bench::new();
    std::fs::remove_file(bench.folder.path().join("steady")).unwrap();
    let journal = bench.run(&[bench.program("action", "touch done")]).await;
    assert_eq!((journal.status, journal.deviated), (Some(Status::Completed), false));
    assert!(!journal.is_good() && !bench.has("done") && journal.run.is_empty());
}

#[tokio::test]
async fn each_rollback_strategy_says_when() {
    for (strategy, deviates, played) in [
        (RollbackStrategy::Always, false, true),
        (RollbackStrategy::Never, true, false),
        (RollbackStrategy::Deviated, true, true),
        (RollbackStrategy::Deviated, false, false),
    ] {
        let mut bench = Bench::new();
        bench.settings.rollbacks = strategy;
        let script = if deviates { "rm steady" } else { "true" };
        let journal = bench.run(&[bench.program("action", script)]).await;
        assert_eq!(journal.deviated, deviates);
        assert_eq!((bench.has("rolled-back"), journal.rollbacks.len() == 1), (played, played), "{strategy}");
    }
}

#[tokio::test]
async fn each_hypothesis_strategy_says_when() {
    for (strategy, before, during, after) in [
        (HypothesisStrategy::Default, true, false, true),
        (HypothesisStrategy::BeforeMethodOnly, true, false, false),
        (HypothesisStrategy::AfterMethodOnly, false, false, true),
        (HypothesisStrategy::DuringMethodOnly, false, true, false),
        (HypothesisStrategy::Continuously, true, true, true),
        (HypothesisStrategy::Skip, false, false, false),
    ] {
        let mut bench = Bench::new();
        bench.settings.hypothesis = strategy;
        // In the background, so that the method does not end before the first look.
        let mut long = bench.program("action", "sleep 0.2");
        long["background"] = json!(true);
        let states = bench.run(&[long]).await.steady_states;
        let seen = (states.before.is_some(), !states.during.is_empty(), states.after.is_some());
        assert_eq!(seen, (before, during, after), "{strategy}");
    }
}

#[tokio::test]
async fn a_hypothesis_that_fails_fast_ends_the_method() {
    let mut bench = Bench::new();
    bench.settings.hypothesis = HypothesisStrategy::DuringMethodOnly;
    bench.settings.fail_fast = Some(1.0);
    let mut gone = bench.program("action", "rm steady");
    gone["pauses"] = json!({"after": 0.1});
    let mut method = vec![gone];
    // Enough of them that a look falls in between, however slow the machine.
    let mut pause = bench.program("action", "true");
    pause["pauses"] = json!({"after": 0.05});
    method.extend(std::iter::repeat_n(pause, 1_000));
    method.push(bench.program("action", "touch end-of-method"));
    let journal = bench.run(&method).await;
    assert_eq!(journal.status, Some(Status::Failed));
    assert!(!bench.has("end-of-method") && bench.has("rolled-back"));
}

#[tokio::test]
async fn an_interrupt_ends_the_method_and_plays_the_rollbacks() {
    let mut bench = Bench::new();
    let (told, began) = std::sync::mpsc::channel();
    bench.settings.said = Arc::new(move |line: &str| drop(told.send(line.to_owned())));
    let experiment = bench.experiment(&[bench.program("action", "sleep 1000")]);
    let settings = bench.settings.clone();
    let running = tokio::spawn(async move { run(&experiment, &settings).await });
    let began = tokio::task::spawn_blocking(move || began.iter().any(|line| line.contains("sleep 1000")));
    assert!(began.await.unwrap());
    bench.interrupt.send_replace(Some("Ended by a test.".to_owned()));
    let journal = running.await.unwrap();
    assert_eq!(journal.status, Some(Status::Interrupted));
    assert_eq!(journal.run.first().map_or(Some("aborted"), |entry| entry.status), Some("aborted"));
    assert!(bench.has("rolled-back") && journal.steady_states.after.is_none());
}

#[tokio::test]
async fn what_is_dry_is_told_only() {
    let mut bench = Bench::new();
    bench.settings.dry = Some(Dry::Actions);
    let journal = bench.run(&[bench.program("action", "touch done"), bench.program("probe", "echo 1")]).await;
    assert!(!bench.has("done") && !bench.has("rolled-back"));
    assert_eq!(journal.run[0].status, Some("succeeded"));
    assert_eq!(journal.run[1].output["stdout"], "1\n");
    std::fs::remove_file(bench.folder.path().join("steady")).unwrap();
    bench.settings.dry = Some(Dry::Activities);
    assert!(bench.run(&[bench.program("probe", "exit 1")]).await.is_good());
}

#[tokio::test]
async fn the_journal_has_the_keys_of_the_real_one_in_their_order() {
    let bench = Bench::new();
    let failing =
        json!({"type": "probe", "name": "p", "provider": {"type": "http", "url": "http://127.0.0.1:1/"}});
    let journal = serde_json::to_value(bench.run(&[failing]).await).unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>().join(" ");
    assert_eq!(
        keys(&journal),
        "chaoslib-version platform node experiment start status deviated steady_states run rollbacks end duration"
    );
    assert_eq!(keys(&journal["steady_states"]), "before after during");
    assert_eq!(keys(&journal["steady_states"]["before"]), "steady_state_met probes");
    assert_eq!(keys(&journal["run"][0]), "activity output start status exception end duration");
    assert_eq!(journal["run"][0]["status"], "failed");
    assert_eq!(journal["status"], "completed");
}

#[tokio::test]
async fn a_probe_of_the_configuration_gives_a_value() {
    let file = json!({
        "title": "t", "description": "d",
        "configuration": {
            "word": {"type": "probe", "provider": {"type": "process", "path": "echo", "arguments": ["hello"]}},
            "none": {"type": "probe", "provider": {"type": "process", "path": "false"}},
        },
        "method": [{"type": "probe", "name": "p",
            "provider": {"type": "process", "path": "echo", "arguments": ["${word} ${none}"]}}],
    });
    let document = Document::parse("e.json".to_owned(), file.to_string()).unwrap();
    let journal = run(&Experiment::read(&document, &[]).unwrap(), &Bench::new().settings).await;
    assert_eq!(journal.run[0].output["stdout"], "hello ${none}\n");
}
