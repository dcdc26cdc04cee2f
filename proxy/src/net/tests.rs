//! Listeners, dials, workers and the real timers, over real sockets.

use std::io::ErrorKind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::timers::{monotonic_now, sleep_until, within};
use super::{Address, Bound, Monotonic, Stream, Workers, dial};

fn address(text: &str) -> Address {
    text.parse().unwrap()
}

/// Runs a test's body on a worker, where timers are.
async fn on_worker(body: impl Future<Output = ()> + Send + 'static) {
    let workers = Workers::start(Some(1)).unwrap();
    let (tell, done) = oneshot::channel();
    workers.spawn_on(0, async move {
        body.await;
        tell.send(()).unwrap();
    });
    done.await.expect("the body panicked");
}

#[tokio::test]
async fn localhost_is_bound_on_ipv4_and_reports_its_port() {
    let bound = Bound::bind(&address("localhost:0")).await.unwrap();
    let text = bound.local().to_string();
    assert!(text.starts_with("127.0.0.1:") && !text.ends_with(":0"), "{text}");
    let error = Bound::bind(bound.local()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn nothing_given_means_a_free_port_on_all_interfaces() {
    on_worker(async {
        let bound = Bound::bind(&address("")).await.unwrap();
        let Address::Tcp { port, .. } = *bound.local() else { panic!("{:?}", bound.local()) };
        let listener = bound.attach().unwrap();
        for host in ["127.0.0.1", "localhost"] {
            let (dialled, accepted) =
                tokio::join!(async { dial(&address(&format!("{host}:{port}"))).await }, listener.accept());
            dialled.unwrap();
            assert!(accepted.unwrap().peer.is_some());
        }
    })
    .await;
}

#[tokio::test]
async fn loopback_is_not_paced() {
    on_worker(async {
        for listen in ["127.0.0.1:0", "[::1]:0", ""] {
            let bound = Bound::bind(&address(listen)).await.unwrap();
            let Address::Tcp { port, .. } = *bound.local() else { panic!("{:?}", bound.local()) };
            let listener = bound.attach().unwrap();
            let host = if listen.starts_with('[') { "[::1]" } else { "127.0.0.1" };
            let (dialled, accepted) =
                tokio::join!(async { dial(&address(&format!("{host}:{port}"))).await }, listener.accept());
            for stream in [dialled.unwrap(), accepted.unwrap().attach().unwrap()] {
                let congestion = rustix::net::sockopt::tcp_congestion(&stream).unwrap();
                assert!(!congestion.starts_with("bbr"), "{listen}: {congestion}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn a_closed_listener_refuses_at_once_and_frees_its_port() {
    let bound = Bound::bind(&address("127.0.0.1:0")).await.unwrap();
    let listeners = [bound.attach().unwrap(), bound.attach().unwrap()];
    let local = bound.local().clone();
    bound.close();
    assert_eq!(dial(&local).await.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    for listener in &listeners {
        assert!(listener.accept().await.is_err());
    }
    let again = Bound::bind(&local).await.unwrap();
    assert_eq!(again.local(), &local);
    let listener = again.attach().unwrap();
    let (dialled, accepted) = tokio::join!(dial(&local), listener.accept());
    dialled.unwrap();
    accepted.unwrap();
}

#[tokio::test]
async fn a_stale_socket_file_is_replaced_a_live_one_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("sabot.sock");
    let at = Address::Unix(path.clone());
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let bound = Bound::bind(&at).await.unwrap();
    assert_eq!(Bound::bind(&at).await.unwrap_err().kind(), ErrorKind::AddrInUse);
    let listener = bound.attach().unwrap();
    let (dialled, accepted) = tokio::join!(dial(&at), listener.accept());
    assert!(matches!(dialled.unwrap(), Stream::Unix(_)));
    assert!(accepted.unwrap().peer.is_none());
    drop((bound, listener));
    assert!(!path.exists());
    std::fs::write(&path, "not a socket").unwrap();
    assert!(Bound::bind(&at).await.is_err());
    assert!(path.exists());
}

#[tokio::test]
async fn an_address_in_use_is_not_passed_over_for_the_next_of_its_name() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    let refused = Bound::bind(&address(&format!("localhost:{port}"))).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AddrInUse);
}

#[tokio::test]
async fn every_address_of_a_name_is_tried() {
    on_worker(async {
        // Only the second address of `localhost` listens.
        let Ok(bound) = Bound::bind(&address("[::1]:0")).await else { return };
        let Address::Tcp { port, .. } = *bound.local() else { panic!("{:?}", bound.local()) };
        dial(&address(&format!("localhost:{port}"))).await.unwrap();
    })
    .await;
}

#[tokio::test]
async fn what_is_not_done_within_its_time_is_given_up() {
    on_worker(async {
        let mut clock = Monotonic::default();
        let soon = monotonic_now() + Duration::from_millis(1);
        assert_eq!(within(&mut clock, soon, std::future::pending::<()>()).await, None);
        let later = monotonic_now() + Duration::from_secs(60);
        assert_eq!(within(&mut clock, later, async { 7 }).await, Some(7));
    })
    .await;
}

#[tokio::test]
async fn timers_are_never_early_and_fire_in_order() {
    let workers = Workers::start(Some(1)).unwrap();
    let (tell, mut told) = mpsc::unbounded_channel();
    // Ahead, so that all are waiting before the first is due.
    let start = monotonic_now() + Duration::from_millis(100);
    let delays = [9_u64, 1, 25, 3, 15, 3];
    for delay in delays {
        let tell = tell.clone();
        workers.spawn_on(0, async move {
            let due = start + Duration::from_millis(delay);
            sleep_until(&mut Monotonic::default(), due).await;
            assert!(monotonic_now() >= due);
            tell.send(delay).unwrap();
        });
    }
    drop(tell);
    let mut order = Vec::new();
    while let Some(delay) = told.recv().await {
        order.push(delay);
    }
    assert_eq!(order, [1, 3, 3, 9, 15, 25]);
    assert_eq!(workers.lateness().count(), delays.len() as u64);
}

#[tokio::test]
async fn a_timer_taken_back_does_not_fire() {
    let workers = Workers::start(Some(1)).unwrap();
    let (tell, told) = oneshot::channel();
    workers.spawn_on(0, async move {
        let start = monotonic_now();
        let mut clock = Monotonic::default();
        {
            let mut early = Monotonic::default();
            let mut sleep = std::pin::pin!(sleep_until(&mut early, start + Duration::from_millis(1)));
            std::future::poll_fn(|cx| {
                assert!(sleep.as_mut().poll(cx).is_pending());
                std::task::Poll::Ready(())
            })
            .await;
        }
        sleep_until(&mut clock, start + Duration::from_millis(5)).await;
        tell.send(()).unwrap();
    });
    told.await.unwrap();
    assert_eq!(workers.lateness().count(), 1);
}

#[tokio::test]
async fn connections_go_where_least_is_open() {
    let workers = Workers::start(Some(2)).unwrap();
    assert_eq!((workers.place(0), workers.place(1)), (0, 1));
    workers.spawn_connection(0, std::future::pending());
    assert_eq!((workers.place(0), workers.place(1)), (1, 1));
    workers.spawn_connection(1, std::future::pending());
    assert_eq!((workers.place(0), workers.place(1)), (0, 1));
}

#[tokio::test]
async fn stopping_drops_every_task() {
    let workers = Workers::start(Some(2)).unwrap();
    let held = Arc::new(());
    let (tell, mut started) = mpsc::channel(2);
    for worker in 0..2 {
        let (held, tell) = (Arc::clone(&held), tell.clone());
        workers.spawn_on(worker, async move {
            tell.send(()).await.unwrap();
            std::future::pending::<()>().await;
            drop(held);
        });
    }
    started.recv().await.unwrap();
    started.recv().await.unwrap();
    assert!(workers.stop(Duration::from_secs(10)).await);
    assert_eq!(Arc::strong_count(&held), 1);
}
