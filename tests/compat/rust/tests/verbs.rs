//! Every verb of the crate `toxiproxy_rust`, unchanged, against a running server.
//!
//! It runs in a network of its own (`inside.py`), so the client's standing
//! address is free. The tests share the server: run them on one thread.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use toxiproxy_rust::TOXIPROXY;
use toxiproxy_rust::proxy::{Proxy, ProxyPack};

/// A proxy in front of an echo, after everything else has been removed.
fn fresh() -> Proxy {
    for proxy in TOXIPROXY.all().unwrap().values() {
        proxy.delete().unwrap();
    }
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut buffer = [0; 1024];
                while let Ok(count @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..count]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    let pack = ProxyPack::new("echo".into(), "localhost:0".into(), upstream);
    TOXIPROXY.populate(vec![pack]).unwrap().remove(0)
}

fn connect(proxy: &Proxy) -> std::io::Result<TcpStream> {
    let address: SocketAddr = proxy.proxy_pack.listen.parse().unwrap();
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    Ok(stream)
}

fn round_trip(proxy: &Proxy) -> Duration {
    let mut stream = connect(proxy).unwrap();
    let began = Instant::now();
    stream.write_all(b"ping").unwrap();
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"ping");
    began.elapsed()
}

fn refused(proxy: &Proxy) -> bool {
    matches!(connect(proxy), Err(error) if error.kind() == ErrorKind::ConnectionRefused)
}

#[test]
fn populate_resolves_the_address() {
    let proxy = fresh();
    assert!(proxy.proxy_pack.listen.starts_with("127.0.0.1:"));
    assert!(proxy.proxy_pack.enabled && proxy.proxy_pack.toxics.is_empty());
    round_trip(&proxy);
    assert!(TOXIPROXY.populate(vec![]).unwrap().is_empty());
}

#[test]
fn is_running_and_version() {
    assert!(TOXIPROXY.is_running());
    assert!(TOXIPROXY.version().unwrap().replace(' ', "").contains(r#""version":"2.12.0""#));
}

#[test]
fn all_and_find_proxy() {
    let proxy = fresh();
    let all = TOXIPROXY.all().unwrap();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["echo"]);
    assert_eq!(all["echo"].proxy_pack.listen, proxy.proxy_pack.listen);
    assert_eq!(TOXIPROXY.find_proxy("echo").unwrap().proxy_pack.upstream, proxy.proxy_pack.upstream);
    assert!(TOXIPROXY.find_proxy("nobody").is_err());
}

#[test]
fn disable_enable_and_with_down() {
    let proxy = fresh();
    proxy.disable().unwrap();
    assert!(refused(&proxy));
    proxy.enable().unwrap();
    round_trip(&proxy);
    proxy.with_down(|| assert!(refused(&proxy))).unwrap();
    round_trip(&proxy);
}

#[test]
fn delete() {
    let proxy = fresh();
    proxy.delete().unwrap();
    assert!(TOXIPROXY.all().unwrap().is_empty());
    assert!(refused(&proxy));
}

#[test]
fn every_toxic_shows_what_was_asked() {
    let proxy = fresh();
    let down = || "downstream".to_owned();
    proxy
        .with_latency(down(), 10, 5, 1.0)
        .with_bandwidth(down(), 100, 1.0)
        .with_slow_close(down(), 10, 1.0)
        .with_timeout(down(), 10_000, 0.5)
        .with_slicer(down(), 64, 8, 100, 1.0)
        .with_limit_data("upstream".into(), 100, 1.0);
    let shown: Vec<_> = proxy
        .toxics()
        .unwrap()
        .into_iter()
        .map(|toxic| {
            let mut attributes: Vec<_> = toxic.attributes.into_iter().collect();
            attributes.sort();
            (toxic.name, toxic.toxicity, attributes)
        })
        .collect();
    let attributes =
        |pairs: &[(&str, u32)]| pairs.iter().map(|&(name, value)| (name.to_owned(), value)).collect();
    let expected: Vec<(_, _, Vec<_>)> = vec![
        ("limit_data_upstream".to_owned(), 1.0, attributes(&[("bytes", 100)])),
        ("latency_downstream".to_owned(), 1.0, attributes(&[("jitter", 5), ("latency", 10)])),
        ("bandwidth_downstream".to_owned(), 1.0, attributes(&[("rate", 100)])),
        ("slow_close_downstream".to_owned(), 1.0, attributes(&[("delay", 10)])),
        ("timeout_downstream".to_owned(), 0.5, attributes(&[("timeout", 10_000)])),
        (
            "slicer_downstream".to_owned(),
            1.0,
            attributes(&[("average_size", 64), ("delay", 100), ("size_variation", 8)]),
        ),
    ];
    assert_eq!(shown, expected);
    // Listings of proxies hold them too, and must be readable for the client.
    assert_eq!(TOXIPROXY.find_proxy("echo").unwrap().proxy_pack.toxics.len(), 6);
    proxy.delete_all_toxics().unwrap();
    assert!(proxy.toxics().unwrap().is_empty());
}

#[test]
fn apply_is_felt_and_taken_back() {
    let proxy = fresh();
    let delay = Duration::from_millis(60);
    proxy
        .with_latency("downstream".into(), 60, 0, 1.0)
        .apply(|| assert!(round_trip(&proxy) >= delay))
        .unwrap();
    assert!(proxy.toxics().unwrap().is_empty());
}

#[test]
fn reset_and_find_and_reset_proxy() {
    let proxy = fresh();
    for reset in [|| TOXIPROXY.reset(), || TOXIPROXY.find_and_reset_proxy("echo").map(drop)] {
        proxy.with_timeout("downstream".into(), 0, 1.0);
        proxy.disable().unwrap();
        reset().unwrap();
        assert!(proxy.toxics().unwrap().is_empty());
        round_trip(&proxy);
    }
}
