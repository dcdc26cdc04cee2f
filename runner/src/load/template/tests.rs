use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use sabot_toxics::{Invalid, Seed};
use serde_json::{Value, json};

use super::parse::words;
use super::{Escape, Scope, Values};
use crate::load::plan::Scalar;

fn with_scope<T>(call: impl FnOnce(&mut Scope<'_>) -> T) -> T {
    let vars = BTreeMap::from([("region".to_owned(), Scalar("eu west".to_owned()))]);
    let captured = BTreeSet::from(["token".to_owned()]);
    call(&mut Scope::new(&Seed::new(7), "test", &vars, &captured))
}

fn values(number: u64) -> Values<'static> {
    Values { number, tenant: "a\"b", captured: None }
}

fn text(template: &str, number: u64) -> String {
    with_scope(|scope| scope.read("path", template, Escape::None).unwrap().text(&values(number)))
}

fn refused(template: &str) -> Invalid {
    with_scope(|scope| scope.read("path", template, Escape::None).unwrap_err())
}

#[allow(clippy::needless_pass_by_value, reason = "values are written where they are passed")]
fn body(body: Value) -> String {
    with_scope(|scope| scope.body("body", &body).unwrap().text(&values(3)))
}

#[test]
fn each_function_gives_what_it_says() {
    for number in 0..200 {
        let int: i64 = text("{{int -3 4}}", number).parse().unwrap();
        assert!((-3..=4).contains(&int));
        let float: f64 = text("{{float 0.5 2}}", number).parse().unwrap();
        assert!((0.5..=2.0).contains(&float));
        assert!(["red", "blue"].contains(&text("{{choice red blue}}", number).as_str()));
        let rank: u32 = text("{{zipf 10 1.1}}", number).parse().unwrap();
        assert!((1..=10).contains(&rank));
        let hex = text("{{hex 16}}", number);
        assert!(hex.len() == 16 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{hex}");
        assert!(text("{{string 12}}", number).bytes().filter(u8::is_ascii_alphanumeric).count() == 12);
        let uuid = text("{{uuid}}", number);
        let groups: Vec<usize> = uuid.split('-').map(str::len).collect();
        assert_eq!(groups, [8, 4, 4, 4, 12], "{uuid}");
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]), "{uuid}");
    }
    assert_eq!(text("{{seq}}/{{tenant}}/{{region}}", 12), "12/a\"b/eu west");
    assert_eq!(text("{{env CARGO_PKG_NAME}}", 0), "sabot-runner");
}

#[test]
fn both_ends_of_a_range_are_met() {
    let met: BTreeSet<String> = (0..200).map(|number| text("{{int 1 3}}", number)).collect();
    assert_eq!(met.into_iter().collect::<Vec<_>>(), ["1", "2", "3"]);
    assert!(text("{{int -9223372036854775808 9223372036854775807}}", 1).parse::<i64>().is_ok());
}

#[test]
fn a_named_draw_stays_the_same_within_a_request() {
    let twice = text("{{uuid as key}} {{key}} {{uuid}}", 5);
    let parts: Vec<&str> = twice.split(' ').collect();
    assert_eq!(parts[0], parts[1]);
    assert_ne!(parts[0], parts[2]);
    assert_ne!(text("{{uuid as key}} {{key}}", 6), text("{{uuid as key}} {{key}}", 5));
}

#[test]
fn what_is_filled_in_stays_one_value() {
    let path = with_scope(|scope| scope.read("path", "/{{region}}/{{tenant}}", Escape::Path).unwrap());
    assert_eq!(path.text(&values(0)), "/eu%20west/a%22b");
    assert_eq!(
        body(json!({"who": "<{{tenant}}>", "n": "{{seq}}", "t": "\"", "l": [1, null, "{{int 5 5}}"]})),
        r#"{"who":"<a\"b>","n":3,"t":"\"","l":[1,null,5]}"#
    );
    assert_eq!(body(json!({"a": "{{region}}", "b": "n {{int 5 5}}"})), r#"{"a":"eu west","b":"n 5"}"#);
}

#[test]
fn captured_values_are_the_tenants() {
    let template = with_scope(|scope| scope.read("path", "Bearer {{token}}", Escape::None).unwrap());
    let captured = BTreeMap::from([("token".to_owned(), "abc".to_owned())]);
    assert_eq!(template.text(&Values { captured: Some(&captured), ..values(0) }), "Bearer abc");
    assert_eq!(template.text(&values(0)), "Bearer {{token}}");
}

#[test]
fn errors_name_what_was_meant() {
    for (template, says) in [
        ("{{uid}}", "did you mean `uuid`?"),
        ("{{tokn}}", "did you mean `token`?"),
        ("{{int 1}}", "it takes two numbers, not 1, as in {{int 1 1000}}"),
        ("{{int 5 1}}", "its range is empty"),
        ("{{int a b}}", "`a` is no number"),
        ("{{hex 0}}", "its length must lie between"),
        ("{{choice}}", "it needs words"),
        ("{{zipf 1.5 1}}", "it takes a count"),
        ("{{env SABOT_SURELY_NOT_SET}}", "the environment has no"),
        ("{{uuid as token}}", "has a meaning already"),
        ("{{ }}", "it is empty"),
        ("a {{int 1 2", "has no end"),
    ] {
        let error = refused(template);
        assert_eq!(error.field, "path");
        assert!(error.message.contains(says), "{template}: {}", error.message);
    }
    let inner = with_scope(|scope| scope.body("body", &json!({"a": ["{{uid}}"]})).unwrap_err());
    assert_eq!(inner.field, "body.a[0]");
}

#[test]
fn a_line_splits_outside_of_calls() {
    assert_eq!(
        words("SET  k:{{int 1 9}} {{string 3}} EX 5"),
        ["SET", "k:{{int 1 9}}", "{{string 3}}", "EX", "5"]
    );
    assert_eq!(words(""), Vec::<String>::new());
}

proptest! {
    #[test]
    fn text_without_calls_stays(text in "[^{}]{0,40}") {
        prop_assert_eq!(super::tests::text(&text, 0), text);
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,60}") {
        with_scope(|scope| { let _ = scope.read("path", &text, Escape::Path); });
    }

    #[test]
    fn json_bodies_stay_json(who in ".{0,20}", number: u64) {
        let body = json!({"who": format!("x{}", who.replace(['{', '}'], "")), "t": "{{tenant}}", "n": "{{int 1 9}}"});
        let text = with_scope(|scope| scope.body("body", &body).unwrap().text(&Values { tenant: &who, number, captured: None }));
        let read: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&read["t"], &Value::from(who.as_str()));
        prop_assert!(read["n"].is_i64());
    }
}
