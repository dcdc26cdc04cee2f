//! Sockets and their limits: what a request must not be able to hold.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sabot_proxy::Controller;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::places::{Place, Places};
use crate::security::Peer;
use crate::{ApiOptions, app, metrics};

type Service = TowerToHyperService<axum::Router>;

/// A pause after an accept that failed for want of descriptors or memory:
/// trying again at once would only burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long a connection that is to make room may take over what it still has to send, after which it is
/// closed.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// How long a client's TLS handshake may take.
const HANDSHAKE_LIMIT: Duration = Duration::from_secs(10);

/// Serves the API on `listener` until `shutdown` is ready.
///
/// Then no connection is accepted any more, event streams end, and answers that
/// are under way get [`ApiOptions::drain`] to finish. Dropping the future closes
/// everything at once.
///
/// ```
/// use sabot_admin_api::{ApiOptions, serve};
/// use sabot_proxy::{Controller, Options};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let controller = Controller::start(&Options::default())?;
/// let listener = tokio::net::TcpListener::bind("localhost:8474").await?;
/// serve(listener, controller, ApiOptions::default(), std::future::pending()).await;
/// # Ok(())
/// # }
/// ```
pub async fn serve(
    listener: TcpListener,
    controller: Controller,
    options: ApiOptions,
    shutdown: impl Future<Output = ()>,
) {
    let (stop, stopping) = watch::channel(false);
    let http = Arc::new(http(&options));
    let tls = options.tls.clone().map(TlsAcceptor::from);
    let (places, drain) = (Places::new(options.max_connections), options.drain);
    let service = TowerToHyperService::new(app::with_stop(controller, options, stopping.clone()).await);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut upkeep = pin!(metrics::upkeep());
    // Not begun anew when something else is ready: who was asked to make room is asked once.
    let mut accepting = Box::pin(accept(&listener, &places));
    loop {
        let (stream, peer, place) = tokio::select! {
            accepted = &mut accepting => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut upkeep => continue,
            () = &mut shutdown => break,
        };
        accepting.set(accept(&listener, &places));
        let (http, service, stopping) = (Arc::clone(&http), service.clone(), stopping.clone());
        let tls = tls.clone();
        connections.spawn(async move {
            match tls {
                None => converse(&http, stream, peer, service, &place, stopping).await,
                Some(tls) => match handshake(&tls, stream, &place).await {
                    Ok(stream) => converse(&http, stream, peer, service, &place, stopping).await,
                    Err(error) => tracing::debug!(%error, "a client of the API failed at TLS"),
                },
            }
        });
    }
    drop(accepting);
    drop(listener);
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!("closing connections to the API that did not end in time");
    }
}

async fn handshake(tls: &TlsAcceptor, stream: TcpStream, place: &Place) -> io::Result<TlsStream<TcpStream>> {
    tokio::select! {
        stream = tls.accept(stream) => stream,
        () = tokio::time::sleep(HANDSHAKE_LIMIT) => Err(io::ErrorKind::TimedOut.into()),
        () = place.asked() => Err(io::Error::other("its place was needed for another")),
    }
}

/// Answers the requests of one connection, until its place is needed while it asks for nothing.
async fn converse<I>(
    http: &http1::Builder,
    io: I,
    peer: SocketAddr,
    service: Service,
    place: &Arc<Place>,
    stopping: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(|mut request: Request<Incoming>| {
        let busy = place.busy();
        request.extensions_mut().insert(Peer(peer.ip()));
        let answering = service.call(request);
        async {
            // An answer is under way until the last of its body has gone.
            let held = move |frame| {
                let _ = &busy;
                frame
            };
            answering.await.map(|answer| answer.map(|body| body.map_frame(held)))
        }
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(io), service));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopped(stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
        () = place.asked() => {
            connection.as_mut().graceful_shutdown();
            leave(connection, place).await
        }
    };
    // A client that went away or spoke something else: its affair.
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection to the API ended early");
    }
}

/// Goes on with a connection that is to end as long as it has something to say.
async fn leave<E>(
    mut connection: impl Future<Output = Result<(), E>> + Unpin,
    place: &Place,
) -> Result<(), E> {
    while place.is_used() {
        tokio::select! {
            ended = &mut connection => return ended,
            () = tokio::time::sleep(LAST_WORDS) => {}
        }
        if place.is_idle() {
            break;
        }
    }
    Ok(())
}

/// Ready when the server stops.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error says that the server was dropped: stopped as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// The next connection, once there is a place for it.
async fn accept(listener: &TcpListener, places: &Arc<Places>) -> (TcpStream, SocketAddr, Arc<Place>) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Without it small answers wait for the client's delayed ACK.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "failed to set TCP_NODELAY on a connection to the API");
                }
                return (stream, peer, places.next().await);
            }
            Err(error) => {
                tracing::warn!(%error, "failed to accept a connection to the API");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn http(options: &ApiOptions) -> http1::Builder {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .header_read_timeout(options.header_timeout)
        .max_headers(options.max_headers)
        .max_header_size(options.max_head)
        // Clients that send everything and shut their writing side still read.
        .half_close(true);
    http
}
