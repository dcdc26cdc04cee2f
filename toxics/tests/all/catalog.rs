//! What the list of kinds promises to everything that derives from it.

use sabot_toxics::{ConnectPlan, Dial, Entry, Phase, Plan, Seed, Time, ToxicSpec, kind, kinds};
use serde_json::{Map, Value, json};

use crate::support::{key, sample, toxic};

#[test]
fn the_list_is_sorted_and_its_names_are_plain() {
    assert!(kinds().is_sorted_by(|a, b| a.name < b.name));
    for kind in kinds() {
        assert!(kind.name.chars().all(|c| c.is_ascii_lowercase() || c == '_'), "{}", kind.name);
        assert_eq!(sabot_toxics::kind(kind.name), Some(kind));
    }
}

#[test]
fn every_kind_and_attribute_is_described() {
    for kind in kinds() {
        let summary = kind.summary();
        assert!(summary.ends_with('.') && summary.len() < 100, "{}: {summary}", kind.name);
        assert_eq!(kind.schema()["additionalProperties"], json!(false), "{}", kind.name);
        for (name, property) in kind.schema()["properties"].as_object().into_iter().flatten() {
            let description = property["description"].as_str().unwrap_or_default();
            assert!(description.len() > 5, "{}.{name} has no description", kind.name);
            assert!(property.get("default").is_some(), "{}.{name} shows no default", kind.name);
        }
    }
}

#[test]
fn defaults_are_valid_and_complete() {
    for kind in kinds() {
        let defaults = kind.parse(&Map::new()).unwrap().attributes();
        assert_eq!(
            defaults.keys().map(String::as_str).collect::<Vec<_>>(),
            kind.attributes(),
            "{}",
            kind.name
        );
        for (name, value) in &defaults {
            assert_eq!(&kind.schema()["properties"][name]["default"], value, "{}.{name}", kind.name);
        }
    }
}

#[test]
fn classic_attributes_are_attributes() {
    for kind in kinds() {
        for name in kind.classic.unwrap_or_default() {
            assert!(kind.attributes().contains(name), "{}.{name}", kind.name);
        }
    }
}

#[test]
fn classic_attributes_are_whole_numbers_on_the_wire() {
    for kind in kinds().iter().filter(|kind| kind.classic.is_some() && kind.name != "packet_loss") {
        let attributes = kind.parse(&Map::new()).unwrap().attributes();
        // The kinds for HTTP have texts and maps too.
        for name in kind.classic.unwrap_or_default().iter().filter(|name| attributes[**name].is_number()) {
            assert!(attributes[*name].is_i64() || attributes[*name].is_u64(), "{}.{name}", kind.name);
        }
    }
}

#[test]
fn settings_survive_a_round_trip() {
    for kind in kinds() {
        for seed in 0..50 {
            let mut draws = Seed::new(seed).at(0);
            let given = sample::attributes(kind, &mut draws);
            let complete = kind.parse(&given).unwrap().attributes();
            for (name, value) in &given {
                let same = complete[name] == *value || complete[name].as_f64() == value.as_f64();
                assert!(same, "{}.{name}: {value} became {}", kind.name, complete[name]);
            }
            assert_eq!(kind.parse(&complete).unwrap().attributes(), complete);

            let spec = toxic(kind.name, Value::Object(given));
            let text = serde_json::to_string(&spec).unwrap();
            assert_eq!(serde_json::from_str::<ToxicSpec>(&text).unwrap(), spec);
        }
    }
}

#[test]
fn what_cannot_be_is_refused_by_name() {
    for kind in kinds() {
        for name in kind.attributes() {
            let property = &kind.schema()["properties"][name];
            let mut wrong = vec![json!([true])];
            if property["type"] != "object" {
                wrong.push(json!({}));
            }
            for (bound, step) in [("minimum", -1.0), ("maximum", 1.0)] {
                wrong.extend(property[bound].as_f64().map(|bound| json!(bound + step)));
            }
            if property["x-unit"].is_string() {
                wrong.push(json!("5 parsecs"));
            }
            for value in wrong {
                let map = Map::from_iter([(name.to_owned(), value.clone())]);
                let refusal =
                    kind.parse(&map).err().unwrap_or_else(|| panic!("{}.{name} took {value}", kind.name));
                assert_eq!(refusal.field, name, "{}: {refusal}", kind.name);
            }
        }
        let unknown = Map::from_iter([("nonsense".to_owned(), json!(1))]);
        let refusal = kind.parse(&unknown).err().unwrap();
        assert_eq!(refusal.field, "nonsense");
    }
}

#[test]
fn refusals_say_what_is_meant() {
    let refused = |kind: &str, attributes: Value| {
        let spec = json!({"type": kind, "attributes": attributes});
        serde_json::from_value::<ToxicSpec>(spec).unwrap_err().to_string()
    };
    assert_eq!(
        refused("latency", json!({"latncy": 5})),
        "attributes.latncy: unknown attribute of latency, did you mean `latency`?"
    );
    assert_eq!(refused("bandwidth", json!({"rate": -1})), "attributes.rate: must not be negative, 0 stalls");
    let slicer = refused("slicer", json!({"average_size": 10, "size_variation": 11}));
    assert!(slicer.starts_with("attributes.size_variation: must not exceed average_size (10)"), "{slicer}");
    assert!(refused("latnecy", json!({})).contains("did you mean `latency`?"));
    assert!(refused("slow_read", json!({"bytes": 0})).starts_with("attributes.bytes: must be at least 1"));
}

#[test]
fn changes_keep_what_they_do_not_name() {
    let old = json!({
        "set": {"x-a": "1", "x-b": "2"},
        "match": {
            "method": "POST",
            "path": {"prefix": "/api/"},
            "query": {"id": "7"},
            "headers": {"x-user": "7", "x-team": {"glob": "a*"}},
        },
    });
    let headers = |headers: Value| json!({"headers": headers});
    let (user, team) = (json!("7"), json!({"glob": "a*"}));
    for (change, field, expected) in [
        (json!({"match": headers(json!({"x-user": 8}))}), "headers", json!({"x-user": "8", "x-team": team})),
        (
            json!({"match": headers(json!({"X-User": "8"}))}),
            "headers",
            json!({"x-user": "8", "x-team": team}),
        ),
        (json!({"match": headers(json!({"X-Team": null}))}), "headers", json!({"x-user": user})),
        (json!({"match": {"headers": null}}), "headers", Value::Null),
        (json!({"match": {"path": {"glob": "/a*"}}}), "path", json!({"glob": "/a*"})),
        (json!({"match": {"path": "/a"}}), "path", json!("/a")),
        (json!({"match": {"path": null}}), "path", Value::Null),
        (json!({"match": {"method": ["GET"]}}), "method", json!(["GET"])),
        (json!({"match": {"query": {"ID": "8"}}}), "query", json!({"id": "7", "ID": "8"})),
        (json!({"match": {"grpc_method": "Get"}}), "grpc_method", json!("Get")),
    ] {
        let before = toxic("http_headers", old.clone());
        let after = before.with_attributes(change.as_object().unwrap()).unwrap();
        let mut expected_all = before.attributes.clone();
        match expected {
            Value::Null => drop(expected_all["match"].as_object_mut().unwrap().shift_remove(field)),
            value => expected_all["match"][field] = value,
        }
        assert_eq!(after.attributes, expected_all, "{change}");
    }
    let before = toxic("http_headers", old);
    let change = json!({"set": {"X-A": null, "x-c": "3"}, "match": null});
    let after = before.with_attributes(change.as_object().unwrap()).unwrap();
    assert_eq!(after.attributes["set"], json!({"x-b": "2", "x-c": "3"}));
    assert_eq!(after.attributes["match"], json!({}));
    // A value that is any JSON is one value: `null` means something in it.
    let before = toxic("http_body", json!({"merge": {"a": 1, "b": {"c": 2}}}));
    let change = json!({"merge": {"b": {"d": null}}});
    let after = before.with_attributes(change.as_object().unwrap()).unwrap();
    assert_eq!(after.attributes["merge"], change["merge"]);
    let refused = before.with_attributes(json!({"match": {"pth": 1}}).as_object().unwrap()).unwrap_err();
    assert_eq!(refused.field, "attributes.match.pth");
}

#[test]
fn a_name_cannot_redraw_a_terminal() {
    let error = serde_json::from_value::<ToxicSpec>(json!({"type": "noop", "name": "a\u{1b}[2J"}));
    assert!(error.unwrap_err().to_string().contains("name: must not hold control characters"));
}

#[test]
fn the_connect_phase_does_what_it_says() {
    let connect = |specs: &[(&str, Value)], live: usize| -> ConnectPlan {
        let entries = specs.iter().enumerate().map(|(id, (kind, attributes))| {
            Entry::new(toxic(kind, attributes.clone()), id as u64, Time::ZERO, 1).unwrap().into()
        });
        Plan::new(entries.collect()).connect(&key(1), live, Time::ZERO, |_| ())
    };
    let ms = std::time::Duration::from_millis;

    assert_eq!(connect(&[], 0), ConnectPlan::default());
    assert!(connect(&[("refuse", json!({}))], 0).refuse);
    assert!(!connect(&[("max_connections", json!({"limit": 3}))], 2).refuse);
    assert!(connect(&[("max_connections", json!({"limit": 3}))], 3).refuse);
    assert!(connect(&[("max_connections", json!({"limit": 0}))], 0).refuse);

    let waits =
        connect(&[("accept_delay", json!({"delay": 20})), ("accept_delay", json!({"delay": "1s"}))], 0);
    assert_eq!(waits.accept_delay, ms(1020));
    let delay = |ms: u64| ("connect_delay", json!({"delay": ms}));
    let timeout = |ms: u64| ("connect_timeout", json!({"timeout": ms}));
    assert_eq!(connect(&[delay(20), delay(30)], 0).dial, Dial::After(ms(50)));
    assert_eq!(connect(&[delay(20), timeout(70), timeout(90), delay(5)], 0).dial, Dial::Swallow(ms(70)));
    assert_eq!(connect(&[timeout(70), ("no_upstream", json!({})), timeout(5)], 0).dial, Dial::Nothing);
    assert_eq!(kind("connect_timeout").unwrap().phase, Phase::Connect);
}
