//! Every byte arrives, in order and unchanged, whatever happens on the way.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sabot_toxics::Plan;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::{ConnShared, Noise, Reason, pair, plan, relay, shared, toxic};
use crate::net::{Monotonic, Stream, Workers};

/// Enough for hundreds of changes between copying, splicing and toxics.
const BYTES: usize = 128 << 20;

/// A relay on a worker, in real time.
async fn start(workers: &Workers) -> (TcpStream, TcpStream, Arc<ConnShared>, oneshot::Receiver<Reason>) {
    let (client, inner_client) = pair().await;
    let (inner_upstream, upstream) = pair().await;
    let shared = shared(plan(&[]), usize::MAX);
    let of_relay = Arc::clone(&shared);
    let (tell, ended) = oneshot::channel();
    let sockets = [inner_client, inner_upstream].map(|socket| socket.into_std().unwrap());
    workers.spawn_connection(0, async move {
        let [client, upstream] = sockets.map(|socket| Stream::Tcp(TcpStream::from_std(socket).unwrap()));
        let _ = tell.send(relay(client, upstream, of_relay, Monotonic::default()).await);
    });
    (client, upstream, shared, ended)
}

/// Sends noise in pieces of all sizes.
async fn send(mut to: TcpStream, bytes: usize) -> TcpStream {
    let mut noise = Noise::new();
    let mut piece = vec![0; 256 * 1024];
    let (mut left, mut size) = (bytes, 8);
    while left > 0 {
        // A long stretch of large pieces, then small ones, so that the relay
        // changes its mind; multiples of 8 keep the noise in step.
        size = if size >= piece.len() { 8 } else { size * 2 };
        for _ in 0..8 {
            let now = size.min(left);
            noise.fill(&mut piece[..now]);
            to.write_all(&piece[..now]).await.unwrap();
            left -= now;
        }
    }
    to.shutdown().await.unwrap();
    to
}

/// Reads noise and compares it; `at` sees each position on the way.
async fn receive(from: &mut TcpStream, bytes: usize, mut at: impl FnMut(usize)) {
    let mut noise = Noise::new();
    let (mut got, mut want) = (vec![0; 512 * 1024], vec![0; 512 * 1024]);
    let mut done = 0;
    while done < bytes {
        let now = got.len().min(bytes - done);
        from.read_exact(&mut got[..now]).await.unwrap();
        noise.fill(&mut want[..now]);
        assert!(got[..now] == want[..now], "bytes differ after {done}");
        done += now;
        at(done);
    }
    assert_eq!(from.read(&mut got).await.unwrap(), 0, "more bytes than were sent");
}

fn plans() -> Vec<Arc<Plan>> {
    let both = |kind, attributes: serde_json::Value| {
        ["upstream", "downstream"].map(|stream| toxic(kind, stream, attributes.clone()))
    };
    vec![
        plan(&both("latency", json!({"latency": 1, "jitter": 1}))),
        plan(&[]),
        plan(&both("slicer", json!({"average_size": 20_000, "size_variation": 10_000, "delay": 0}))),
        plan(&both("noop", json!({}))),
        plan(&[]),
        plan(&both("bandwidth", json!({"rate": 2_000_000}))),
        plan(&[]),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_is_lost_while_plans_change() {
    let workers = Workers::start(Some(1)).unwrap();
    let (client, upstream, shared, ended) = start(&workers).await;
    let plans = plans();
    let changes = AtomicUsize::new(0);
    let change = |done: usize| {
        if (done / 524_288).is_multiple_of(3) {
            let next = changes.fetch_add(1, Ordering::Relaxed) % plans.len();
            shared.policy.set_plan(Arc::clone(&plans[next]));
            shared.wake();
        }
    };
    both_ways(client, upstream, change).await;
    assert_eq!(ended.await.unwrap(), Reason::Finished);
    assert!(changes.into_inner() > 50);
    assert_eq!((shared.held(), shared.policy.budget.held()), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_byte_is_lost_between_copying_and_splicing() {
    let workers = Workers::start(Some(1)).unwrap();
    let (client, upstream, shared, ended) = start(&workers).await;
    both_ways(client, upstream, |_| ()).await;
    assert_eq!(ended.await.unwrap(), Reason::Finished);
    for direction in sabot_toxics::Direction::BOTH {
        assert_eq!(shared.sent(direction), BYTES as u64);
        assert_eq!(shared.received(direction), BYTES as u64);
    }
}

async fn both_ways(client: TcpStream, upstream: TcpStream, mut at: impl FnMut(usize)) {
    let (up, down) = (client.into_std().unwrap(), upstream.into_std().unwrap());
    let (up2, down2) = (up.try_clone().unwrap(), down.try_clone().unwrap());
    let tokio = |socket| TcpStream::from_std(socket).unwrap();
    let sending = [tokio::spawn(send(tokio(up), BYTES)), tokio::spawn(send(tokio(down), BYTES))];
    let (mut at_client, mut at_upstream) = (tokio(up2), tokio(down2));
    tokio::join!(receive(&mut at_upstream, BYTES, &mut at), receive(&mut at_client, BYTES, |_| ()));
    for sent in sending {
        drop(sent.await.unwrap());
    }
}
