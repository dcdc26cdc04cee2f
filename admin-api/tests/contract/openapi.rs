//! The description: current, complete and sound.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::api::Api;

/// Rewrite it with `SABOT_BLESS=1`.
const GOLDEN: &str = "../docs/reference/openapi.json";

#[test]
fn the_committed_description_is_current() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(GOLDEN);
    let current = serde_json::to_string_pretty(&sabot_admin_api::openapi()).unwrap() + "\n";
    if std::env::var_os("SABOT_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &current).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == current, "docs/reference/openapi.json is stale: run this test with SABOT_BLESS=1");
}

#[test]
fn it_is_served() {
    let answer = Api::start().call("GET /v1/openapi.json", "");
    assert_eq!(answer.json(), sabot_admin_api::openapi());
    assert!(answer.json()["openapi"].as_str().unwrap().starts_with("3.1"));
}

#[test]
fn every_reference_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(target)) = map.get("$ref") {
                    found.insert(target.clone());
                }
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(items) => items.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = sabot_admin_api::openapi();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(found.len() > 20);
    for target in found {
        let pointer = target.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{target}");
    }
}

#[test]
fn every_operation_says_what_can_go_wrong() {
    let document = sabot_admin_api::openapi();
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let what = format!("{method} {path}");
            assert!(operation["summary"].is_string(), "{what} has no summary");
            let id = operation["operationId"].as_str().unwrap();
            assert!(ids.insert(id), "{what}: {id} is not unique");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("default") && responses.contains_key("403"), "{what}");
            assert!(responses.keys().any(|status| status.starts_with('2')), "{what}");
            assert!(!path.contains('{') || responses.contains_key("404"), "{what}");
            assert_eq!(operation.get("requestBody").is_some(), responses.contains_key("413"), "{what}");
            for (status, response) in responses.iter().filter(|(_, response)| response.get("$ref").is_none())
            {
                assert!(!response["description"].as_str().unwrap().is_empty(), "{what} {status}");
            }
        }
    }
}

#[test]
fn every_kind_of_toxic_is_in_it() {
    let document = sabot_admin_api::openapi();
    let mapping =
        document["components"]["schemas"]["NewToxic"]["discriminator"]["mapping"].as_object().unwrap();
    let kinds: Vec<_> = sabot_toxics::kinds().iter().map(|kind| kind.name).collect();
    assert_eq!(mapping.keys().collect::<Vec<_>>(), kinds);
}

#[test]
fn every_route_of_the_description_exists() {
    let api = Api::start();
    for (path, item) in sabot_admin_api::openapi()["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            let path = path.replace(['{', '}'], "");
            let answer = api.call(&format!("{} {path}", method.to_uppercase()), "");
            assert_ne!(answer.status, 405, "{method} {path}");
            assert!(!answer.body.contains("there is no /"), "{method} {path}");
        }
    }
}
