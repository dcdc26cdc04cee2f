//! What happens at the gate: refusals, their limit, their audit, and what passes.

use std::io::{Read as _, Write as _};

use sabot_admin_api::ApiOptions;
use sabot_injections::access::role::Role;
use sabot_injections::event::{Actor, Event};
use sabot_injections::journal::Filter;
use serde_json::json;

use super::{Guarded, address, from, injection, passed};
use crate::api::{Api, read_answer};

#[test]
fn a_token_is_taken_as_bearer_and_as_password() {
    let guarded = Guarded::start();
    let token = guarded.token(Role::Viewer, "");
    let basic = |text: String| format!("Basic {}", base64(text.as_bytes()));
    for (credentials, status) in [
        (format!("Bearer {token}"), 200),
        (basic(format!("sabot:{token}")), 200),
        (basic(format!(":{token}")), 200),
        (basic(token.clone()), 401),
        (basic(format!("{token}:")), 401),
        (token.clone(), 401),
        (format!("Bearer {token}x"), 401),
    ] {
        let answer = guarded.ask_from(address(1), "GET /proxies", Some(&credentials), "");
        assert_eq!(answer.status, status, "{}", answer.body);
        assert!(!answer.body.contains(&token[6..]), "{}", answer.body);
    }
    let mut socket = guarded.connect_from(address(2));
    socket.write_all(&guarded.request("HEAD /proxies", None, "", "close")).unwrap();
    let mut head = String::new();
    socket.read_to_string(&mut head).unwrap();
    assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    // What is there is nobody's business without a token, and neither is what is not.
    assert_eq!(guarded.ask("GET /nothing", None, "").status, 401);
    assert_eq!(guarded.ask("GET /nothing", Some(&token), "").status, 404);
    assert_eq!(guarded.ask("PUT /proxies", Some(&token), "").status, 403);
    assert_eq!(guarded.ask("PUT /proxies", Some(&guarded.admin), "").status, 405);
}

/// The alphabet is that of RFC 4648.
fn base64(bytes: &[u8]) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |part: &[u8]| {
        let number =
            part.iter().chain([0, 0].iter()).take(3).fold(0_usize, |all, byte| all << 8 | usize::from(*byte));
        let letter = |place: usize| char::from(LETTERS[number >> (18 - 6 * place) & 63]);
        (0..=part.len()).map(letter).chain("==".chars().take(3 - part.len())).collect::<String>()
    };
    bytes.chunks(3).map(group).collect()
}

#[test]
fn whoever_fails_too_often_is_told_to_wait_and_good_tokens_pass() {
    let guarded = Guarded::start();
    let ask = |from, credentials| guarded.ask_from(address(from), "GET /proxies", credentials, "");
    // One more is let in every six seconds, should this take long.
    let mut answers = (0..100).map(|_| ask(1, Some("Bearer sabot_guess")));
    let before = answers.by_ref().take(10).map(|answer| answer.status).collect::<Vec<_>>();
    assert_eq!(before, [401; 10]);
    let answer = answers.find(|answer| answer.status != 401).unwrap();
    assert_eq!(answer.status, 429, "{}", answer.body);
    let wait: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=6).contains(&wait), "{wait}");
    assert_eq!(ask(2, Some("Bearer sabot_guess")).status, 401);
    let good = format!("Bearer {}", guarded.admin);
    assert_eq!(ask(1, Some(&good)).status, 200);
}

#[test]
fn what_was_revoked_stops_at_once_also_on_an_open_connection() {
    let guarded = Guarded::start();
    let (token, secret) = guarded.created(Role::Viewer, "", None);
    let credentials = format!("Bearer {secret}");
    let request = guarded.request("GET /proxies", Some(&credentials), "", "keep-alive");
    let mut socket = guarded.connect_from(address(1));
    socket.write_all(&request).unwrap();
    assert_eq!(read_answer(&mut socket).status, 200);
    // By another handle of the file, as another process has it.
    let other = sabot_injections::access::Access::open(guarded.folder.path()).unwrap();
    other.revoke(&Actor::new("ann", "local"), &token.id).unwrap();
    socket.write_all(&request).unwrap();
    assert_eq!(read_answer(&mut socket).status, 401);
}

#[test]
fn an_event_stream_ends_with_its_token() {
    let guarded = Guarded::start();
    let (token, secret) = guarded.created(Role::Viewer, "", None);
    let open = |path: &str, secret: &str| {
        let mut socket = guarded.connect_from(address(1));
        let credentials = format!("Bearer {secret}");
        let request = guarded.request(&format!("GET {path}"), Some(&credentials), "", "close");
        socket.write_all(&request).unwrap();
        let mut head = [0; 12];
        socket.read_exact(&mut head).unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
        socket
    };
    let theirs = ["/injections/events", "/v1/proxies/ledger/events"].map(|path| open(path, &secret));
    let mut other = open("/injections/events", &guarded.admin);
    guarded.access.revoke(&Actor::new("ann", "local"), &token.id).unwrap();
    for mut socket in theirs {
        socket.read_to_end(&mut Vec::new()).unwrap();
    }
    guarded.inject("ledger");
    let (mut seen, mut room) = (String::new(), [0; 4096]);
    while !seen.contains("injection.started") {
        let count = other.read(&mut room).unwrap();
        assert!(count > 0, "{seen}");
        seen.push_str(&String::from_utf8_lossy(&room[..count]));
    }
}

#[test]
fn refusals_are_audited_with_who_and_whence() {
    let guarded = Guarded::start();
    let viewer = guarded.token(Role::Viewer, "");
    let scoped = guarded.token(Role::Operator, "team=payments");
    let ask = |line, token: Option<&str>| guarded.ask(line, token, "").status;
    assert_eq!(ask("GET /proxies?token=x", None), 401);
    assert_eq!(ask("POST /reset", Some(&viewer)), 403);
    assert_eq!(ask("DELETE /proxies/ledger", Some(&scoped)), 403);
    let found: Vec<_> = guarded
        .refusals(3)
        .into_iter()
        .map(|stored| {
            assert!(from(&stored).is_some_and(|it| it.is_loopback()));
            match stored.event {
                Event::Refused { what, reason } => (stored.actor.who, what, reason),
                other => panic!("{other:?}"),
            }
        })
        .collect();
    let told = [
        ("unknown", "GET /proxies", "a token is needed"),
        ("viewer@example.com", "POST /reset", "this takes the role operator"),
        ("operator@example.com", "DELETE /proxies/ledger", "this token is for team=payments alone"),
    ];
    for ((who, what, reason), expected) in found.iter().zip(told) {
        assert_eq!((who.as_str(), what.as_str()), (expected.0, expected.1));
        assert!(reason.starts_with(expected.2), "{reason}");
    }
    assert_eq!(guarded.api.wait_for(async { guarded.engine.verify() }).unwrap().events as usize, {
        guarded.engine.audit(&Filter::default()).unwrap().len()
    });
}

#[test]
fn many_refusals_make_few_events_and_hold_no_token() {
    let guarded = Guarded::start();
    for number in 0..200 {
        let guess = format!("Bearer sabot_guess{number:033}");
        let answer = guarded.ask_from(address(9), "GET /proxies", Some(&guess), "");
        assert!(!passed(&answer) && !answer.body.contains("guess"), "{}", answer.body);
    }
    // One at once, and the others together when a second is over.
    let found = guarded.refusals(2);
    let told = serde_json::to_string(&found).unwrap();
    assert!(told.contains(" more within 1 s that are not listed"), "{told}");
    let all = serde_json::to_string(&guarded.engine.audit(&Filter::default()).unwrap()).unwrap();
    assert!(!all.contains("guess") && !all.contains(&guarded.admin[6..]), "{all}");
}

#[test]
fn an_admin_makes_tokens_and_is_told_each_once() {
    let guarded = Guarded::start();
    let admin = Some(guarded.admin.as_str());
    let body = json!({"owner": "bob@example.com", "role": "operator", "scope": "team=payments", "expires_in_seconds": 60});
    let answer = guarded.ask("POST /v1/tokens", admin, &body.to_string());
    assert_eq!(answer.status, 201, "{}", answer.body);
    assert_eq!(answer.header("cache-control"), Some("no-store"));
    let made = answer.json();
    let (id, token) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap());
    assert_eq!(answer.header("location"), Some(&*format!("/v1/tokens/{id}")));
    assert_eq!(
        (&made["owner"], &made["role"], &made["scope"]),
        (&body["owner"], &body["role"], &body["scope"])
    );
    assert_eq!(guarded.ask("GET /proxies", Some(token), "").status, 200);

    let listed = guarded.ask("GET /v1/tokens", admin, "");
    assert!(!listed.body.contains(&token[6..]), "{}", listed.body);
    let found =
        listed.json()["tokens"].as_array().unwrap().iter().find(|it| it["id"] == id).cloned().unwrap();
    assert_eq!((&found["expired"], &found["expires_at"]), (&json!(false), &made["expires_at"]));

    assert_eq!(guarded.ask(&format!("DELETE /v1/tokens/{id}"), admin, "").status, 204);
    assert_eq!(guarded.ask("GET /proxies", Some(token), "").status, 401);
    assert_eq!(guarded.ask(&format!("DELETE /v1/tokens/{id}"), admin, "").status, 404);
    let events = guarded.engine.audit(&Filter { subject: Some(id.to_owned()), ..Filter::default() }).unwrap();
    let who: Vec<_> = events.iter().map(|stored| stored.actor.who.as_str()).collect();
    assert_eq!(who, ["admin@example.com"; 2]);

    for (body, field) in [
        (json!({"role": "viewer"}), "owner"),
        (json!({"owner": "", "role": "viewer"}), "owner"),
        (json!({"owner": "bob", "role": "operater"}), "role"),
        (json!({"owner": "bob", "role": "viewer", "scope": "a b"}), "scope"),
        (json!({"owner": "bob", "role": "viewer", "expires_in_seconds": 0}), "expires_in_seconds"),
        (json!({"owner": "bob", "role": "viewer", "scoop": "a"}), "scoop"),
    ] {
        let answer = guarded.ask("POST /v1/tokens", admin, &body.to_string());
        assert_eq!((answer.status, answer.json()["field"].as_str()), (400, Some(field)), "{}", answer.body);
    }
}

#[test]
fn a_scoped_operator_makes_proxies_of_its_scope_only() {
    let guarded = Guarded::start();
    let token = guarded.token(Role::Operator, "team=payments");
    let named = |name: &str, team: &str| {
        json!({"name": name, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "labels": {"team": team}})
            .to_string()
    };
    let ask = |line: &str, body: &str| guarded.ask(line, Some(&token), body);
    assert_eq!(ask("POST /v1/proxies", &named("a", "payments")).status, 201);
    let refused = ask("POST /v1/proxies", &named("b", "ledger"));
    assert_eq!(refused.status, 403);
    assert!(refused.body.contains("the proxy b has team=ledger"), "{}", refused.body);
    assert_eq!(ask("POST /v1/proxies", r#"{"name":"b","upstream":"127.0.0.1:9"}"#).status, 403);
    assert_eq!(ask("PATCH /v1/proxies/a", r#"{"labels":{"team":"ledger"}}"#).status, 403);
    assert_eq!(ask("PATCH /v1/proxies/a", r#"{"labels":{"team":"payments","x":"y"}}"#).status, 200);
    assert_eq!(ask("POST /proxies/a/toxics", r#"{"type":"latency"}"#).status, 200);
    assert_eq!(ask("POST /proxies/ledger/toxics", r#"{"type":"latency"}"#).status, 403);
    // Toxiproxy's own has no labels: a scope that this meets is enough for one.
    let other = guarded.token(Role::Operator, "team!=ledger");
    let body = r#"{"name":"c","listen":"127.0.0.1:0","upstream":"127.0.0.1:9"}"#;
    assert_eq!(ask("POST /proxies", body).status, 403);
    assert_eq!(guarded.ask("POST /proxies", Some(&other), body).status, 201);
    assert_eq!(guarded.ask("POST /populate", Some(&other), "[]").status, 403);
    assert_eq!(guarded.ask("DELETE /proxies/ledger", Some(&guarded.admin), "").status, 204);
    assert_eq!(guarded.ask("POST /populate", Some(&other), "[]").status, 201);
    assert_eq!(guarded.ask("POST /reset", Some(&other), "").status, 204);
}

#[test]
fn an_injection_is_the_tokens_owners_and_keeps_to_its_scope() {
    let guarded = Guarded::start();
    let scoped = guarded.token(Role::Operator, "team=payments");
    let ask = |line: &str, token: &str, body: &str| guarded.ask(line, Some(token), body);
    let refused = ask("POST /injections", &scoped, &injection("ledger").to_string());
    assert_eq!(refused.status, 403, "{}", refused.body);
    let made = ask("POST /injections", &scoped, &injection("payments").to_string());
    assert_eq!(made.status, 201, "{}", made.body);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    let running = |id: &str| !guarded.engine.injection(id).unwrap().state.is_over();
    assert_eq!(guarded.engine.injection(&id).unwrap().requested_by.who, "operator@example.com");

    let other = guarded.inject("ledger");
    assert_eq!(ask(&format!("DELETE /injections/{other}"), &scoped, "").status, 403);
    assert_eq!(ask("POST /injections/halt", &scoped, "").status, 200);
    assert!(!running(&id) && running(&other));
    assert_eq!(guarded.engine.injection(&id).unwrap().ended_by.unwrap().who, "operator@example.com");
    assert_eq!(ask("POST /injections/halt", &guarded.admin, "").status, 200);
    assert!(!running(&other));
}

#[test]
fn who_approves_is_whom_the_token_names_whatever_is_said() {
    let guarded = Guarded::start();
    let body = json!({"name": "live", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "labels": {"team": "live", "env": "production"}});
    assert_eq!(guarded.ask("POST /v1/proxies", Some(&guarded.admin), &body.to_string()).status, 201);
    let made = guarded.ask("POST /injections", Some(&guarded.admin), &injection("live").to_string());
    assert_eq!(made.status, 202, "{}", made.body);
    let line = format!("POST /injections/{}/approve", made.json()["id"].as_str().unwrap());
    let said = r#"{"approver": "carol@example.com"}"#;
    // The admin has asked for it: naming somebody else makes no second person.
    assert_eq!(guarded.ask(&line, Some(&guarded.admin), said).status, 400);
    let own = guarded.ask(&line, Some(&guarded.admin), "");
    assert_eq!(own.status, 403);
    let told = "a second person has to approve it, with a token of their own";
    assert!(own.body.contains(told), "{}", own.body);
    let operator = guarded.token(Role::Operator, "");
    assert_eq!(guarded.ask(&line, Some(&operator), said).status, 403);
    let approver = guarded.token(Role::Approver, "");
    let answer = guarded.ask(&line, Some(&approver), "");
    assert_eq!(answer.status, 200, "{}", answer.body);
    let id = answer.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(guarded.engine.injection(&id).unwrap().approved_by.unwrap().who, "approver@example.com");
}

#[test]
fn what_takes_two_is_not_to_be_had_by_one_who_sets_toxics_or_labels() {
    let guarded = Guarded::start();
    let (operator, admin) = (guarded.token(Role::Operator, ""), guarded.admin.as_str());
    let body = json!({"name": "live", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "labels": {"env": "production"}});
    let ask = |token: &str, line: &str, body: &str| guarded.ask(line, Some(token), body);
    assert_eq!(ask(&operator, "POST /v1/proxies", &body.to_string()).status, 201);
    assert_eq!(ask(admin, "POST /proxies/live/toxics", r#"{"type":"latency","name":"slow"}"#).status, 200);
    assert_eq!(
        ask(admin, "POST /v1/proxies/live/toxics", r#"{"type":"latency","name":"other"}"#).status,
        201
    );
    for (line, body) in [
        ("POST /proxies/live", r#"{"enabled":false}"#),
        ("POST /proxies/live/toxics", r#"{"type":"latency"}"#),
        ("POST /v1/proxies/live/toxics", r#"{"type":"latency"}"#),
        ("PATCH /v1/proxies/live/toxics/slow", r#"{"attributes":{"latency":5}}"#),
        ("PATCH /v1/proxies/live", r#"{"labels":{}}"#),
        ("DELETE /v1/proxies/live/connections/1", ""),
        ("DELETE /proxies/live", ""),
        ("POST /populate", "[]"),
    ] {
        let refused = ask(&operator, line, body);
        assert_eq!(refused.status, 403, "{line}: {}", refused.body);
        assert!(refused.body.contains("live has env=production"), "{line}: {}", refused.body);
    }
    // Whoever may break nothing there may mend it.
    assert_eq!(ask(&operator, "DELETE /proxies/live/toxics/slow", "").status, 204);
    assert_eq!(ask(&operator, "DELETE /v1/proxies/live/toxics/other", "").status, 204);
    assert_eq!(ask(&operator, "POST /reset", "").status, 204);
    assert_eq!(ask(&operator, "POST /proxies/ledger/toxics", r#"{"type":"latency"}"#).status, 200);
}

#[test]
fn a_schedule_ends_with_the_tokens_of_whoever_added_it() {
    let guarded = Guarded::start();
    let (token, secret) = guarded.created(Role::Operator, "team=payments", None);
    // Another one of theirs, which is for less.
    guarded.created(Role::Operator, "team=ledger", None);
    let body = json!({"name": "often", "when": "@every 1s", "injection": injection("payments")});
    let added = guarded.ask("POST /v1/schedules", Some(&secret), &body.to_string());
    assert_eq!(added.status, 201, "{}", added.body);
    let of = |action: &str| Filter { action: Some(action.to_owned()), ..Filter::default() };
    assert_eq!(guarded.until(&of("injection.started"), 1)[0].actor.who, token.owner);
    guarded.access.revoke(&Actor::new("ann", "local"), &token.id).unwrap();
    assert_eq!(guarded.ask("POST /injections/halt", Some(&guarded.admin), "").status, 200);
    let skipped = || {
        let all = guarded.engine.audit(&of("schedule.skipped")).unwrap();
        all.iter().any(
            |it| matches!(&it.event, Event::ScheduleSkipped { reason, .. } if reason.contains("no token")),
        )
    };
    let start = std::time::Instant::now();
    while !skipped() {
        assert!(start.elapsed() < std::time::Duration::from_secs(20), "it goes on");
        std::thread::yield_now();
    }
}

#[test]
fn what_waited_does_not_begin_for_one_whose_token_was_revoked() {
    let guarded = Guarded::start();
    let first = guarded.inject("payments");
    let (token, secret) = guarded.created(Role::Operator, "team=payments", None);
    let queued = {
        let mut body = injection("payments");
        body["queue"] = json!(true);
        let waits = guarded.ask("POST /injections", Some(&secret), &body.to_string());
        assert_eq!(waits.status, 202, "{}", waits.body);
        waits.json()["id"].as_str().unwrap().to_owned()
    };
    guarded.access.revoke(&Actor::new("ann", "local"), &token.id).unwrap();
    guarded.ask(&format!("DELETE /injections/{first}"), Some(&guarded.admin), "");
    let ended =
        Filter { subject: Some(queued), action: Some("injection.ended".to_owned()), ..Filter::default() };
    let over = &guarded.until(&ended, 1)[0].event;
    assert!(matches!(over, Event::Ended { reason, .. } if reason.contains("no token")), "{over:?}");
}

#[test]
fn a_halt_says_what_it_may_not_touch() {
    let guarded = Guarded::start();
    let (scoped, other) = (guarded.token(Role::Operator, "team=payments"), guarded.inject("ledger"));
    let halted = guarded.ask("POST /injections/halt", Some(&scoped), "");
    assert_eq!(halted.json(), json!({"reverted": [], "out_of_scope": 1}));
    let halted = guarded.ask("POST /injections/halt", Some(&guarded.admin), "");
    assert_eq!(halted.json(), json!({"reverted": [other], "out_of_scope": 0}));
}

#[test]
fn changes_are_audited_by_the_tokens_owner() {
    let guarded = Guarded::start();
    let (_, token) = guarded.created(Role::Operator, "", None);
    assert_eq!(guarded.ask("POST /reset", Some(&token), "").status, 204);
    let who = Some("operator@example.com".to_owned());
    let found = guarded.until(&Filter { who, ..Filter::default() }, 1);
    assert!(
        matches!(&found[0].event, Event::Changed { what, status: 204, .. } if what == "POST /reset"),
        "{found:?}"
    );
}

#[test]
fn without_tokens_everybody_may_and_none_are_made() {
    let api = Api::with(ApiOptions::default());
    assert_eq!(api.call("GET /proxies", "").status, 200);
    for line in ["GET /v1/tokens", "POST /v1/tokens", "DELETE /v1/tokens/x"] {
        let answer = api.call(line, r#"{"owner":"a","role":"viewer"}"#);
        assert_eq!(answer.status, 409, "{line}: {}", answer.body);
        assert!(answer.body.contains("--auth"), "{}", answer.body);
    }
}
