use std::collections::BTreeMap;

use sabot_document::Document;

use super::vars::Vars;
use super::{Experiment, SlosSpec};
use crate::judge::Verdict;

const WHOLE: &str = r"
title: Payments is slow
hypothesis: Reads stay fast while payments takes 200 ms longer.
load:
  target: ${API:-http://localhost:8080}
  rate: 200/s
  endpoints:
    - name: GET /orders/{id}
      path: '/orders/{{int 1 100}}'
    - name: POST /orders
      method: POST
      path: /orders
slis:
  replica_lag:
    prometheus: {url: 'http://localhost:9090', query: 'max(lag)'}
  alive:
    http: {url: 'http://localhost:8080/health'}
    every: 2s
slos:
  steady: ['reads p99 < 50ms', 'all error_rate < 0.1%', 'replica_lag < 5']
  fault: ['reads p99 < 100ms']
faults:
  - proxy: payments
    type: latency
    attributes: {latency: 200ms}
    when: {duration: 20s}
windows: {warm_up: 2s, baseline: 10s, fault: 15500ms, recovery: 20s}
stop: ['reads error_rate > 50% for 5s']
blast_radius: [POST /orders]
expect: held
prepare:
  - http: {method: PUT, url: 'http://localhost:8080/mitigations', body: {all: true}}
  - command: {argv: ['true']}
variants:
  naive:
    prepare: [{http: {url: 'http://localhost:8080/off'}}]
    expect: failed
";

fn read(text: &str) -> Result<Experiment, String> {
    let document =
        Document::parse("x.yaml".to_owned(), text.to_owned()).map_err(|error| error.to_string())?;
    Experiment::read(&document, &Vars::only(BTreeMap::new())).map_err(|error| error.to_string())
}

#[test]
fn a_whole_experiment_is_read() {
    let experiment = read(WHOLE).unwrap();
    assert_eq!(experiment.load.as_ref().unwrap().target.as_deref(), Some("http://localhost:8080"));
    assert_eq!(experiment.windows.seconds(), [2, 10, 16, 20]);
    let slos = experiment.objectives();
    assert_eq!((slos.steady.len(), slos.fault.len(), slos.after.len()), (3, 1, 3));
    assert!(matches!(experiment.slos, SlosSpec::Phases(_)));
    assert_eq!(experiment.slis.len(), 2);
    let naive = experiment.clone().variant("naive").unwrap();
    assert_eq!((naive.expect, naive.prepare.len()), (Some(Verdict::Failed), 3));
    assert!(experiment.variant("naiv").unwrap_err().contains("did you mean `naive`?"));
}

#[test]
fn one_list_of_objectives_is_for_every_phase() {
    let (head, tail) = WHOLE.split_once("slos:").unwrap();
    let text = format!("{head}slos: ['reads p99 < 50ms']\nfaults:{}", tail.split_once("faults:").unwrap().1);
    let slos = read(&text).unwrap().objectives();
    assert_eq!((slos.steady.len(), slos.fault.len(), slos.after.len()), (1, 1, 1));
}

#[test]
fn what_is_wrong_is_told_with_its_place_and_the_remedy() {
    for (good, bad, told) in [
        ("title: Payments is slow", "titel: x", "x.yaml:2:1: titel: unknown field, did you mean `title`?"),
        ("hypothesis: Reads stay fast while payments takes 200 ms longer.", "", "hypothesis: is missing"),
        ("rate: 200/s", "rat: 200/s", "load.rat"),
        ("reads p99 < 50ms", "reads p99 < 50", "a time with its unit"),
        (
            "'replica_lag < 5'",
            "'replca_lag < 5'",
            "slos.steady[2]: unknown indicator `replca_lag`, did you mean `replica_lag`?",
        ),
        ("reads p99 < 100ms", "GET /order p99 < 100ms", "slos.fault[0]: unknown endpoint `GET /order`"),
        ("blast_radius: [POST /orders]", "blast_radius: [POST /order]", "did you mean `POST /orders`?"),
        (
            "when: {duration: 20s}",
            "when: {expires_after: 20s}",
            "faults[0].when.expires_after: is set by the run",
        ),
        ("recovery: 20s", "recovery: 5s", "stable: is longer than the recovery window"),
        ("fault: 15500ms", "fault: 0s", "windows.fault: must be a second or longer"),
        ("expect: held", "expect: hold", "expect: `hold` is not known here, did you mean `held`?"),
        (
            "prometheus: {url: 'http://localhost:9090', query: 'max(lag)'}",
            "prometheus: {url: 'localhost:9090', query: 'max(lag)'}",
            "is no http:// or https:// URL",
        ),
        ("${API:-http://localhost:8080}", "${API}", "x.yaml:5:"),
        ("proxy: payments", "prox: payments", "faults[0].prox: unknown field, did you mean `proxy`?"),
        ("argv: ['true']", "argv: []", "names no program"),
    ] {
        assert!(WHOLE.contains(good), "{good}");
        let error = read(&WHOLE.replacen(good, bad, 1)).expect_err(bad);
        assert!(error.contains(told), "{bad}\n  said {error}\n  not {told}");
    }
}

#[test]
fn the_usual_windows_are_those_of_a_runbook() {
    let start = WHOLE.find("windows:").unwrap();
    let end = start + WHOLE[start..].find('\n').unwrap();
    let text = format!("{}{}", &WHOLE[..start], &WHOLE[end..]);
    assert_eq!(read(&text).unwrap().windows.seconds(), [5, 60, 120, 120]);
}
