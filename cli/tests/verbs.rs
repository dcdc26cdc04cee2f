//! The verbs of toxiproxy-cli and Sabot's own, against a real server.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::{Value, json};
use support::{Server, echo, sabot};

#[test]
fn a_proxy_lives_from_create_to_delete() {
    let server = Server::start(&[]);
    assert!(server.says(&["list"]).contains("no proxies yet"));
    let upstream = echo();
    let said = server.says(&["create", "-l", "localhost:0", "-u", &upstream, "redis"]);
    assert!(
        said.starts_with("created redis: 127.0.0.1:") && said.ends_with(&format!(" → {upstream}\n")),
        "{said}"
    );
    assert!(server.refuses(&["create", "-u", &upstream, "redis"]).contains("`sabot delete NAME`"));

    let list = server.json(&["ls"]);
    assert_eq!(list["proxies"][0]["name"], "redis");
    let listen = list["proxies"][0]["listen"].as_str().unwrap().to_owned();
    let table = server.says(&["l"]);
    assert!(table.contains("NAME") && table.contains(&listen) && table.contains("enabled"), "{table}");

    assert_eq!(server.says(&["toggle", "redis"]), "redis is now disabled\n");
    assert!(TcpStream::connect(&listen).is_err());
    assert_eq!(server.json(&["tog", "redis"])["enabled"], true);
    assert!(TcpStream::connect(&listen).is_ok());

    assert_eq!(server.says(&["delete", "redis"]), "deleted redis\n");
    let refusal = server.refuses(&["inspect", "redis"]);
    assert!(
        refusal.contains("there is no proxy `redis`") && refusal.contains("`sabot list` shows"),
        "{refusal}"
    );
}

#[test]
fn a_cap_on_faults_is_shown() {
    let server = Server::start(&[]);
    let create =
        ["create", "-p", "http", "--max-active-faults", "3", "-l", "localhost:0", "-u", &echo(), "web"];
    server.says(&create);
    assert!(server.says(&["inspect", "web"]).contains("3 requests at most under a fault\n"));
    assert_eq!(server.json(&["ls"])["proxies"][0]["max_active_faults"], 3);
    let refusal = server.refuses(&["create", "--max-active-faults", "3", "-u", &echo(), "db"]);
    assert!(refusal.contains("create it with `protocol` http"), "{refusal}");
}

#[test]
fn what_the_upstream_is_told_can_be_changed() {
    let server = Server::start(&[]);
    let upstream = echo();
    let create = ["create", "-p", "http", "--host-rewrite", "api.example:81", "--x-forwarded-for", "-u"];
    server.says(&[&create[..], &[&upstream, "web"]].concat());
    let said = server.says(&["inspect", "web"]);
    assert!(said.contains("host: api.example:81, ") && said.contains("x-forwarded-for: "), "{said}");
    let web = server.json(&["inspect", "web"]);
    assert_eq!((&web["host_rewrite"], &web["x_forwarded_for"]), (&"api.example:81".into(), &true.into()));
    let refusal = server.refuses(&["create", "-p", "http", "--host-rewrite", "a/b", "-u", &upstream, "no"]);
    assert!(refusal.contains("host_rewrite: `a/b` is no host"), "{refusal}");
    let refusal = server.refuses(&["create", "--x-forwarded-for", "-u", &upstream, "no"]);
    assert!(refusal.contains("create it with `protocol` http"), "{refusal}");
}

#[test]
fn labels_are_given_and_shown() {
    let server = Server::start(&[]);
    let upstream = echo();
    let create = ["create", "-l", "localhost:0", "-u", &upstream];
    server.says(&[&create[..], &["plain"]].concat());
    assert!(!server.says(&["list"]).contains("LABELS"));
    assert!(!server.says(&["inspect", "plain"]).contains("labels"));
    let labels =
        ["--label=service=pay", "--label", "a.b/shard=south-1", "--label", "at=a@b:c", "--label", "empty="];
    server.says(&[&create[..], &labels, &["web"]].concat());
    let said = server.says(&["inspect", "web"]);
    assert!(said.contains("\nlabels: a.b/shard=south-1 at=a@b:c empty= service=pay\n"), "{said}");
    let table = server.says(&["list"]);
    let row = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(table.contains("LABELS") && row("web").contains("  a.b/shard=south-1 at=a@b:c"), "{table}");
    assert_eq!(row("plain").matches('–').count(), 2, "{table}");
    let expected = json!({"service": "pay", "a.b/shard": "south-1", "at": "a@b:c", "empty": ""});
    assert_eq!(server.json(&["inspect", "web"])["labels"], expected);
    for (label, told) in [
        ("--label=none", "expected key=value, such as service=payments"),
        ("--label=-a=b", "labels.-a: a key begins with a letter or a digit"),
        ("--label=a=b c", "labels.a: a value has letters, digits and . _ : @ / - only: take ' ' out"),
    ] {
        let line = [&create[..], &[label, "no"]].concat();
        let assert = server.sabot(&line).assert().failure();
        let refusal = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        assert!(refusal.contains(told), "{refusal}");
    }
}

#[test]
fn what_is_not_plain_tcp_is_marked() {
    let server = Server::start(&[]);
    server.says(&["create", "-l", "localhost:0", "-u", &echo(), "db"]);
    assert!(!server.says(&["list"]).contains("PROTOCOL"));
    assert!(!server.says(&["inspect", "db"]).contains("protocol"));
    server.says(&["create", "-p", "http", "-l", "localhost:0", "-u", &echo(), "web"]);
    server.says(&["create", "--tls", "passthrough", "-l", "localhost:0", "-u", &echo(), "safe"]);
    let table = server.says(&["list"]);
    let row = |name: &str| {
        let row = table.lines().find(|line| line.starts_with(name)).unwrap();
        row.split_once("enabled").unwrap().0.trim_end().to_owned()
    };
    assert!(table.contains("PROTOCOL") && row("db").ends_with("  tcp"), "{table}");
    assert!(row("web").ends_with("  http") && row("safe").ends_with("  tcp + tls"), "{table}");
    assert!(server.says(&["inspect", "web"]).contains("\nprotocol: http\n"));
}

#[test]
fn a_toxic_lives_from_add_to_remove() {
    let server = Server::start(&[]);
    server.says(&["c", "-l", "localhost:0", "-u", &echo(), "db"]);
    let said =
        server.says(&["toxic", "add", "-t", "latency", "-a", "latency=250us", "-a", "jitter=0.5", "db"]);
    assert_eq!(said, "added latency_downstream (downstream, latency=250us jitter=500us) to db\n");
    // As a script for toxiproxy-cli has it: one dash, flags before and after.
    let classic = [
        "t",
        "a",
        "db",
        "-type",
        "bandwidth",
        "-n",
        "slow",
        "-tox",
        "0.5",
        "-attribute",
        "rate=100",
        "-upstream",
    ];
    let slow = server.json(&classic);
    assert_eq!((&slow["stream"], &slow["toxicity"]), (&json!("upstream"), &json!(0.5)));

    let said =
        server.says(&["toxic", "update", "-n", "slow", "-a", "rate=8Mbit/s", "--when", "first=2", "db"]);
    assert_eq!(said, "updated slow on db: rate=1MB/s, 50% of connections\n");
    let said = server.json(&["toxic", "u", "-n", "slow", "--when", "duration=5s", "db"]);
    assert_eq!(said["when"], json!({"duration": 5000, "first": 2}));
    let said = server.json(&["toxic", "u", "-n", "slow", "--when", "first=null", "db"]);
    assert_eq!(said["when"], json!({"duration": 5000}));

    let said = server.says(&["toxic", "add", "-t", "latency", "-n", "bare", "db"]);
    assert_eq!(said, "added bare (downstream) to db\n");
    let said = server.says(&["toxic", "add", "-t", "latency", "-a", "latency=0", "-n", "named", "db"]);
    assert_eq!(said, "added named (downstream, latency=0ms) to db\n");
    let said = server.says(&["t", "u", "-n", "bare", "--toxicity", "0.5", "db"]);
    assert_eq!(said, "updated bare on db: defaults, 50% of connections\n");
    let said = server.says(&["t", "u", "-n", "bare", "-a", "jitter=0", "db"]);
    assert_eq!(said, "updated bare on db: jitter=0ms, 50% of connections\n");
    server.says(&["create", "-p", "http", "-l", "localhost:0", "-u", &echo(), "web"]);
    server.says(&["toxic", "add", "-t", "http_abort", "-n", "down", "web"]);
    let said = server.says(&["t", "u", "-n", "down", "-a", "status=500", "web"]);
    assert_eq!(said, "updated down on web: status=500, 100% of requests\n");

    let table = server.says(&["inspect", "db"]);
    assert!(table.contains("slow") && table.contains("duration=5s") && table.contains("50%"), "{table}");
    assert_eq!(server.says(&["t", "d", "-n", "slow", "db"]), "removed slow from db\n");
    server.says(&["reset"]);
    assert_eq!(server.json(&["inspect", "db"])["toxics"], json!([]));
}

#[test]
fn a_long_value_widens_its_own_row_alone() {
    let server = Server::start(&[]);
    server.says(&["create", "-p", "http", "-l", "localhost:0", "-u", &echo(), "web"]);
    let path = format!("match.path=/{}", "a".repeat(300));
    server.says(&["toxic", "add", "-t", "http_abort", "-n", "long", "-a", &path, "web"]);
    server.says(&["toxic", "add", "-t", "http_delay", "-n", "short", "-a", "delay=50ms", "web"]);
    let table = server.says(&["inspect", "web"]);
    let row = |name: &str| table.lines().find(|line| line.starts_with(name)).unwrap();
    assert!(row("long").contains(&"a".repeat(300)), "{table}");
    assert!(row("short").ends_with("  delay=50ms") && row("short").len() < 100, "{table}");
    assert!(row("TOXIC").len() < 100, "{table}");
}

#[test]
fn text_arrives_as_it_was_typed() {
    let server = Server::start(&[]);
    server.says(&["create", "-p", "http", "-l", "localhost:0", "-u", &echo(), "web"]);
    let set = ["-a", "set.x-version=1.10", "-a", "match.query.a.b=1e3", "-n", "h", "web"];
    let added = server.json(&[&["t", "a", "-t", "http_headers"][..], &set].concat());
    assert_eq!(added["attributes"]["set"], json!({"x-version": "1.10"}));
    assert_eq!(added["attributes"]["match"], json!({"query": {"a.b": "1e3"}}));
    let set = ["-a", "set.x-version=12345678901234567890123", "-n", "h", "web"];
    let updated = server.json(&[&["t", "u"][..], &set].concat());
    assert_eq!(updated["attributes"]["set"]["x-version"], "12345678901234567890123");
    let body = ["-a", "body={\"error\":\"down\"}", "-n", "abort", "web"];
    let added = server.json(&[&["t", "a", "-t", "http_abort"][..], &body].concat());
    assert_eq!(added["attributes"]["body"], "{\"error\":\"down\"}");
    let updated = server.json(&["t", "u", "-a", "body=null", "-n", "abort", "web"]);
    assert_ne!(updated["attributes"]["body"], added["attributes"]["body"]);
}

#[test]
fn refusals_say_what_to_do() {
    let server = Server::start(&[]);
    server.says(&["c", "-l", "localhost:0", "-u", "localhost:1", "db"]);
    for (args, said) in [
        (
            &["toxic", "add", "-t", "latency", "-a", "latncy=5", "db"][..],
            &["attributes.latncy", "did you mean `latency`?", "sabot kinds"][..],
        ),
        (&["toxic", "add", "-t", "latency", "-w", "frist=5", "db"], &["when.frist", "did you mean `first`?"]),
        (
            &["toxic", "add", "-t", "latency", "-w", "first=x", "db"],
            &["when.first", "must be a whole number, 0 or more, not \"x\""],
        ),
        (
            &["create", "-u", "localhost:1", "--tls", "terminate=1", "tls"],
            &["terminate: must be an object, not 1"],
        ),
        (&["toxic", "add", "-t", "latency", "nope"], &["there is no proxy `nope`", "`sabot list`"]),
        (&["toxic", "remove", "-n", "nope", "db"], &["there is no toxic `nope`", "`sabot inspect PROXY`"]),
        (&["toxic", "update", "-n", "nope", "db"], &["nothing to change"]),
        (&["toxic", "add", "-t", "lateny", "db"], &["latency"]),
        (&["toxic", "add", "-t", "latency", "-a", "latency", "db"], &["expected key=value"]),
        (&["toxic", "add", "-t", "bandwidth", "-a", "rat=1", "db"], &["`sabot kinds bandwidth` shows its"]),
        (&["toxic", "add", "-t", "latency", "--toxicity", "half", "db"], &["such as 0.05 or 5%"]),
        (&["load", "http://localhost:1", "--for", "2"], &["expected a time with its unit"]),
        (&["inspect"], &["NAME"]),
        (&["lst"], &["unrecognized subcommand"]),
        (&["-h", "ftp://x", "list"], &["only http:// and https:// are spoken"]),
    ] {
        let refusal = server.refuses(args);
        assert!(said.iter().all(|part| refusal.contains(part)), "{args:?}: {refusal}");
    }
    let refusal = server.refuses(&["toxic", "add", "-t", "latency", "-a", "latncy=5", "db", "-o", "json"]);
    let refusal: Value = serde_json::from_str(&refusal).unwrap();
    assert_eq!((&refusal["status"], &refusal["field"]), (&json!(400), &json!("attributes.latncy")));
}

#[test]
fn names_may_hold_anything() {
    let server = Server::start(&[]);
    for name in ["a/b", "user@host:1", "two words", "naïve", "100%", "..", "?#"] {
        server.says(&["create", "-l", "localhost:0", "-u", "localhost:1", name]);
        server.says(&["toxic", "add", "-t", "noop", "-n", name, name]);
        assert_eq!(server.json(&["inspect", name])["toxics"][0]["name"], name);
        server.says(&["toxic", "remove", "-n", name, name]);
        server.says(&["delete", name]);
    }
}

#[test]
fn the_environment_names_the_server() {
    let server = Server::start(&[]);
    sabot().env("TOXIPROXY_URL", &server.url).arg("list").assert().success();
    // Sabot's own name wins, a flag wins over both, and no scheme is needed.
    sabot().env("TOXIPROXY_URL", "localhost:1").env("SABOT_URL", &server.url).arg("list").assert().success();
    let bare = server.url.strip_prefix("http://").unwrap();
    sabot().env("SABOT_URL", "localhost:1").args(["list", "-h", bare]).assert().success();
    sabot().env("SABOT_URL", "localhost:1").args(["--host", bare, "list"]).assert().success();
}

#[test]
fn live_views_show_a_connection() {
    let server = Server::start(&[]);
    let created = server.json(&["create", "-l", "localhost:0", "-u", &echo(), "web"]);
    server.says(&["toxic", "add", "-t", "latency", "-a", "latency=1", "web"]);
    assert_eq!(server.says(&["connections"]), "no connections\n");
    let mut client = TcpStream::connect(created["listen"].as_str().unwrap()).unwrap();
    client.write_all(b"hello").unwrap();
    client.read_exact(&mut [0; 5]).unwrap();
    let connections = server.json(&["connections", "web"]);
    let connection = &connections["connections"][0];
    assert_eq!((&connection["bytes_upstream"], &connection["bytes_downstream"]), (&json!(5), &json!(5)));
    assert_eq!(connection["toxics"], json!(["latency_downstream"]));
    assert!(server.says(&["conns"]).contains("latency_downstream"));
    let top = server.says(&["top", "-c", "1"]);
    assert!(top.starts_with("web enabled open=1 up=0 B/s down=0 B/s toxics=↓ latency_downstream"), "{top}");
    let top: Value = serde_json::from_str(&server.says(&["top", "-c", "1", "-o", "json"])).unwrap();
    assert_eq!(top["open"], 1);
    server.refuses(&["events", "nope"]);
}

#[test]
fn what_needs_no_server_needs_none() {
    let say = |args: &[&str]| {
        let out = sabot().args(args).assert().success().get_output().stdout.clone();
        String::from_utf8(out).unwrap()
    };
    assert!(say(&["kinds"]).contains("latency"));
    assert!(say(&["kinds", "latency"]).contains("sabot toxic add -t latency"));
    assert!(say(&["completions", "bash"]).contains("complete"));
    assert!(say(&["man"]).contains(".TH sabot 1"));
    assert_eq!(say(&["--version"]), format!("sabot {}\n", env!("CARGO_PKG_VERSION")));
    assert!(say(&["--help"]).contains("serve"));
    let pages = tempfile::tempdir().unwrap();
    say(&["man", pages.path().to_str().unwrap()]);
    for page in ["sabot", "sabot-serve", "sabot-list", "sabot-toxic-add"] {
        let text = std::fs::read_to_string(pages.path().join(format!("{page}.1"))).unwrap();
        assert!(text.contains(&format!(".TH {page} 1")), "{page}");
    }
    sabot().args(["kinds", "lateny"]).assert().code(1);
}

#[test]
fn events_are_told_as_they_happen() {
    let server = Server::start(&[]);
    let created = server.json(&["create", "-l", "localhost:0", "-u", &echo(), "web"]);
    let listen = created["listen"].as_str().unwrap();
    let mut watch = server.spawn(&["events", "web", "-c", "2", "-o", "json"]);
    // Nothing tells when the watch began: connections come until it has seen enough.
    while watch.try_wait().unwrap().is_none() {
        let mut client = TcpStream::connect(listen).unwrap();
        client.write_all(b"a").unwrap();
        client.read_exact(&mut [0; 1]).unwrap();
    }
    let mut told = String::new();
    watch.stdout.unwrap().read_to_string(&mut told).unwrap();
    let kinds: Vec<_> =
        told.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()["type"].clone()).collect();
    assert_eq!(kinds.len(), 2);
    assert!(kinds.iter().all(|kind| kind.as_str().unwrap().starts_with("connection_")), "{kinds:?}");
}
