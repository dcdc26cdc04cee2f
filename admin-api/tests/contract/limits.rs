//! What a request cannot hold.

use std::io::{Read, Write};
use std::time::Duration;

use sabot_admin_api::ApiOptions;

use crate::api::{Api, on_the_wire, read_answer};

/// Long enough for a busy machine to answer an honest request in, short enough
/// to wait for.
const SHORT: Duration = Duration::from_millis(300);

#[test]
fn a_body_that_is_too_large_is_413() {
    let api = Api::with(ApiOptions { max_body: 1000, ..ApiOptions::default() });
    let body = format!(r#"{{"name":"{}","upstream":"u:1"}}"#, "a".repeat(1000));
    let too_large = r#"{"error":"the body is larger than 1000 bytes","status":413}"#;
    api.check(&[("POST /proxies", &body, 413, too_large), ("POST /v1/proxies", &body, 413, too_large)]);
    // Nor does a body that does not say how large it is.
    let chunk = "x".repeat(2000);
    let answer = api.raw(&format!(
        "POST /populate HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n7d0\r\n{chunk}\r\n0\r\n\r\n"
    ));
    assert_eq!(answer.status, 413);
}

#[test]
fn a_head_that_is_too_large_is_431() {
    let api = Api::with(ApiOptions { max_head: 8 << 10, max_headers: 20, ..ApiOptions::default() });
    let long = format!("GET /version HTTP/1.1\nHost: localhost\nX-Long: {}\n\n", "a".repeat(9 << 10));
    let many: String = (0..30).map(|n| format!("X-{n}: 1\n")).collect();
    for request in [long, format!("GET /version HTTP/1.1\nHost: localhost\n{many}\n")] {
        assert_eq!(api.raw(&request).status, 431);
    }
}

#[test]
fn a_head_that_never_ends_is_cut_off() {
    let api = Api::with(ApiOptions { header_timeout: SHORT, ..ApiOptions::default() });
    for start in ["", "GET /version HTTP/1.1\r\nHost: local"] {
        let mut socket = api.connect();
        socket.write_all(start.as_bytes()).unwrap();
        let mut rest = Vec::new();
        // Ends because the server closes; the socket's own timeout would fail.
        socket.read_to_end(&mut rest).unwrap();
    }
}

#[test]
fn a_body_that_never_ends_is_408() {
    let api = Api::with(ApiOptions { body_timeout: SHORT, ..ApiOptions::default() });
    let answer = api.raw("POST /proxies HTTP/1.1\nHost: localhost\nContent-Length: 100\n\n{");
    assert_eq!(answer.status, 408, "{}", answer.body);
}

#[test]
fn connections_beyond_the_cap_wait_while_all_are_busy() {
    let api = Api::with(ApiOptions { max_connections: 1, ..ApiOptions::default() });
    let mut first = api.connect();
    let head = "POST /populate HTTP/1.1\nHost: localhost\nExpect: 100-continue\nContent-Length: 2\n\n";
    first.write_all(&on_the_wire(head)).unwrap();
    // Its body is waited for.
    assert_eq!(read_answer(&mut first).status, 100);
    let mut second = api.connect();
    second.write_all(&on_the_wire("GET /version HTTP/1.1\nHost: localhost\n\n")).unwrap();
    second.set_nonblocking(true).unwrap();
    assert!(second.read(&mut [0]).is_err(), "answered without a place");
    second.set_nonblocking(false).unwrap();
    first.write_all(b"[]").unwrap();
    assert_eq!(read_answer(&mut first).status, 201);
    assert_eq!(read_answer(&mut second).status, 200);
}

/// Whoever holds all places and asks for nothing keeps nobody from asking.
#[test]
fn connections_beyond_the_cap_take_the_place_of_idle_ones() {
    let api = Api::with(ApiOptions { max_connections: 3, ..ApiOptions::default() });
    let request = on_the_wire("GET /version HTTP/1.1\nHost: localhost\n\n");
    let mut idle = [api.connect(), api.connect(), api.connect()];
    idle[1].write_all(b"GET /version HTTP/1.1\r\nHost: local").unwrap();
    idle[2].write_all(&request).unwrap();
    assert_eq!(read_answer(&mut idle[2]).status, 200);
    let mut later = [api.connect(), api.connect(), api.connect()];
    for socket in &mut later {
        socket.write_all(&request).unwrap();
        assert_eq!(read_answer(socket).status, 200);
    }
    for mut socket in idle {
        // Closed: the socket's own timeout would say so.
        let ended = socket.read_to_end(&mut Vec::new());
        assert!(!ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
    later[2].write_all(&request).unwrap();
    assert_eq!(read_answer(&mut later[2]).status, 200);
}

#[test]
fn shutdown_ends_idle_connections_and_event_streams() {
    let mut api = Api::with_redis();
    let mut idle = api.connect();
    idle.write_all(&on_the_wire("GET /version HTTP/1.1\nHost: localhost\n\n")).unwrap();
    assert_eq!(read_answer(&mut idle).status, 200);
    let mut watching = api.connect();
    watching.write_all(&on_the_wire("GET /v1/proxies/redis/events HTTP/1.1\nHost: localhost\n\n")).unwrap();
    assert_eq!(read_answer(&mut watching).status, 200);
    api.stop();
    for socket in [&mut idle, &mut watching] {
        socket.read_to_end(&mut Vec::new()).unwrap();
    }
}
