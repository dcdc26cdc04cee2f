//! Live connections and the stream of what happens.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;

use sabot_admin_api::ApiOptions;
use serde_json::{Value, json};

use crate::api::{Api, on_the_wire, read_answer};
use crate::life::{running, with_shop};

/// A server that sends back what it gets, and a proxy `echo` in front of it.
fn with_echo(options: ApiOptions) -> (Api, String) {
    let upstream = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = upstream.local_addr().unwrap();
    thread::spawn(move || {
        for socket in upstream.incoming() {
            let mut socket = socket.unwrap();
            thread::spawn(move || std::io::copy(&mut socket.try_clone().unwrap(), &mut socket));
        }
    });
    let api = Api::with(options);
    let body = format!(r#"{{"name":"echo","listen":"127.0.0.1:0","upstream":"{address}"}}"#);
    let created = api.call("POST /v1/proxies", &body);
    assert_eq!(created.status, 201, "{}", created.body);
    let listen = created.json()["listen"].as_str().unwrap().to_owned();
    (api, listen)
}

/// An open event stream.
struct Events(BufReader<TcpStream>);

impl Events {
    fn of(api: &Api, proxy: &str) -> Self {
        Self::at(api, &format!("/v1/proxies/{proxy}/events"))
    }

    fn at(api: &Api, path: &str) -> Self {
        let mut socket = api.connect();
        let request = format!("GET {path} HTTP/1.1\nHost: localhost\nConnection: close\n\n");
        socket.write_all(&on_the_wire(&request)).unwrap();
        let answer = read_answer(&mut socket);
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("content-type"), Some("text/event-stream"));
        Self(BufReader::new(socket))
    }

    /// The next event of that type; others pass.
    fn next(&mut self, kind: &str) -> Value {
        let mut named = String::new();
        loop {
            let mut line = String::new();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream ended before {kind}");
            if let Some(name) = line.strip_prefix("event: ") {
                name.trim_end().clone_into(&mut named);
            } else if let Some(data) = line.strip_prefix("data: ").filter(|_| named == kind) {
                let event: Value = serde_json::from_str(data).unwrap();
                let named = if kind.contains('.') { &event["action"] } else { &event["type"] };
                assert_eq!(named, kind);
                return event;
            }
        }
    }
}

fn ping(socket: &mut TcpStream) {
    socket.write_all(b"ping").unwrap();
    let mut answer = [0; 4];
    socket.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ping");
}

#[test]
fn connections_and_toxics_are_reported_as_they_happen() {
    let (api, listen) = with_echo(ApiOptions::default());
    let mut events = Events::of(&api, "echo");
    assert_eq!(
        api.call(
            "POST /v1/proxies/echo/toxics",
            r#"{"type":"latency","name":"slow","attributes":{"latency":1}}"#
        )
        .status,
        201
    );
    assert_eq!(events.next("toxic_added")["toxic"], "slow");
    let mut client = TcpStream::connect(&listen).unwrap();
    let id = events.next("connection_opened")["connection"].as_u64().unwrap();
    ping(&mut client);
    assert_eq!(events.next("toxic_applied")["toxic"], "slow");

    // What was written is counted a moment after the peer may have it.
    let live =
        api.until("GET /v1/proxies/echo/connections", |answer| answer.contains("\"bytes_downstream\":4"));
    let live: Value = serde_json::from_str(&live).unwrap();
    let connection = &live["connections"][0];
    assert_eq!(connection["id"], id, "{live}");
    assert_eq!(connection["client"], client.local_addr().unwrap().to_string());
    assert_eq!(
        (&connection["bytes_upstream"], &connection["bytes_downstream"]),
        (&4.into(), &4.into()),
        "{live}"
    );
    assert_eq!(connection["toxics"], serde_json::json!(["slow"]));
    assert_eq!(connection["state"], "open");
    assert_eq!(api.call("GET /v1/connections", "").json()["connections"].as_array().unwrap().len(), 1);

    assert_eq!(api.call("PATCH /v1/proxies/echo/toxics/slow", "{}").status, 200);
    events.next("toxic_updated");
    assert_eq!(api.call("DELETE /v1/proxies/echo/toxics/slow", "").status, 204);
    events.next("toxic_removed");
    drop(client);
    assert_eq!(events.next("connection_closed")["connection"], id);
}

#[test]
fn a_connection_can_be_reset() {
    let (api, listen) = with_echo(ApiOptions::default());
    let mut events = Events::of(&api, "echo");
    let mut client = TcpStream::connect(&listen).unwrap();
    ping(&mut client);
    let id = events.next("connection_opened")["connection"].as_u64().unwrap();
    assert_eq!(api.call(&format!("DELETE /v1/proxies/echo/connections/{id}"), "").status, 204);
    let error = client.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
}

#[test]
fn a_stream_ends_with_its_proxy() {
    let (api, _) = with_echo(ApiOptions::default());
    let mut events = Events::of(&api, "echo");
    assert_eq!(api.call("DELETE /proxies/echo", "").status, 204);
    let mut rest = String::new();
    events.0.read_to_string(&mut rest).unwrap();
}

#[test]
fn a_failed_dial_is_reported() {
    // A port that was free a moment ago and refuses.
    let nobody = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
    let api = Api::start();
    let body = format!(r#"{{"name":"gone","listen":"127.0.0.1:0","upstream":"{nobody}"}}"#);
    let created = api.call("POST /v1/proxies", &body).json();
    let mut events = Events::of(&api, "gone");
    let _client = TcpStream::connect(created["listen"].as_str().unwrap()).unwrap();
    assert!(events.next("connection_failed")["reason"].is_string());
}

#[test]
fn watchers_are_bounded_and_give_their_place_back() {
    let options = ApiOptions { max_event_streams: 1, ..ApiOptions::default() };
    let (api, _) = with_echo(options);
    let first = Events::of(&api, "echo");
    let full = r#"{"error":"all 1 event streams are in use: close one and try again","status":503}"#;
    api.check(&[("GET /v1/proxies/echo/events", "", 503, full), ("GET /v1/proxies/echo", "", 200, "*")]);
    drop(first);
    // The server learns of it when it next writes: let something happen.
    let freed = (0..2000).any(|_| {
        api.call("PATCH /v1/proxies/echo", "{}");
        api.call("POST /v1/proxies/echo/toxics", r#"{"type":"noop"}"#);
        api.call("DELETE /v1/proxies/echo/toxics/noop_downstream", "");
        let mut socket = api.connect();
        socket.write_all(&on_the_wire("GET /v1/proxies/echo/events HTTP/1.1\nHost: localhost\n\n")).unwrap();
        read_answer(&mut socket).status == 200
    });
    assert!(freed);
}

#[test]
fn changes_of_injections_are_told_as_they_happen() {
    let api = with_shop();
    let mut events = Events::at(&api, "/injections/events");
    let id = running(&api, |_| {});
    let requested = events.next("injection.requested");
    assert_eq!((&requested["id"], &requested["injection"]["state"]), (&json!(id), &json!("approved")));
    assert_eq!(events.next("injection.started")["injection"]["state"], "running");
    assert_eq!(api.call(&format!("DELETE /injections/{id}"), "").status, 200);
    let ended = events.next("injection.ended");
    assert_eq!((&ended["state"], &ended["injection"]["state"]), (&json!("reverted"), &json!("reverted")));
    drop(events);
}

#[test]
fn watchers_of_injections_are_bounded_as_well() {
    let api = Api::with(ApiOptions { max_event_streams: 1, ..ApiOptions::default() });
    let _first = Events::at(&api, "/injections/events");
    let full = r#"{"error":"all 1 event streams are in use: close one and try again","status":503}"#;
    api.check(&[("GET /injections/events", "", 503, full)]);
}
