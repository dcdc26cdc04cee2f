//! What faults of TLS make of a connection, and the words that they are given by.

use std::time::Duration;

use sabot_toxics::tls::{Alert, Problem};
use sabot_toxics::{Entry, Invalid, Phase, Plan, Time, TlsPlan, TlsStep, TlsVersion, ToxicSpec, kinds};
use serde_json::{Value, json};

use crate::support::{MS, at_ms, key, plan, spec, toxic};

fn of(specs: &[(&str, Value)]) -> TlsPlan {
    plan(specs.iter().map(|(kind, attributes)| toxic(kind, attributes.clone()))).tls(&key(1), Time::ZERO).plan
}

#[test]
fn each_kind_does_what_it_says() {
    assert_eq!(of(&[]), TlsPlan::default());
    assert_eq!(
        of(&[("tls_delay", json!({"delay": 20})), ("tls_delay", json!({"delay": "1s"}))]).delay,
        1020 * MS
    );
    assert!(of(&[("tls_hang", json!({}))]).hang);
    assert_eq!(of(&[("tls_alert", json!({}))]).alert, Some(Alert(40)));
    let two = [("tls_alert", json!({"alert": "unknown-ca"})), ("tls_alert", json!({"alert": 112}))];
    assert_eq!(of(&two).alert, Some(Alert(112)), "the last one counts");
    assert_eq!(of(&[("tls_certificate", json!({}))]).certificate, Some(Problem::Expired));
    assert_eq!(
        of(&[("tls_certificate", json!({"problem": "unknown_ca"}))]).certificate,
        Some(Problem::UnknownCa)
    );
    assert_eq!(of(&[("tls_version", json!({}))]).only, Some(TlsVersion::Tls12));
    for thirteen in [json!("1.3"), json!(1.3)] {
        assert_eq!(of(&[("tls_version", json!({"only": thirteen}))]).only, Some(TlsVersion::Tls13));
    }
    assert!(of(&[("tls_no_close_notify", json!({}))]).no_close_notify);
    let cuts = [("tls_truncate", json!({"bytes": "1KiB"})), ("tls_truncate", json!({"bytes": 5000}))];
    assert_eq!(of(&cuts).truncate, Some(1024), "the smallest counts");
}

#[test]
fn every_kind_of_the_phase_has_its_step() {
    let of_tls: Vec<_> = kinds().iter().filter(|kind| kind.phase == Phase::Tls).collect();
    assert_eq!(of_tls.len(), 7);
    for kind in kinds() {
        assert_eq!(kind.tls_step.is_some(), kind.phase == Phase::Tls, "{}", kind.name);
    }
    let outside: Vec<_> = of_tls
        .iter()
        .filter(|kind| kind.tls_step.is_some_and(TlsStep::is_outside))
        .map(|kind| kind.name)
        .collect();
    assert_eq!(outside, ["tls_alert", "tls_delay", "tls_hang"]);
}

#[test]
fn who_acts_is_known_by_step() {
    let specs = [
        ("tls_delay", json!({"delay": 5})),
        ("tls_hang", json!({})),
        ("tls_alert", json!({})),
        ("tls_delay", json!({})),
    ];
    let fate = plan(specs.map(|(kind, attributes)| toxic(kind, attributes))).tls(&key(1), Time::ZERO);
    let ids = |step| fate.at(step).map(|entry| entry.id).collect::<Vec<_>>();
    // A delay of nothing changes nothing, so it does not act.
    assert_eq!(
        (ids(TlsStep::Wait), ids(TlsStep::Refuse), ids(TlsStep::Close)),
        (vec![1, 2], vec![3], vec![])
    );
}

#[test]
fn windows_toxicity_and_jitter_belong_to_the_connection() {
    let window = json!({"type": "tls_hang", "when": {"start_after": 10, "duration": 5}});
    let hangs = plan([spec(window)]);
    for (ms, hang, changes) in [(0.0, false, Some(10.0)), (12.0, true, Some(15.0)), (20.0, false, None)] {
        let fate = hangs.tls(&key(1), at_ms(ms));
        assert_eq!((fate.plan.hang, fate.changes), (hang, changes.map(at_ms)), "at {ms} ms");
    }
    let half = plan([spec(json!({"type": "tls_alert", "toxicity": 0.5}))]);
    let drawn = |number| half.tls(&key(number), Time::ZERO).plan.alert.is_some();
    let share = (1..=1000).filter(|number| drawn(*number)).count();
    assert!((440..=560).contains(&share), "{share}");
    assert!((1..=100).all(|number| drawn(number) == drawn(number)));
    let jitter = plan([toxic("tls_delay", json!({"delay": 50, "jitter": 10}))]);
    let delays: Vec<_> = (1..=50).map(|number| jitter.tls(&key(number), Time::ZERO).plan.delay).collect();
    let within = |delay: &Duration| (40 * MS..=60 * MS).contains(delay);
    assert!(delays.iter().all(within) && delays.iter().any(|delay| *delay != delays[0]));
}

#[test]
fn words_that_mean_nothing_are_refused_with_the_nearest() {
    let refused = |json: Value| serde_json::from_value::<ToxicSpec>(json).unwrap_err().to_string();
    let alert = refused(json!({"type": "tls_alert", "attributes": {"alert": "handshake_failed"}}));
    assert!(
        alert.contains("attributes.alert") && alert.contains("did you mean `handshake_failure`"),
        "{alert}"
    );
    assert!(refused(json!({"type": "tls_alert", "attributes": {"alert": 256}})).contains("0 to 255"));
    assert!(refused(json!({"type": "tls_version", "attributes": {"only": 1.1}})).contains("give 1.2 or 1.3"));
    assert!(
        refused(json!({"type": "tls_certificate", "attributes": {"problem": "old"}})).contains("expired")
    );
    let late = refused(json!({"type": "tls_hang", "when": {"after_bytes": 1}}));
    assert!(late.contains("when.after_bytes") && late.contains("handshake"), "{late}");
    let named = spec(json!({"type": "tls_alert", "attributes": {"alert": 80}}));
    assert_eq!(named.attributes["alert"], json!("internal_error"), "a number with a name is shown by it");
    let made = Entry::new(named, 1, Time::ZERO, 1).map_err(|error: Invalid| error.to_string()).unwrap();
    assert!(Plan::new(vec![made.into()]).has_tls());
}

#[test]
fn an_alert_is_one_record() {
    // RFC 8446, section 6: fatal is 2.
    assert_eq!(Alert(40).record(), [21, 3, 3, 0, 2, 2, 40]);
}
