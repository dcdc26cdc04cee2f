//! A proxy in a Rust test, as the crate's documentation promises it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use sabot_proxy::{ControlError, Options, Proxy, json};

use crate::support::{echo, is_refused};

/// An echo server of plain threads.
fn threads() -> std::net::SocketAddr {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = server.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in server.incoming().flatten() {
            std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
        }
    });
    addr
}

fn round_trip(client: &mut TcpStream) -> Duration {
    client.set_nodelay(true).unwrap();
    let before = Instant::now();
    client.write_all(b"?").unwrap();
    client.read_exact(&mut [0]).unwrap();
    before.elapsed()
}

#[test]
fn without_any_runtime() {
    let proxy = Proxy::start(threads()).unwrap();
    let mut client = TcpStream::connect(proxy.addr()).unwrap();
    round_trip(&mut client);
    let toxic = proxy.toxic("latency", json!({"latency": "150ms"})).unwrap();
    assert!(round_trip(&mut client) >= Duration::from_millis(150));
    proxy.remove_toxic(&toxic.name).unwrap();
    let endless = proxy.toxic("latency", json!({"latency": "1h"})).unwrap();
    proxy.remove_toxic(&endless.name).unwrap();
    round_trip(&mut client);
    proxy.disable().unwrap();
    assert!(TcpStream::connect(proxy.addr()).is_err());
    proxy.enable().unwrap();
    round_trip(&mut TcpStream::connect(proxy.addr()).unwrap());
}

#[tokio::test]
async fn on_the_one_thread_of_an_async_test() {
    let proxy = Proxy::start(echo().await).unwrap();
    proxy.upstream_toxic("latency", json!({"latency": 30})).unwrap();
    let addr = proxy.addr().to_string();
    let mut client = tokio::net::TcpStream::connect(&addr).await.unwrap();
    let before = Instant::now();
    crate::support::ping(&mut client, b"?").await.unwrap();
    assert!(before.elapsed() >= Duration::from_millis(30));
    proxy.disable().unwrap();
    assert!(is_refused(&addr).await);
    proxy.enable().unwrap();
    drop(proxy);
    assert!(is_refused(&addr).await);
}

#[test]
fn dropped_it_is_gone() {
    let proxy = Proxy::start(threads()).unwrap();
    let addr = proxy.addr();
    let mut client = TcpStream::connect(addr).unwrap();
    round_trip(&mut client);
    drop(proxy);
    assert!(TcpStream::connect(addr).is_err());
    assert!(client.read(&mut [0]).map_or(true, |bytes| bytes == 0));
}

#[test]
fn the_seed_can_be_chosen_and_mistakes_are_named() {
    let proxy = Proxy::with(threads(), &Options { seed: 42, ..Options::default() }).unwrap();
    assert_eq!(proxy.controller().seed(), 42);
    for (kind, attributes, field) in [
        ("latncy", json!({}), "type"),
        ("latency", json!({"latncy": 1}), "attributes.latncy"),
        ("latency", json!(3), "attributes"),
    ] {
        let error = proxy.toxic(kind, attributes).unwrap_err();
        assert!(matches!(&error, ControlError::Invalid(invalid) if invalid.field == field), "{error:?}");
    }
}
