//! The client crate against a real server: what the verbs do not call.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;

use sabot_client::{Client, Direction, NewProxy, NewToxic, ProxyPatch};
use support::{Server, echo};

#[tokio::test]
async fn types_fit_the_server() {
    let server = Server::start(&["--seed=-2"]);
    let client = Client::new(&server.url).unwrap();
    let version = client.version().await.unwrap();
    assert_eq!((version.version.as_str(), version.seed), (env!("CARGO_PKG_VERSION"), u64::MAX - 1));
    let kinds = client.kinds().await.unwrap();
    assert_eq!(kinds.len(), sabot_toxics::kinds().len());
    let latency = kinds.iter().find(|kind| kind.kind == "latency").unwrap();
    assert!(latency.toxiproxy && latency.schema["properties"]["jitter"].is_object());

    let slow = NewToxic::new("latency").attribute("latency", "1ms").stream(Direction::Upstream);
    let proxy = NewProxy::new("web", echo()).listen("localhost:0").toxic(slow);
    let proxy = client.create_proxy(&proxy).await.unwrap();
    assert_eq!(proxy.toxics[0].stream, Direction::Upstream);
    let mut stream = TcpStream::connect(&proxy.listen).unwrap();
    stream.write_all(b"a").unwrap();
    stream.read_exact(&mut [0; 1]).unwrap();

    let connections = client.connections(Some("web")).await.unwrap();
    assert_eq!((connections.len(), connections[0].toxics.len()), (1, 1));
    let traffic = client.traffic().await.unwrap();
    assert!((traffic["web"].upstream - 1.0).abs() < f64::EPSILON, "{traffic:?}");
    client.close_connection("web", connections[0].id).await.unwrap();
    assert!(stream.read_exact(&mut [0; 1]).is_err());
    let gone = client.close_connection("web", u64::MAX).await.unwrap_err();
    assert_eq!(gone.status(), Some(404));

    let moved = ProxyPatch { upstream: Some(echo()), ..ProxyPatch::default() };
    let moved = client.update_proxy("web", &moved).await.unwrap();
    assert_eq!((moved.listen, moved.toxics.len()), (proxy.listen, 1));
    client.delete_proxy("web").await.unwrap();
    assert!(client.proxies().await.unwrap().is_empty());
}
