//! What a proxy without faults must not change.

use sabot_proxy::ProxySpec;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

/// Bytes that show a lost, doubled or swapped block.
fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32).map(|n| (n ^ (n >> 8) ^ (n >> 16)) as u8).collect()
}

#[tokio::test]
async fn bulk_passes_unchanged_both_ways_at_once() {
    let (controller, proxy) = echo_proxy().await;
    let sent = pattern(32 << 20);
    let (mut read, mut write) = connect(&proxy).await.into_split();
    let all = sent.clone();
    let writer = tokio::spawn(async move {
        write.write_all(&all).await.unwrap();
        write.shutdown().await.unwrap();
        write
    });
    let mut back = Vec::new();
    within(read.read_to_end(&mut back)).await.unwrap();
    assert!(back == sent, "{} of {} bytes, or others", back.len(), sent.len());
    writer.await.unwrap();
    until(|| controller.proxy("p").unwrap().open_connections == 0).await;
    let totals = &controller.totals()[0];
    assert_eq!((totals.received, totals.sent), ([sent.len() as u64; 2], [sent.len() as u64; 2]));
}

#[tokio::test]
async fn an_answer_after_the_half_close_arrives() {
    for with_toxic in [false, true] {
        let controller = controller();
        let upstream = serve(|mut stream| async move {
            let mut request = Vec::new();
            stream.read_to_end(&mut request).await.unwrap();
            stream.write_all(format!("got {}", request.len()).as_bytes()).await.unwrap();
        })
        .await;
        let proxy = controller.create(ProxySpec::new("p", upstream.to_string())).await.unwrap();
        if with_toxic {
            controller.add_toxic("p", simple("latency", json!({"latency": 20}))).unwrap();
        }
        let mut client = connect(&proxy).await;
        client.write_all(b"12345").await.unwrap();
        client.shutdown().await.unwrap();
        assert_eq!(rest(&mut client).await.unwrap(), b"got 5");
    }
}

#[tokio::test]
async fn a_reset_is_passed_on_either_way() {
    let controller = controller();
    let (addr, mut accepted) = manual().await;
    let proxy = controller.create(ProxySpec::new("p", addr.to_string())).await.unwrap();
    let mut events = controller.events("p").unwrap();

    let client = connect(&proxy).await;
    let mut server = within(accepted.recv()).await.unwrap();
    until(|| controller.connections(None).unwrap()[0].state == "open").await;
    reset(client);
    assert!(was_reset(&mut server).await);
    assert_eq!(next_of(&mut events, "connection_closed").await["reason"], "client_reset");

    let mut client = connect(&proxy).await;
    let server = within(accepted.recv()).await.unwrap();
    // Before, it would be a dial that failed.
    until(|| controller.connections(None).unwrap()[0].state == "open").await;
    reset(server);
    assert!(was_reset(&mut client).await);
    assert_eq!(next_of(&mut events, "connection_closed").await["reason"], "upstream_reset");
}

#[tokio::test]
async fn a_connection_is_shown_while_it_lives_and_can_be_reset() {
    let controller = controller();
    let (addr, mut accepted) = manual().await;
    let proxy = controller.create(ProxySpec::new("p", addr.to_string())).await.unwrap();
    let mut client = connect(&proxy).await;
    let mut server = within(accepted.recv()).await.unwrap();
    client.write_all(b"12345").await.unwrap();
    let mut five = [0; 5];
    within(server.read_exact(&mut five)).await.unwrap();

    until(|| controller.connections(None).unwrap()[0].bytes_upstream == 5).await;
    let live = controller.connections(None).unwrap();
    assert_eq!(live.len(), 1);
    let view = &live[0];
    assert_eq!((view.proxy.as_str(), view.state, view.bytes_upstream), ("p", "open", 5));
    assert_eq!(view.client, client.local_addr().unwrap().to_string());
    assert_eq!(controller.proxy("p").unwrap().open_connections, 1);

    controller.close_connection("p", view.id).unwrap();
    assert!(was_reset(&mut client).await);
    assert!(was_reset(&mut server).await);
}

#[tokio::test]
async fn byte_counters_are_live() {
    let (controller, proxy) = echo_proxy().await;
    let mut client = open(&proxy).await;
    ping(&mut client, &[0; 999]).await.unwrap();
    until(|| controller.totals()[0].sent == [1000; 2]).await;
    let totals = &controller.totals()[0];
    assert_eq!(totals.received, [1000; 2]);
    assert_eq!((totals.open_connections, totals.total_connections), (1, 1));
}
