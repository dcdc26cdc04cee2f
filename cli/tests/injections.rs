//! Injections by the command line, against a real server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod support;

use std::io::BufRead;

use serde_json::json;
use support::{Server, echo};

/// A server with the proxies of a service, one of them in production.
fn with_shop(args: &[&str]) -> Server {
    let server = Server::start(args);
    let upstream = echo();
    for (name, label) in
        [("pay-1", "shard=south-1"), ("pay-2", "shard=south-2"), ("ledger", "env=production")]
    {
        let service = if name == "ledger" { "service=ledger" } else { "service=payments" };
        server.says(&[
            "create",
            "-l",
            "localhost:0",
            "-u",
            &upstream,
            "--label",
            service,
            "--label",
            label,
            name,
        ]);
    }
    server
}

/// The six parts, on one shard.
const INJECT: [&str; 21] = [
    "inject",
    "--service",
    "payments",
    "--selector",
    "shard=south-1",
    "--max-targets",
    "1",
    "--type",
    "latency",
    "-a",
    "p50_ms=200",
    "-a",
    "p99_ms=500",
    "--slo",
    "writes",
    "--min=0.9",
    "--abort-after=60s",
    "--hypothesis",
    "Writes survive",
    "--owner",
    "oncall@example.com",
];

fn inject(server: &Server, more: &[&str]) -> String {
    let injection = server.json(&[&INJECT, more].concat());
    injection["id"].as_str().unwrap().to_owned()
}

#[test]
fn an_injection_is_asked_for_shown_and_taken_back() {
    let server = with_shop(&[]);
    assert!(server.says(&["injections"]).contains("`sabot inject --help`"));
    let said = server.says(&[&INJECT[..], &["--duration", "4m"]].concat());
    assert!(said.contains("is running: latency (p50_ms=200 p99_ms=500) on pay-1, ends in"), "{said}");
    let id = said.split(' ').next().unwrap();
    let table = server.says(&["injections"]);
    assert!(table.starts_with("ID") && table.contains(id) && table.contains("oncall@example.com"), "{table}");
    let one = server.says(&["injections", id]);
    assert!(one.contains("writes ≥ 0.9, or aborted after 60 s") && one.contains("Writes survive"), "{one}");
    // Both see it: the proxy, and whoever wants the same.
    assert_eq!(server.says(&["list"]).matches(id).count(), 1, "once is enough");
    let table = server.says(&["inspect", "pay-1"]);
    assert!(table.contains("oncall@example.com") && table.matches(id).count() == 1, "{table}");
    let reset = server.says(&["reset"]);
    assert!(reset.contains("1 injected fault stays on; `sabot halt` ends it"), "{reset}");
    assert!(server.says(&["inspect", "pay-1"]).contains(id), "it is not for `reset` to end");
    let collides = server.refuses(&[&INJECT[..], &["--duration", "1s"]].concat());
    assert!(collides.contains(id) && collides.contains("`sabot revert ID` ends one; --queue"), "{collides}");

    let said = server.says(&["revert", id]);
    assert_eq!(said, format!("reverted {id}: latency (p50_ms=200 p99_ms=500) is off pay-1\n"));
    let again = server.refuses(&["revert", id]);
    assert!(again.contains("it is over already") && again.contains("`sabot injections ID`"), "{again}");
    assert!(server.refuses(&["revert", "inj-none"]).contains("`sabot injections` shows"));
    assert_eq!(server.says(&["halt"]), "nothing was on\n");
    assert_eq!(server.says(&["reset"]), "every proxy is enabled and without toxics\n");
    let two = [inject(&server, &["--duration=60s"]), inject(&server, &["--duration=60s", "--queue"])];
    let listed = server.says(&["injections", "--limit=2"]);
    assert!(listed.ends_with("… and 1 more: --limit shows them\n"), "{listed}");
    let said = server.says(&["halt"]);
    assert!(said.starts_with("reverted 2 injections: ") && two.iter().all(|id| said.contains(id)), "{said}");
}

#[test]
fn it_is_followed_until_it_is_over() {
    let server = with_shop(&[]);
    let said = server.says(&[&INJECT[..], &["--duration=2s", "--wait"]].concat());
    assert!(said.contains("is running") && said.ends_with("is completed: its time was up\n"), "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    // A lease that is renewed outlasts itself.
    let leased = server.json(&[&INJECT[..], &["--duration=6s", "--lease=5s", "--wait"]].concat());
    assert_eq!(leased["state"], "completed", "{leased}");

    let mut waiting = server.spawn(&[&INJECT[..], &["--duration=60s", "--wait"]].concat());
    let mut lines = std::io::BufReader::new(waiting.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    let id = first.split(' ').next().unwrap();
    assert!(first.contains("is running"), "{first}");
    let mut watching = server.spawn(&["injections", id, "--watch"]);
    let mut seen = std::io::BufReader::new(watching.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(seen.next().unwrap().contains(&format!("{id} is running")));
    server.says(&["halt"]);
    assert_eq!(waiting.wait().unwrap().code(), Some(1));
    assert!(seen.next().unwrap().contains(&format!("{id} is reverted: halted by")));
    assert!(watching.wait().unwrap().success());
}

#[test]
fn what_is_missing_is_said_with_why() {
    let server = with_shop(&[]);
    let refusal = server.refuses(&["inject", "-t", "latency"]);
    assert!(
        refusal.contains("nothing bounds the damage") && refusal.contains("hypothesis is missing"),
        "{refusal}"
    );
    assert!(refusal.contains("`sabot inject --help`"), "{refusal}");
    let refusal = server.refuses(&[&INJECT[..], &["-d", "1s", "-a", "p50=1"]].concat());
    assert!(refusal.contains("fault.p50") && refusal.contains("`sabot kinds latency`"), "{refusal}");
    let mut slip: Vec<_> = [&INJECT[..], &["-d", "1s"]].concat();
    let service = slip.iter_mut().skip_while(|it| **it != "--service").nth(1).unwrap();
    *service = "paymnts";
    let refusal = server.refuses(&slip);
    assert!(refusal.contains("did you mean `payments`?"), "{refusal}");
}

#[test]
fn a_second_person_approves() {
    let server = with_shop(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("ledger.yaml");
    let text = "target: {service: ledger, max_targets: 1}\nfault: {type: latency, p50_ms: 20}\n\
        duration_seconds: 60\nsteady_state: {slo: ok, min: 0.9, abort_after: 60}\n\
        hypothesis: Slow is fine\nowner: ann@example.com\n";
    std::fs::write(&file, text).unwrap();
    let file = file.to_str().unwrap();
    let said = server.says(&["inject", "--file", file]);
    assert!(said.contains("is pending: ledger has env=production"), "{said}");
    let id = said.split(' ').next().unwrap();
    assert!(server.refuses(&["approve", id]).contains("--as WHO"));
    let same = server.refuses(&["approve", id, "--as", "ann@example.com"]);
    assert!(same.contains("`sabot approve ID --as THEIR-NAME`"), "{same}");
    let said = server.says(&["approve", id, "--as", "bob@example.com"]);
    assert!(said.starts_with(&format!("approved; {id} is running")), "{said}");
}

#[test]
fn schedules_are_kept() {
    let server = with_shop(&[]);
    let parts = &INJECT[1..];
    assert!(server.says(&["schedule", "list"]).contains("no schedules"));
    let add =
        [&["schedule", "add", "nightly", "--when", "30 2 * * * Europe/Berlin", "-d", "1s"], parts].concat();
    assert!(server.says(&add).starts_with("added nightly: 30 2 * * * Europe/Berlin, next 20"));
    assert!(server.refuses(&add).contains("`sabot schedule remove NAME`"));
    let table = server.says(&["schedule", "ls"]);
    assert!(table.contains("nightly") && table.contains("latency") && table.contains("payments"), "{table}");
    assert_eq!(server.says(&["schedule", "remove", "nightly"]), "removed nightly\n");
    let elsewhere: Vec<_> = add.iter().map(|it| if *it == "payments" { "nosuch" } else { it }).collect();
    let said = server.says(&elsewhere);
    assert!(said.contains("added nightly") && said.contains("warning: it would be left out now"), "{said}");
    server.says(&["schedule", "remove", "nightly"]);
    let http: Vec<_> = add.iter().map(|it| if *it == "latency" { "refuse" } else { it }).collect();
    let refusal = server.refuses(&http);
    assert!(refusal.contains("`sabot kinds refuse`"), "{refusal}");
    assert!(server.refuses(&["schedule", "remove", "nightly"]).contains("`sabot schedule list`"));
}

#[test]
fn the_audit_says_who_did_what() {
    let server = with_shop(&[]);
    let id = inject(&server, &["--duration=60s"]);
    let actor = server.sabot(&["revert", &id]).env("SABOT_ACTOR", "bob@example.com").assert().success();
    drop(actor);
    let said = server.says(&["audit", "--subject", &id]);
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 3, "{said}");
    assert!(lines[0].contains("injection.requested") && lines[0].contains("“Writes survive”"), "{said}");
    assert!(
        lines[2].contains("injection.ended") && lines[2].contains("bob@example.com (127.0.0.1)"),
        "{said}"
    );

    let exported = server.says(&["audit", "--json-lines"]);
    let events: Vec<serde_json::Value> =
        exported.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let seqs: Vec<_> = events.iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert_eq!(seqs, (1..=seqs.len() as u64).collect::<Vec<_>>());
    assert_eq!(server.says(&["audit", "--json-lines", "--limit=2"]).lines().count(), 2);
    assert_eq!(
        server.json(&["audit", "--action=injection", "--limit=2"])["events"].as_array().unwrap().len(),
        2
    );

    let began = events.iter().find(|event| event["action"] == "injection.started").unwrap()["at"].as_str();
    let on = server.says(&["audit", "--at", began.unwrap()]);
    assert!(on.contains("1 injection was on") && on.contains(&id), "{on}");
    let before = server.says(&["audit", "--at", "2020-01-01T00:00:00Z"]);
    assert!(before.contains("no injection is known: the journal begins at 20"), "{before}");
    server.says(&["halt"]);
    server.says(&["toxic", "add", "-t", "latency", "-a", "latency=1ms", "pay-1"]);
    // It is noted after it was answered.
    let added = std::iter::repeat_with(|| server.json(&["audit", "--action=changed"])["events"].clone())
        .find_map(|noted| {
            Some(
                noted.as_array()?.iter().find(|it| it["what"] == "POST /v1/proxies/pay-1/toxics")?["at"]
                    .clone(),
            )
        })
        .unwrap();
    let later = server.says(&["audit", "--at", added.as_str().unwrap()]);
    assert!(later.contains("no injection was on\n"), "{later}");
    let ahead = server.refuses(&["audit", "--at", "2099-01-01T00:00:00Z"]);
    assert!(ahead.contains("lies in the future"), "{ahead}");
    assert!(later.contains("by hand:") && later.contains("/v1/proxies/pay-1/toxics"), "{later}");
    assert!(server.refuses(&["audit", "--at", "soon"]).contains("write it as 02:47"));
    let verified = server.says(&["audit", "verify"]);
    assert!(
        verified.starts_with("intact: ") && verified.contains("\nkept in memory, and gone"),
        "{verified}"
    );
    let verified = server.json(&["audit", "verify"]);
    assert_eq!((&verified["intact"], &verified["in_memory"]), (&json!(true), &json!(true)));
}

#[test]
fn what_is_empty_or_never_is_said_plainly() {
    let server = with_shop(&[]);
    for args in [
        &["revert", ""][..],
        &["injections", ""],
        &["approve", "", "--as", "bob"],
        &["schedule", "rm", ""],
        &["inspect", ""],
    ] {
        let refusal = server.refuses(args);
        assert!(refusal.contains("a name or an id that was given is empty"), "{args:?}: {refusal}");
    }
    let add = [&["schedule", "add", "leap", "--when", "0 0 31 2 *", "-d", "1s"], &INJECT[1..]].concat();
    let refusal = server.refuses(&add);
    assert!(refusal.contains("never comes") && !refusal.contains("toxic add"), "{refusal}");
}

#[test]
fn who_watches_is_told_that_the_server_is_gone() {
    let server = with_shop(&[]);
    let mut watching = server.spawn_piped(&["injections", "--watch"]);
    let id = inject(&server, &["--duration=60s"]);
    let mut seen = std::io::BufReader::new(watching.stdout.take().unwrap()).lines().map_while(Result::ok);
    assert!(seen.any(|line| line.contains(&id)));
    server.signal("-KILL");
    let output = watching.wait_with_output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("the connection was lost") && !said.contains("is it a Sabot server"), "{said}");
}

#[test]
fn every_command_can_say_who_asks() {
    let server = with_shop(&[]);
    let id = inject(&server, &["--duration=60s", "--actor", "Zoë"]);
    let said = server.says(&["--actor=bob@example.com", "revert", &id]);
    assert!(said.starts_with("reverted"), "{said}");
    inject(&server, &["--duration=60s"]);
    // The option says it louder than the environment.
    server.sabot(&["halt", "--actor", "cleo"]).env("SABOT_ACTOR", "dan").assert().success();
    let who = |action: &str| -> Vec<String> {
        let audit = server.json(&["audit", "--action", action]);
        let events = audit["events"].as_array().unwrap();
        events.iter().map(|event| event["who"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(who("injection.requested"), ["Zoë", "oncall@example.com"]);
    assert_eq!(who("injection.ended"), ["bob@example.com", "cleo"]);
    let add =
        [&["schedule", "add", "nightly", "--when", "@every 6h", "-d", "1s", "--actor=eve"], &INJECT[1..]];
    server.says(&add.concat());
    server.says(&["schedule", "remove", "nightly", "--actor=fay"]);
    assert_eq!([who("schedule.added"), who("schedule.removed")], [["eve"], ["fay"]]);
    for name in ["", "two\nlines"] {
        let refusal = server.refuses(&["halt", "--actor", name]);
        assert!(refusal.contains("must be a name or an address in one line"), "{refusal}");
    }
}

#[test]
fn a_changed_audit_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let server = with_shop(&["--state-dir", folder.path().to_str().unwrap()]);
    inject(&server, &["--duration=60s"]);
    let verified = server.says(&["audit", "verify"]);
    assert!(verified.starts_with("intact: ") && !verified.contains("in memory"), "{verified}");
    let db = folder.path().join(sabot_injections::journal::FILE);
    let changed = rusqlite::Connection::open(db).unwrap();
    changed.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    changed.execute("UPDATE events SET who = 'eve' WHERE seq = 2", []).unwrap();
    let told = server.refuses(&["audit", "verify"]);
    assert!(told.contains("changed or damaged at event 2"), "{told}");
}

#[test]
fn what_is_not_known_is_not_said_to_be_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let journal = folder.path().join(sabot_injections::journal::FILE);
    std::fs::write(journal, "this is no database, and long enough not to look like one").unwrap();
    let server = Server::start(&["--state-dir", folder.path().to_str().unwrap()]);
    let said = server.says(&["injections"]);
    assert!(said.contains("what was on before the server's start is not known"), "{said}");
    assert!(!said.contains("no injections"), "{said}");
    let told = server.refuses(&["halt"]);
    assert!(told.contains("is noted, so it does not come back"), "{told}");
    assert!(server.refuses(&["revert", "inj-1"]).contains("is not known"));
}

#[test]
fn what_a_webhook_was_not_told_before_the_end_stands_in_the_audit() {
    let folder = tempfile::tempdir().unwrap();
    // It takes connections, and answers none.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let hook = format!("http://{}/secret", silent.local_addr().unwrap());
    let config = folder.path().join("sabot.yaml");
    let yaml = format!("proxies: []\ninjections: {{webhooks: [{{url: \"{hook}\"}}]}}\n");
    std::fs::write(&config, yaml).unwrap();
    let args = ["--config", config.to_str().unwrap(), "--state-dir", folder.path().to_str().unwrap()];
    let server = with_shop(&args);
    let id = inject(&server, &["--duration=60s"]);
    server.says(&["revert", &id]);
    // The config is read again meanwhile: what was not told by the former one is not lost either.
    server.signal("-HUP");
    server.log("config");
    server.stop();
    let server = Server::start(&args);
    let noted = server.json(&["audit"])["events"].as_array().unwrap().clone();
    let at = noted.iter().position(|it| it["action"] == "webhook.failed").unwrap();
    assert_eq!(noted[at]["about"], id.as_str());
    assert_eq!(noted[at]["reason"], "the server stopped before it was told of 2 messages");
    assert!(noted[at + 1..].iter().any(|it| it["action"] == "server.stopped"), "{noted:?}");
    assert!(!noted[at].to_string().contains("secret"), "{noted:?}");
}

#[test]
fn limits_that_guard_nothing_are_told_to_whoever_injects() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("sabot.yaml");
    let yaml = "proxies: []\ninjections: {limits: {error_rate: 0.05, watch: tier=edgy}}\n";
    std::fs::write(&config, yaml).unwrap();
    let server = with_shop(&["--config", config.to_str().unwrap()]);
    let said = server.says(&[&INJECT[..], &["--duration", "4m"]].concat());
    let warning = "warning: the server's limits guard nothing: no HTTP proxy but its targets meets `limits.watch` \
                   (tier=edgy); correct it, or label a proxy so\n";
    assert!(said.ends_with(warning), "{said}");
    assert!(server.says(&["injections", said.split(' ').next().unwrap()]).ends_with(warning));
    server.signal("-HUP");
    server.log("the server's limits guard nothing: no HTTP proxy meets `limits.watch` (tier=edgy)");
}
