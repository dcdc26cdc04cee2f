use serde_json::json;

use super::*;

fn holds(tolerance: &Value, value: &Value) -> Result<bool, String> {
    let configuration = json!({"wanted": 200, "word": "fine", "key": "name"});
    let configuration = configuration.as_object().cloned().unwrap_or_default();
    let scope = Scope { configuration, ..Scope::default() };
    Tolerance::read(tolerance).map_err(|error| error.message)?.holds(value, &scope)
}

#[test]
fn each_type_says_yes_and_no() {
    let answer = |status: u16| json!({"status": status, "headers": {}, "body": "x"});
    let people = json!({"people": [{"name": "a", "age": 1}, {"name": "b", "age": 2}]});
    let path = |path: &str| json!({"type": "jsonpath", "path": path});
    for (tolerance, fine, wrong) in [
        (json!(200), answer(200), answer(201)),
        (json!(3), json!(3), json!(4)),
        (json!(1), json!(true), json!("1")),
        (json!(true), json!(true), json!(false)),
        (json!(true), json!(1), json!({"status": true})),
        (json!("fine"), json!("fine"), json!("fin")),
        (json!("${word}"), json!("fine"), json!("${word}")),
        (json!("${wanted}"), answer(200), answer(404)),
        (json!([200, 204]), answer(204), answer(202)),
        (json!([1, 3]), json!(2), json!(4)),
        (json!([1, 3]), json!(3.0), json!(3.01)),
        (json!(["a", "c"]), json!("b"), json!("d")),
        (json!([1, 2, 7]), json!(7), json!(3)),
        (json!({"type": "range", "range": [0.5, 2]}), json!(2), json!(0.4)),
        (
            json!({"type": "range", "range": [0.5, 2], "target": "body"}),
            json!({"body": " 1 "}),
            json!({"body": "3"}),
        ),
        (json!({"type": "regex", "pattern": "^ok$"}), json!("ok\n"), json!("ok\nbut")),
        (json!({"type": "regex", "pattern": "${word}"}), json!("it is fine"), json!("it is not")),
        (
            json!({"type": "regex", "pattern": "[0-9]+ ms", "target": "stdout"}),
            json!({"status": 0, "stdout": "took 12 ms"}),
            json!({"status": 0, "stdout": "took long"}),
        ),
        (path("$.people[*].name"), people.clone(), json!({"people": []})),
        (path("$.people[*][?(@.age = 2)]"), people.clone(), json!({"people": [{"age": 3}]})),
        (
            json!({"type": "jsonpath", "path": "$.people[*].${key}", "expect": ["a", "b"]}),
            people.clone(),
            json!({"people": [{"name": "b"}, {"name": "a"}]}),
        ),
        (
            json!({"type": "jsonpath", "path": "$.people[0].age", "expect": 1.0}),
            people.clone(),
            json!({"people": [{"age": 2}]}),
        ),
        (
            json!({"type": "jsonpath", "path": "$.people[*]", "count": 2, "target": "body"}),
            json!({"body": people.to_string()}),
            json!({"body": {"people": [1]}}),
        ),
    ] {
        assert_eq!(holds(&tolerance, &fine), Ok(true), "{tolerance} {fine}");
        assert_eq!(holds(&tolerance, &wrong), Ok(false), "{tolerance} {wrong}");
    }
}

#[test]
fn what_cannot_be_judged_says_why() {
    for (tolerance, value, told) in [
        (json!([1, 3]), json!("2"), "does not compare"),
        (json!({"type": "regex", "pattern": "a"}), json!(1), "no text"),
        (json!({"type": "regex", "pattern": "a", "target": "stdout"}), json!("a"), "has no `stdout`"),
        (json!({"type": "range", "range": [1, 2]}), json!("many"), "is no number"),
    ] {
        let error = holds(&tolerance, &value).unwrap_err();
        assert!(error.contains(told), "{error}");
    }
}

#[test]
fn what_is_no_tolerance_is_refused_by_field() {
    for (tolerance, field, told) in [
        (json!(1.5), "", "range of two"),
        (json!(null), "", "a whole number"),
        (json!({"range": [1, 2]}), "type", "is missing"),
        (json!({"type": "rang"}), "type", "known are"),
        (json!({"type": "regex"}), "pattern", "is missing"),
        (json!({"type": "regex", "pattern": "(?=a)"}), "pattern", "look-around"),
        (json!({"type": "regex", "pattern": 1}), "pattern", "must be text"),
        (json!({"type": "jsonpath", "path": "people["}), "path", "no JSON path"),
        (json!({"type": "jsonpath", "path": "$.a", "count": "1"}), "count", "whole number"),
        (json!({"type": "range"}), "range", "is missing"),
        (json!({"type": "range", "range": [1]}), "range", "two numbers"),
        (json!({"type": "range", "range": [1, "2"]}), "range", "two numbers"),
        (json!({"type": "probe"}), "provider", "is missing"),
    ] {
        let error = Tolerance::read(&tolerance).unwrap_err();
        assert_eq!(error.field, field, "{tolerance}");
        assert!(error.message.contains(told), "{}", error.message);
    }
}
