//! Sockets and their limits: what a request must not be able to hold.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use sabot_proxy::Controller;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use crate::security::Peer;
use crate::{ApiOptions, app, metrics};

type Service = TowerToHyperService<axum::Router>;

/// A pause after an accept that failed for want of descriptors or memory:
/// trying again at once would only burn a core.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

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
    let (places, drain) = (Arc::new(Semaphore::new(options.max_connections)), options.drain);
    let service = TowerToHyperService::new(app::with_stop(controller, options, stopping.clone()).await);
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut upkeep = pin!(metrics::upkeep());
    loop {
        let accepted = tokio::select! {
            accepted = accept(&listener, &places) => accepted,
            Some(_) = connections.join_next() => continue,
            () = &mut upkeep => continue,
            () = &mut shutdown => break,
        };
        let (stream, peer, place) = accepted;
        let (http, service, stopping) = (Arc::clone(&http), service.clone(), stopping.clone());
        let tls = tls.clone();
        connections.spawn(async move {
            match tls {
                None => converse(&http, stream, peer, service, stopping).await,
                Some(tls) => match tokio::time::timeout(HANDSHAKE_LIMIT, tls.accept(stream)).await {
                    Ok(Ok(stream)) => converse(&http, stream, peer, service, stopping).await,
                    Ok(Err(error)) => tracing::debug!(%error, "a client of the API failed at TLS"),
                    Err(_) => tracing::debug!("a client of the API took too long for TLS"),
                },
            }
            drop(place);
        });
    }
    drop(listener);
    stop.send_replace(true);
    let drained = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(drain, drained).await.is_err() {
        tracing::warn!("closing connections to the API that did not end in time");
    }
}

/// Answers the requests of one connection.
async fn converse<I>(
    http: &http1::Builder,
    io: I,
    peer: SocketAddr,
    service: Service,
    stopping: watch::Receiver<bool>,
) where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(Peer(peer.ip()));
        service.call(request)
    });
    let mut connection = pin!(http.serve_connection(TokioIo::new(io), service));
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = stopped(stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    // A client that went away or spoke something else: its affair.
    if let Err(error) = ended {
        tracing::debug!(error = %error, "a connection to the API ended early");
    }
}

/// Ready when the server stops.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error says that the server was dropped: stopped as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// The next connection, once there is a place for it. Cancel safe.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> (TcpStream, SocketAddr, Option<OwnedSemaphorePermit>) {
    // The semaphore is never closed.
    let place = Arc::clone(places).acquire_owned().await.ok();
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                // Without it small answers wait for the client's delayed ACK.
                if let Err(error) = stream.set_nodelay(true) {
                    tracing::debug!(%error, "failed to set TCP_NODELAY on a connection to the API");
                }
                return (stream, peer, place);
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
