//! Where the bytes themselves matter.

use std::io::Write;

use crate::api::{Api, on_the_wire, read_answer};

#[test]
fn the_readiness_probe() {
    let answer = Api::start().call("GET /version", "");
    assert_eq!(answer.body, "{\"version\": \"2.12.0\", \"sabot\": \"0.1.0\"}\n");
    assert_eq!(answer.header("content-type"), Some("application/json;charset=utf-8"));
}

#[test]
fn bodies_may_be_missing_empty_or_chunked() {
    let host = "Host: localhost";
    for (request, status) in [
        (format!("POST /reset HTTP/1.1\n{host}\n\n"), 204),
        (format!("POST /reset HTTP/1.1\n{host}\nContent-Length: 0\n\n"), 204),
        (format!("POST /reset HTTP/1.1\n{host}\nContent-Length: 2\n\n{{}}"), 204),
        (format!("POST /reset HTTP/1.1\n{host}\nContent-Type: application/json\n\n"), 204),
        (format!("DELETE /proxies/redis/toxics/t HTTP/1.1\n{host}\nContent-Length: 0\n\n"), 204),
        (
            format!(
                "DELETE /proxies/redis HTTP/1.1\n{host}\nContent-Length: 0\nContent-Type: text/plain\n\n"
            ),
            204,
        ),
        (format!("DELETE /proxies/redis HTTP/1.1\n{host}\nContent-Length: 2\n\n{{}}"), 204),
        (format!("GET /proxies HTTP/1.1\n{host}\nContent-Length: 0\n\n"), 200),
        (
            format!(
                "PATCH /proxies/redis HTTP/1.1\n{host}\nTransfer-Encoding: chunked\n\n2\r\n{{}}\r\n0\r\n\r\n"
            ),
            200,
        ),
        (format!("POST /populate HTTP/1.1\n{host}\nContent-Length: 2\nExpect: nothing\n\n[]"), 201),
        ("GET http://localhost:8474/proxies HTTP/1.1\nHost: localhost:8474\n\n".to_owned(), 200),
        ("GET /proxies HTTP/1.0\n\n".to_owned(), 200),
    ] {
        let api = Api::start();
        let proxy = r#"{"name":"redis","listen":"127.0.0.1:0","upstream":"localhost:6379"}"#;
        assert_eq!(api.call("POST /proxies", proxy).status, 201);
        assert_eq!(api.call("POST /proxies/redis/toxics", r#"{"type":"noop","name":"t"}"#).status, 200);
        let answer = api.raw(&request);
        assert_eq!(answer.status, status, "{request}: {}", answer.body);
        assert_eq!(answer.body.is_empty(), status == 204, "{request}");
        assert!(status != 204 || answer.header("content-length").is_none_or(|length| length == "0"));
    }
}

#[test]
fn a_connection_serves_many_requests() {
    let api = Api::with_redis();
    let mut socket = api.connect();
    for _ in 0..3 {
        for (line, status) in
            [("GET /proxies", 200), ("POST /nothing", 404), ("GET /proxies/redis", 200), ("GET /reset", 405)]
        {
            socket.write_all(&on_the_wire(&format!("{line} HTTP/1.1\nHost: localhost\n\n"))).unwrap();
            assert_eq!(read_answer(&mut socket).status, status, "{line}");
        }
    }
    // Pipelined: written at once, answered in order.
    let (a, b) = ("GET /version HTTP/1.1\nHost: localhost\n\n", "GET /nothing HTTP/1.1\nHost: localhost\n\n");
    socket.write_all(&[on_the_wire(a), on_the_wire(b)].concat()).unwrap();
    assert_eq!(read_answer(&mut socket).status, 200);
    assert_eq!(read_answer(&mut socket).status, 404);
}

#[test]
fn a_client_that_shut_its_writing_side_gets_its_answer() {
    let api = Api::with_redis();
    let mut socket = api.connect();
    socket.write_all(&on_the_wire("GET /proxies/redis HTTP/1.1\nHost: localhost\n\n")).unwrap();
    socket.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(read_answer(&mut socket).status, 200);
}

#[test]
fn every_request_has_an_id_of_its_own() {
    let api = Api::start();
    let id = || api.call("GET /version", "").header("x-toxiproxy-request-id").unwrap().to_owned();
    let ids = std::collections::BTreeSet::from([id(), id(), id()]);
    assert_eq!(ids.len(), 3);
    assert!(ids.iter().all(|id| id.len() == 20));
}

#[test]
fn a_client_that_asks_first_is_told_to_go_on() {
    let api = Api::start();
    let mut socket = api.connect();
    let head = "POST /populate HTTP/1.1\nHost: localhost\nContent-Length: 2\nExpect: 100-continue\n\n";
    socket.write_all(&on_the_wire(head)).unwrap();
    assert_eq!(read_answer(&mut socket).status, 100);
    socket.write_all(b"[]").unwrap();
    assert_eq!(read_answer(&mut socket).status, 201);
}
