use sabot_document::Document;

use super::*;

const GOOD: &str = r#"
version: 1.0.0
title: Fine with ${what}
description: A file with a bit of everything
tags: [a, b]
contributions: {reliability: high}
configuration:
  what: nothing
  token: {type: env, key: SABOT_TEST_TOKEN, default: none}
  found: {type: probe, name: found, provider: {type: process, path: echo, arguments: [1]}}
controls:
  - {name: trace, provider: {type: python, module: chaostracing.control}}
steady-state-hypothesis:
  title: It answers
  probes:
    - {type: probe, name: answers, tolerance: 200, provider: {type: http, url: "http://localhost/"}}
    - {ref: later, tolerance: [0, 1]}
method:
  - type: action
    name: break
    background: true
    pauses: {before: 1, after: "${what}"}
    controls: [{name: x}]
    provider: {type: process, path: echo, arguments: {controls: [1]}}
  - {type: probe, name: later, provider: {type: process, path: echo}}
  - {ref: answers}
rollbacks:
  - {ref: break}
"#;

fn refused(text: &str) -> String {
    let document = Document::parse("e.yaml".to_owned(), text.to_owned()).unwrap();
    Experiment::read(&document, &[]).unwrap_err().to_string()
}

#[test]
fn a_whole_file_is_read() {
    let document = Document::parse("e.yaml".to_owned(), GOOD.to_owned()).unwrap();
    assert!(Experiment::is_one(&document));
    let set = [("what".to_owned(), "everything".to_owned())];
    let experiment = Experiment::read(&document, &set).unwrap();
    assert_eq!(experiment.title(), "Fine with everything");
    let names = |all: &[Activity]| all.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&experiment.hypothesis.as_ref().unwrap().probes), ["answers", "later"]);
    assert_eq!(names(&experiment.method), ["break", "later", "answers"]);
    // Who refers to an activity says whether it runs in the background.
    assert!(experiment.method[0].background && !experiment.rollbacks[0].background);
    assert_eq!(experiment.dynamic[0].0, "found");
    assert_eq!(experiment.warnings().len(), 2, "{:?}", experiment.warnings());
    assert!(experiment.warnings()[1].starts_with("method[0].controls are ignored"));
}

#[test]
fn what_cannot_be_carried_out_is_refused_with_its_place() {
    for (from, to, told) in [
        ("title: Fine with ${what}", "", "title: is missing"),
        ("description: A", "about: A", "description: is missing"),
        ("tags: [a, b]", "tags: [a, '']", "e.yaml:5:11: tags[1]: must be text"),
        ("  title: It answers\n", "", "steady-state-hypothesis.title: is missing"),
        ("tolerance: 200, ", "", "probes[0].tolerance: is missing"),
        (
            "tolerance: 200",
            "tolerance: 0.5",
            "e.yaml:16:47: steady-state-hypothesis.probes[0].tolerance: must",
        ),
        (
            "tolerance: [0, 1]",
            "tolerance: {type: rang}",
            "e.yaml:17:38: steady-state-hypothesis.probes[1].tolerance.type",
        ),
        ("type: action", "type: act", "e.yaml:19:11: method[0].type: `act` is not known"),
        ("before: 1", "before: soon", "method[0].pauses.before: must be a number of seconds"),
        ("background: true", "background: 1", "method[0].background: must be true or false"),
        (
            "{ref: break}",
            "{ref: brake}",
            "e.yaml:28:11: rollbacks[0].ref: there is no `brake`, did you mean `break`?",
        ),
        ("type: http,", "type: ftp,", "probes[0].provider.type: `ftp` is not known"),
        (
            "path: echo, arguments: {",
            "path: eecho, arguments: {",
            "method[0].provider.path: there is no program `eecho`",
        ),
        (
            "provider: {type: process, path: echo}",
            "provider: {type: python, module: chaosk8s.pod.actions, func: terminate_pods}",
            "e.yaml:25:65: method[1].provider.module: `chaosk8s.pod.actions.terminate_pods` is Python, which \
             Sabot does not run: call `kubectl`",
        ),
        (
            "key: SABOT_TEST_TOKEN, default: none",
            "key: SABOT_TEST_TOKEN",
            "configuration.token.key: `SABOT_TEST_TOKEN`",
        ),
        (
            "type: process, path: echo, arguments: [1]",
            "type: python, module: m, func: f",
            "configuration.found.provider",
        ),
        ("version: 1.0.0", "dry: wet", "dry: `wet` is not known"),
    ] {
        let text = GOOD.replacen(from, to, 1);
        assert_ne!(text, GOOD, "{from}");
        let error = refused(&text);
        assert!(error.contains(told), "{error}\n{told}");
    }
}
