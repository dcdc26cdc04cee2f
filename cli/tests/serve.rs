//! `sabot serve`: config, reload, state, signals.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;

use serde_json::json;
use support::{Server, echo, sabot};

const CONFIG: &str = "
proxies:
  - name: web
    listen: localhost:0
    upstream: localhost:1
    toxics:
      - {type: latency, attributes: {latency: 250us}}
    labels: {service: web, shard: south-1}
  - name: db
    listen: localhost:0
    upstream: localhost:2
";

fn write(directory: &Path, name: &str, text: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn flags_alone_are_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let config = r#"[{"name": "web", "listen": "[::1]:0", "upstream": "localhost:1", "enabled": false}]"#;
    let config = write(directory.path(), "toxiproxy.json", config);
    let ports = directory.path().join("port");
    let server = Server::run(&[
        "-host=127.0.0.1",
        "-port=0",
        &format!("-config={config}"),
        "-seed=7",
        "-runtime-metrics",
        "-proxy-metrics=true",
        "-log-format=json",
        "-port-file",
        ports.to_str().unwrap(),
    ]);
    assert_eq!(server.log("no --state-dir: injections and the audit are kept in memory")["level"], "INFO");
    let list = server.json(&["list"]);
    assert_eq!((&list["proxies"][0]["name"], &list["proxies"][0]["enabled"]), (&json!("web"), &json!(false)));
    // Never enabled: as it was written.
    assert_eq!(list["proxies"][0]["listen"], "[::1]:0");
    assert_eq!(format!("http://{}", fs::read_to_string(ports).unwrap().trim()), server.url);
    assert!(server.stop().success());
}

#[test]
fn a_bad_config_stops_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let config = write(directory.path(), "c.yaml", &CONFIG.replace("latency: 250us", "latncy: 250us"));
    let assert = sabot().args(["serve", "--port=0", "--config", &config]).assert().code(1).stdout("");
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    let place = format!(
        "{config}:7:38: proxies[0].toxics[0].attributes.latncy: unknown attribute of latency, did you mean `latency`?"
    );
    assert!(said.contains(&place), "{said}");
    assert!(said.contains("7 |       - {type: latency, attributes: {latncy: 250us}}"), "{said}");

    // What only the system can refuse has its place too.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let config = write(directory.path(), "taken.yaml", &CONFIG.replacen("localhost:0", &address, 1));
    let assert = sabot().args(["serve", "--port=0", "--config", &config]).assert().code(1);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(
        said.contains(&format!("{config}:4:13: proxies[0].listen: failed to listen on {address}")),
        "{said}"
    );

    // What only the proxies know of each other, of the only one and of one of several.
    let cap = |name: &str| {
        format!(
            "  - name: {name}\n    upstream: localhost:1\n    max_active_faults: 3\n    listen: localhost:0\n"
        )
    };
    let first = "  - {name: a, upstream: \"localhost:1\", listen: \"localhost:0\"}\n";
    for (before, place) in [("", "4:24: proxies[0]"), (first, "5:24: proxies[1]")] {
        let config = write(directory.path(), "cap.yaml", &format!("proxies:\n{before}{}", cap("b")));
        let assert = sabot().args(["serve", "--port=0", "--config", &config]).assert().code(1);
        let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
        let place = format!("{config}:{place}.max_active_faults: counts requests");
        assert!(said.contains(&place), "{said}");
    }

    // A file that it names has to be there, too.
    let config = write(directory.path(), "e.yaml", "proxies: []\ninjections: {experiments: nosuch.yaml}\n");
    let state = directory.path().join("state");
    let args = ["serve", "--port=0", "--config", &config, "--state-dir", state.to_str().unwrap()];
    let assert = sabot().args(args).assert().code(1);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("injections.experiments") && said.contains("nosuch.yaml"), "{said}");

    let assert = sabot().args(["serve", "--config", "/no/such.json"]).assert().code(1);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("/no/such.json: failed to read it"), "{said}");
}

#[test]
fn hangup_reloads_or_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let config = write(directory.path(), "c.yaml", CONFIG);
    let server = Server::start(&["--config", &config]);
    server.says(&["create", "-l", "localhost:0", "-u", "localhost:3", "by_hand"]);
    let before = server.json(&["list"]);

    write(directory.path(), "c.yaml", &CONFIG.replace("type: latency", "type: latecny"));
    server.signal("-HUP");
    let log = server.log("config not reloaded, nothing changed");
    assert_eq!((&log["line"], &log["field"]), (&json!(7), &json!("proxies[0].toxics[0].type")));
    assert_eq!(server.json(&["list"]), before);

    let only_web =
        CONFIG.split("  - name: db").next().unwrap().replace("250us", "2ms").replace("south-1", "north");
    write(directory.path(), "c.yaml", &only_web);
    server.signal("-HUP");
    server.log("config reloaded");
    let names: Vec<_> = server.json(&["list"])["proxies"]
        .as_array()
        .unwrap()
        .iter()
        .map(|proxy| proxy["name"].clone())
        .collect();
    assert_eq!(names, ["by_hand", "web"]);
    let web = server.json(&["inspect", "web"]);
    assert_eq!(web["toxics"][0]["attributes"]["latency"], 2);
    assert_eq!(web["labels"], json!({"service": "web", "shard": "north"}));
    assert_eq!(web["listen"], before["proxies"][2]["listen"]);
}

#[test]
fn a_reload_tells_which_settings_of_injections_it_changed() {
    let directory = tempfile::tempdir().unwrap();
    let with = |injections: &str| {
        write(directory.path(), "c.yaml", &format!("proxies: []\ninjections: {injections}\n"))
    };
    let secret = "https://hooks.example.com/secret";
    let config = with("{approval: {above_targets: 1}, longest: 1h}");
    let state = directory.path().join("state");
    let server = Server::start(&["--config", &config, "--state-dir", state.to_str().unwrap()]);
    with(&format!("{{longest: 1h, webhooks: [{{url: '{secret}'}}]}}"));
    server.signal("-HUP");
    assert_eq!(server.log("config reloaded")["injections"], "approval.above_targets 1 → unset, webhooks");
    server.stop();
    let journal = sabot_injections::journal::Journal::open(Some(&state)).unwrap();
    let mut told = Vec::new();
    journal.replay(|stored| told.push(serde_json::to_string(&stored.event).unwrap())).unwrap();
    let outcome =
        "created [], changed [], removed []; injections: approval.above_targets 1 → unset, webhooks";
    let reloaded = told.iter().find(|event| event.contains("config.reloaded")).unwrap();
    assert!(reloaded.contains(outcome) && !reloaded.contains("secret"), "{reloaded}");
}

#[test]
fn the_state_outlives_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let state = state.to_str().unwrap();
    let server = Server::start(&["--state-dir", state]);
    server.says(&["create", "--label", "service=web", "-l", "localhost:0", "-u", "localhost:1", "web"]);
    let capped =
        ["create", "-p", "http", "--max-active-faults", "4", "--host-rewrite", "a", "--x-forwarded-for"];
    server.says(&[&capped[..], &["-u", "localhost:1", "capped"]].concat());
    server.says(&["toxic", "add", "-t", "latency", "-a", "latency=250us", "-w", "first=3", "web"]);
    server.says(&["toxic", "add", "-t", "noop", "-n", "kept", "-w", "expires_after=1h", "web"]);
    server.says(&["toxic", "add", "-t", "noop", "-n", "over", "-w", "expires_after=1ms", "-u", "web"]);
    let before = server.json(&["inspect", "web"]);

    // Two servers must not overwrite each other's state.
    let assert = sabot().args(["serve", "--port=0", "--state-dir", state]).assert().code(1);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("another server uses the state directory"), "{said}");
    assert!(server.stop().success());

    let server = Server::start(&["--state-dir", state]);
    let after = server.json(&["inspect", "web"]);
    assert_eq!((&after["listen"], &after["labels"]), (&before["listen"], &json!({"service": "web"})));
    let capped = server.json(&["inspect", "capped"]);
    let kept = ["max_active_faults", "host_rewrite", "x_forwarded_for"].map(|field| &capped[field]);
    assert_eq!(kept, [&json!(4), &json!("a"), &json!(true)]);
    let toxics = after["toxics"].as_array().unwrap();
    let names: Vec<_> = toxics.iter().map(|toxic| toxic["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["latency_downstream", "kept"]);
    assert_eq!(toxics[0]["when"], json!({"first": 3}));
    let left = toxics[1]["expires_in_ms"].as_f64().unwrap();
    assert!((1_000.0..=3_600_000.0).contains(&left), "{left}");
}

#[test]
fn a_killed_server_has_kept_its_state() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().to_str().unwrap();
    let server = Server::start(&["--state-dir", state, "--log-level=debug"]);
    server.says(&["create", "-l", "localhost:0", "-u", "localhost:1", "web"]);
    while server.log("state kept")["proxies"] != 1 {}
    server.signal("-KILL");
    drop(server);
    let server = Server::start(&["--state-dir", state]);
    assert_eq!(server.json(&["list"])["proxies"][0]["name"], "web");
}

#[test]
fn a_state_that_cannot_be_kept_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let state = directory.path().join("state");
    let server = Server::start(&["--state-dir", state.to_str().unwrap(), "--log-level=debug"]);
    // What an empty server kept may have been logged before it listened.
    server.says(&["create", "-l", "localhost:0", "-u", "localhost:1", "first"]);
    server.log("state kept");
    fs::remove_dir_all(&state).unwrap();
    server.says(&["create", "-l", "localhost:0", "-u", "localhost:1", "web"]);
    assert!(server.log("failed to keep the state")["error"].as_str().unwrap().contains("No such file"));
    fs::create_dir(&state).unwrap();
    server.log("the state is kept again");
}

#[test]
fn the_state_wins_until_the_config_changes() {
    let directory = tempfile::tempdir().unwrap();
    let config = write(directory.path(), "c.yaml", CONFIG);
    let state = directory.path().join("state");
    let args = ["--config", &config, "--state-dir", state.to_str().unwrap()];
    let server = Server::start(&args);
    server.says(&["delete", "db"]);
    server.says(&["create", "-l", "localhost:0", "-u", "localhost:3", "mine"]);
    server.stop();
    let names = |server: &Server| -> Vec<String> {
        let list = server.json(&["list"]);
        list["proxies"]
            .as_array()
            .unwrap()
            .iter()
            .map(|proxy| proxy["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let server = Server::start(&args);
    assert_eq!(names(&server), ["mine", "web"]);
    server.stop();
    write(directory.path(), "c.yaml", &format!("{CONFIG}# changed\n"));
    let server = Server::start(&args);
    assert_eq!(names(&server), ["db", "mine", "web"]);
    server.stop();
    // A proxy that came from the config goes with it, also after a restart.
    let server = Server::start(&args);
    write(directory.path(), "c.yaml", CONFIG.split("  - name: db").next().unwrap());
    server.signal("-HUP");
    assert_eq!(server.log("config reloaded")["removed"], "[\"db\"]");
    assert_eq!(names(&server), ["mine", "web"]);
}

#[test]
fn a_broken_state_is_no_empty_one() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "state.json", "{\"format\": 1, \"proxies\": [");
    let state = directory.path().to_str().unwrap();
    let assert = sabot().args(["serve", "--port=0", "--state-dir", state]).assert().code(1);
    let said = String::from_utf8_lossy(&assert.get_output().stderr).into_owned();
    assert!(said.contains("failed to restore") && said.contains("move the file away"), "{said}");
}

#[test]
fn stopping_waits_for_connections() {
    let server = Server::start(&["--drain=1h"]);
    let created = server.json(&["create", "-l", "localhost:0", "-u", &echo(), "web"]);
    let mut client = TcpStream::connect(created["listen"].as_str().unwrap()).unwrap();
    client.write_all(b"a").unwrap();
    client.read_exact(&mut [0; 1]).unwrap();
    server.signal("-TERM");
    server.log("stopping");
    // Still served, because it was there before.
    client.write_all(b"b").unwrap();
    client.read_exact(&mut [0; 1]).unwrap();
    drop(client);
    server.log("stopped");
}

#[test]
fn a_second_signal_ends_the_waiting() {
    let server = Server::start(&["--drain=1h"]);
    let created = server.json(&["create", "-l", "localhost:0", "-u", &echo(), "web"]);
    let mut client = TcpStream::connect(created["listen"].as_str().unwrap()).unwrap();
    client.write_all(b"a").unwrap();
    client.read_exact(&mut [0; 1]).unwrap();
    server.signal("-TERM");
    server.log("stopping");
    server.signal("-INT");
    server.log("closing at once");
    server.log("stopped");
}
