//! How connections end: half-closes, resets, closes by toxics and by the controller.

use std::io::ErrorKind;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{Reason, Rig, toxic};
use crate::net::timers::virtual_time::VirtualClock;

/// Nothing on the way, and something that holds everything back a little.
fn both_ways() -> [Vec<Value>; 2] {
    let latency = |stream| toxic("latency", stream, json!({"latency": 10}));
    [vec![], vec![latency("upstream"), latency("downstream")]]
}

/// Lets virtual time run while `work` is under way.
async fn in_time<T>(clock: VirtualClock, work: impl Future<Output = T>) -> T {
    let run = async {
        loop {
            tokio::task::yield_now().await;
            clock.advance(Duration::from_millis(1));
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        () = run => unreachable!(),
    }
}

async fn read_all(stream: &mut TcpStream) -> (Vec<u8>, Option<ErrorKind>) {
    let mut data = Vec::new();
    let error = stream.read_to_end(&mut data).await.err().map(|error| error.kind());
    (data, error)
}

fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

#[tokio::test]
async fn an_answer_after_a_half_close_arrives() {
    for toxics in both_ways() {
        let mut rig = Rig::new(&toxics).await;
        let clock = rig.clock.clone();
        in_time(clock, async {
            rig.client.write_all(b"question").await.unwrap();
            rig.client.shutdown().await.unwrap();
            assert_eq!(read_all(&mut rig.upstream).await, (b"question".to_vec(), None));
            rig.upstream.write_all(b"answer").await.unwrap();
            drop(rig.upstream);
            assert_eq!(read_all(&mut rig.client).await, (b"answer".to_vec(), None));
            assert_eq!(rig.relay.await.unwrap(), Reason::Finished);
        })
        .await;
    }
}

#[tokio::test]
async fn a_reset_of_the_upstream_reaches_the_client_after_its_last_bytes() {
    for toxics in both_ways() {
        let mut rig = Rig::new(&toxics).await;
        let clock = rig.clock.clone();
        in_time(clock, async {
            rig.upstream.write_all(b"last words").await.unwrap();
            let mut heard = [0; 10];
            rig.client.read_exact(&mut heard).await.unwrap();
            reset(rig.upstream);
            assert_eq!(read_all(&mut rig.client).await, (vec![], Some(ErrorKind::ConnectionReset)));
            assert_eq!(rig.relay.await.unwrap(), Reason::UpstreamReset);
        })
        .await;
    }
}

#[tokio::test]
async fn a_reset_of_the_client_reaches_the_upstream() {
    for toxics in both_ways() {
        let mut rig = Rig::new(&toxics).await;
        let clock = rig.clock.clone();
        in_time(clock, async {
            reset(rig.client);
            assert_eq!(read_all(&mut rig.upstream).await, (vec![], Some(ErrorKind::ConnectionReset)));
            assert_eq!(rig.relay.await.unwrap(), Reason::ClientReset);
        })
        .await;
    }
}

#[tokio::test]
async fn a_reset_waits_behind_what_a_toxic_holds() {
    let mut rig = Rig::new(&[toxic("latency", "downstream", json!({"latency": 100}))]).await;
    rig.upstream.write_all(b"bye").await.unwrap();
    let mut sent = tokio::spawn(async move {
        let read = read_all(&mut rig.client).await;
        (read, rig.relay.await.unwrap())
    });
    while rig.shared.received(sabot_toxics::Direction::Downstream) < 3 {
        tokio::task::yield_now().await;
    }
    reset(rig.upstream);
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert!(!sent.is_finished());
    let clock = rig.clock.clone();
    let ((data, error), reason) = in_time(clock, async { (&mut sent).await.unwrap() }).await;
    assert!(data == b"bye" || data.is_empty(), "{data:?}");
    assert_eq!((error, reason), (Some(ErrorKind::ConnectionReset), Reason::UpstreamReset));
}

#[tokio::test]
async fn a_reset_found_while_writing_ends_the_connection_as_a_reset() {
    let mut rig = Rig::new(&[toxic("latency", "upstream", json!({"latency": 50}))]).await;
    rig.client.write_all(b"never read").await.unwrap();
    rig.next_deadline().await;
    // Closed with unread input: the kernel says RST.
    rig.upstream.peek(&mut [0]).await.unwrap();
    drop(rig.upstream);
    let (_, error) = read_all(&mut rig.client).await;
    assert_eq!(error, Some(ErrorKind::ConnectionReset));
    assert_eq!(rig.relay.await.unwrap(), Reason::UpstreamReset);
}

#[tokio::test]
async fn a_reset_that_a_write_has_swallowed_is_still_a_reset() {
    let mut rig = Rig::new(&[]).await;
    rig.client.write_all(b"x").await.unwrap();
    assert_eq!(rig.upstream.read_u8().await.unwrap(), b'x');
    // Both before the relay's next turn: its write takes the socket's error, after
    // which the kernel tells its read of an end of file.
    rig.client.try_write(b"y").unwrap();
    reset(rig.upstream);
    assert_eq!(read_all(&mut rig.client).await, (vec![], Some(ErrorKind::ConnectionReset)));
    assert_eq!(rig.relay.await.unwrap(), Reason::UpstreamReset);
}

#[tokio::test]
async fn reset_peer_resets_both_on_time() {
    for streams in ["upstream", "downstream"] {
        let mut rig = Rig::new(&[toxic("reset_peer", streams, json!({"timeout": 30}))]).await;
        assert_eq!(rig.next_deadline().await, Duration::from_millis(30));
        for end in [&mut rig.client, &mut rig.upstream] {
            assert_eq!(read_all(end).await, (vec![], Some(ErrorKind::ConnectionReset)));
        }
        assert_eq!(rig.relay.await.unwrap(), Reason::ToxicReset);
    }
}

#[tokio::test]
async fn reset_peer_added_to_an_open_and_silent_connection_resets_it() {
    let mut rig = Rig::new(&[]).await;
    rig.client.write_all(b"x").await.unwrap();
    assert_eq!(rig.upstream.read_u8().await.unwrap(), b'x');
    rig.set(&[toxic("reset_peer", "downstream", json!({"timeout": 0}))]);
    assert_eq!(read_all(&mut rig.client).await.1, Some(ErrorKind::ConnectionReset));
    assert_eq!(read_all(&mut rig.upstream).await.1, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn reset_peer_does_not_wait_for_a_client_that_does_not_read() {
    let rig = Rig::new(&[toxic("reset_peer", "downstream", json!({"timeout": 30}))]).await;
    let mut refused = 0;
    while refused < 500 {
        // Every buffer on the way is full once nothing moves any more.
        refused = if rig.upstream.try_write(&[7; 65_536]).is_err() { refused + 1 } else { 0 };
        tokio::task::yield_now().await;
    }
    rig.clock.advance(Duration::from_millis(30));
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
    }
    assert!(rig.relay.is_finished(), "the reset waits for the client to read");
    assert_eq!(rig.relay.await.unwrap(), Reason::ToxicReset);
}

#[tokio::test]
async fn limit_data_passes_exactly_so_much_and_closes_in_good_order() {
    let rig = Rig::new(&[toxic("limit_data", "downstream", json!({"bytes": 100_000}))]).await;
    let clock = rig.clock.clone();
    in_time(clock, async {
        let (mut upstream, mut client) = (rig.upstream, rig.client);
        let writing = tokio::spawn(async move {
            // It keeps sending: input left unread would turn the close into a reset.
            while upstream.write_all(&[7; 10_000]).await.is_ok() {}
        });
        assert_eq!(read_all(&mut client).await, (vec![7; 100_000], None));
        drop(client);
        assert_eq!(rig.relay.await.unwrap(), Reason::ToxicClosed);
        writing.await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn timeout_drops_and_closes_both_on_time() {
    let mut rig = Rig::new(&[toxic("timeout", "upstream", json!({"timeout": 500}))]).await;
    rig.client.write_all(b"into the void").await.unwrap();
    assert_eq!(rig.next_deadline().await, Duration::from_millis(500));
    for end in [&mut rig.client, &mut rig.upstream] {
        assert_eq!(read_all(end).await, (vec![], None));
    }
    drop((rig.client, rig.upstream));
    assert_eq!(rig.relay.await.unwrap(), Reason::ToxicClosed);
}

#[tokio::test]
async fn a_close_does_not_wait_for_a_peer_that_stays() {
    let mut rig = Rig::new(&[toxic("timeout", "upstream", json!({"timeout": 10}))]).await;
    rig.next_deadline().await;
    assert_eq!(read_all(&mut rig.client).await, (vec![], None));
    assert_eq!(rig.next_deadline().await, Duration::from_millis(250));
    assert_eq!(rig.relay.await.unwrap(), Reason::ToxicClosed);
}

#[tokio::test]
async fn the_controller_can_reset_whatever_is_held() {
    for toxics in both_ways() {
        let mut rig = Rig::new(&toxics).await;
        rig.client.write_all(b"held").await.unwrap();
        rig.shared.reset();
        assert_eq!(read_all(&mut rig.client).await.1, Some(ErrorKind::ConnectionReset));
        assert_eq!(read_all(&mut rig.upstream).await.1, Some(ErrorKind::ConnectionReset));
        assert_eq!(rig.relay.await.unwrap(), Reason::Killed);
        assert_eq!(rig.shared.held(), 0);
    }
}
