//! HTTP/2, TLS, gRPC and Redis, against small servers of their own protocols.
//!
//! Real servers of Redis and PostgreSQL are in tests/load.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use http::{HeaderMap, Response, StatusCode};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;

use crate::support::{count, plan, run, server, with};

/// How an HTTP/2 server answers a request by its path: body, and trailers unless it has none.
type Answers = fn(&str, Bytes) -> (Response<()>, Bytes, Option<HeaderMap>);

/// An HTTP/2 server, over TLS with `tls`; how many connections it accepted.
fn h2_server(answers: Answers, tls: Option<TlsAcceptor>) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&accepted);
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            while let Ok((stream, _)) = listener.accept().await {
                counter.fetch_add(1, Ordering::SeqCst);
                let tls = tls.clone();
                tokio::spawn(async move {
                    match tls {
                        None => h2_connection(stream, answers).await,
                        Some(tls) => h2_connection(tls.accept(stream).await.unwrap(), answers).await,
                    }
                });
            }
        });
    });
    (address, accepted)
}

async fn h2_connection(io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static, answers: Answers) {
    let mut connection = h2::server::handshake(io).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        tokio::spawn(async move {
            let path = request.uri().path().to_owned();
            let mut body = request.into_body();
            let mut got = Vec::new();
            while let Some(Ok(data)) = body.data().await {
                got.extend_from_slice(&data);
            }
            if path == "/reset" {
                respond.send_reset(h2::Reason::INTERNAL_ERROR);
                return;
            }
            let (head, body, trailers) = answers(&path, got.into());
            let end = body.is_empty() && trailers.is_none();
            let mut stream = respond.send_response(head, end).unwrap();
            if !end {
                stream.send_data(body, trailers.is_none()).unwrap();
            }
            if let Some(trailers) = trailers {
                stream.send_trailers(trailers).unwrap();
            }
        });
    }
}

fn plain(path: &str, _: Bytes) -> (Response<()>, Bytes, Option<HeaderMap>) {
    let status = if path == "/missing" { StatusCode::NOT_FOUND } else { StatusCode::OK };
    (Response::builder().status(status).body(()).unwrap(), Bytes::from_static(b"hello"), None)
}

#[test]
fn http2_carries_many_requests_on_one_connection() {
    let (address, accepted) = h2_server(plain, None);
    let ran = run(with(plan(address, 200), json!({"http2": true})));
    assert_eq!(count(&ran.summary, "ok"), 200, "{:?}", ran.summary);
    assert_eq!(accepted.load(Ordering::SeqCst), 1);
    assert!(ran.outcomes.iter().all(|outcome| outcome.sent.is_some()));
    let endpoints = json!([{"path": "/reset", "weight": 1}, {"path": "/missing", "weight": 1}]);
    let ran = run(with(plan(address, 100), json!({"http2": true, "endpoints": endpoints})));
    assert_eq!(
        count(&ran.summary, "reset"),
        ran.summary.endpoints[0].part.offered,
        "{:?}",
        ran.summary.total
    );
    assert_eq!(count(&ran.summary, "refused"), ran.summary.endpoints[1].part.offered);
    // A stream that is reset takes no other along.
    assert_eq!(accepted.load(Ordering::SeqCst), 2);
}

#[test]
fn tls_finds_out_the_protocol() {
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let roots = folder.path().join("ca.pem");
    std::fs::write(&roots, certified.cert.pem()).unwrap();
    let key = PrivateKeyDer::try_from(certified.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let (address, accepted) = h2_server(plain, Some(TlsAcceptor::from(Arc::new(config))));
    let target = format!("https://localhost:{}", address.port());
    let ran = run(with(plan(address, 100), json!({"target": target, "tls": {"roots": roots}})));
    assert_eq!(count(&ran.summary, "ok"), 100, "{:?}", ran.summary);
    assert_eq!(accepted.load(Ordering::SeqCst), 1, "once HTTP/2 was chosen, one connection is enough");
    // Whom nobody vouches for is not believed, unless it is asked.
    let ran = run(with(plan(address, 10), json!({"target": target})));
    assert_eq!(count(&ran.summary, "connect"), 10, "{:?}", ran.summary.total);
    let ran = run(with(plan(address, 10), json!({"target": target, "tls": {"insecure": true}})));
    assert_eq!(count(&ran.summary, "ok"), 10, "{:?}", ran.summary.total);
}

/// `shop.Orders`: Get answers, Put says NOT_FOUND in the head alone, Cut sends half a message,
/// Mute no status.
fn grpc(path: &str, request: Bytes) -> (Response<()>, Bytes, Option<HeaderMap>) {
    let head = || Response::builder().header("content-type", "application/grpc");
    let ok: HeaderMap = [("grpc-status".parse().unwrap(), "0".parse().unwrap())].into_iter().collect();
    match path {
        // The same message back: it was a whole frame.
        "/shop.Orders/Get" => {
            let length = u32::from_be_bytes(request[1..5].try_into().unwrap()) as usize;
            assert_eq!(request.len(), 5 + length);
            (head().body(()).unwrap(), request, Some(ok))
        }
        "/shop.Orders/Put" => (head().header("grpc-status", "5").body(()).unwrap(), Bytes::new(), None),
        "/shop.Orders/Cut" => (head().body(()).unwrap(), Bytes::from_static(&[0, 0, 0, 0, 9, 1]), Some(ok)),
        _ => (head().body(()).unwrap(), Bytes::from_static(&[0, 0, 0, 0, 0]), None),
    }
}

#[test]
fn grpc_statuses_are_told_apart() {
    let (address, _) = h2_server(grpc, None);
    let call = |method: &str| json!({"kind": "grpc", "method": format!("shop.Orders/{method}"), "message": "0a03616263", "weight": 1});
    let endpoints: Vec<Value> = ["Get", "Put", "Cut", "Mute"].map(call).into();
    let ran = run(with(plan(address, 200), json!({"endpoints": endpoints})));
    let fate = |at: usize, name: &str| {
        let part = &ran.summary.endpoints[at].part;
        assert!(part.offered > 20);
        assert_eq!(part.fates.get(name), Some(&part.offered), "{name} of {at}: {part:?}");
    };
    fate(0, "ok");
    fate(1, "refused");
    fate(2, "protocol");
    fate(3, "protocol");
    assert!(ran.summary.codes.contains_key("grpc-5"), "{:?}", ran.summary.codes);
}

#[test]
fn grpc_messages_are_made_from_json() {
    let folder = tempfile::tempdir().unwrap();
    let proto = folder.path().join("shop.proto");
    let text = "syntax = \"proto3\"; package shop; message Ask { string id = 1; int32 n = 2; } message Told {} \
                service Orders { rpc Get(Ask) returns (Told); rpc Follow(Ask) returns (stream Told); }";
    std::fs::write(&proto, text).unwrap();
    let endpoint = |method: &str, message: Value| json!({"kind": "grpc", "method": method, "proto": proto, "message": message});
    let (address, _) = h2_server(grpc, None);
    let of = |endpoint: Value| with(plan(address, 50), json!({"endpoints": [endpoint]}));
    let good = endpoint("shop.Orders/Get", json!({"id": "o-{{tenant}}", "n": "{{int 7 7}}"}));
    let shown = String::from_utf8(crate::support::ready(of(good.clone())).request(0)).unwrap();
    // Field 1, 10 bytes "o-tenant-1"; field 2, 7.
    assert!(shown.ends_with("0a0a6f2d74656e616e742d311007\n"), "{shown}");
    assert_eq!(count(&run(of(good)).summary, "ok"), 50);
    for (method, message, says) in [
        ("shop.Orders/Gte", json!({}), "did you mean `Get`?"),
        ("shop.Order/Get", json!({}), "did you mean `shop.Orders`?"),
        ("shop.Orders/Follow", json!({}), "only unary calls"),
        ("shop.Orders/Get", json!({"di": "x"}), "is no shop.Ask"),
    ] {
        let plan = sabot_runner::load::Plan::read(of(endpoint(method, message))).unwrap();
        let error = sabot_runner::load::Load::new(plan).unwrap_err();
        assert!(error.field.starts_with("endpoints[0].") && error.message.contains(says), "{error}");
    }
}

/// As much of Redis as the test asks for: `GET` answers, `FAIL` fails, `QUIET` never answers.
fn redis(_: usize, stream: std::net::TcpStream) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    let line = |reader: &mut BufReader<_>| {
        let mut line = String::new();
        (reader.read_line(&mut line).ok()? > 0).then(|| line.trim_end().to_owned())
    };
    while let Some(count) = line(&mut reader) {
        let words: Vec<String> = (0..count[1..].parse::<usize>().unwrap())
            .map(|_| {
                let length: usize = line(&mut reader).unwrap()[1..].parse().unwrap();
                let mut word = vec![0; length + 2];
                reader.read_exact(&mut word).unwrap();
                String::from_utf8(word[..length].to_vec()).unwrap()
            })
            .collect();
        let reply = match words[0].as_str() {
            "AUTH" if words[1..] != ["me", "secret"] => "-WRONGPASS no\r\n",
            "AUTH" | "SELECT" => "+OK\r\n",
            "GET" => "$3\r\nabc\r\n",
            "FAIL" => "-OOM command not allowed\r\n",
            "GARBAGE" => "?what\r\n",
            _ => continue,
        };
        writer.write_all(reply.as_bytes()).unwrap();
    }
}

#[test]
fn redis_replies_are_told_apart() {
    let (address, _) = server(redis);
    let target = format!("redis://me:secret@{address}/2");
    // Only what is never answered may be given up soon.
    let command = |(line, timeout): (&str, &str)| json!({"kind": "redis", "command": line, "target": target, "weight": 1, "timeout": timeout});
    let commands =
        [("GET k:{{int 1 9}}", "20s"), ("FAIL now", "20s"), ("QUIET", "300ms"), ("GARBAGE", "20s")];
    let endpoints: Vec<Value> = commands.map(command).into();
    let ran = run(with(plan(address, 100), json!({"endpoints": endpoints})));
    for (at, fate) in ["ok", "refused", "timeout", "protocol"].iter().enumerate() {
        let part = &ran.summary.endpoints[at].part;
        assert_eq!(part.fates.get(*fate), Some(&part.offered), "{at}: {part:?}");
    }
    assert!(ran.summary.codes.contains_key("OOM"), "{:?}", ran.summary.codes);
    let wrong =
        json!([{"kind": "redis", "command": "GET a", "target": format!("redis://me:wrong@{address}")}]);
    let ran = run(with(plan(address, 10), json!({"endpoints": wrong})));
    assert_eq!(count(&ran.summary, "connect"), 10, "{:?}", ran.summary.total);
}
