//! A gRPC server with one unary method, on one thread: whatever is asked, it answers
//! the same message.

use std::future::poll_fn;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use anyhow::{Context, Result};
use bytes::Bytes;
use h2::RecvStream;
use h2::server::SendResponse;
use http::{HeaderMap, HeaderValue, Request, Response};
use tokio::net::TcpStream;
use tokio::runtime::Builder;

/// The method's path.
pub const PATH: &str = "/bench.Bench/Unary";
/// As small as most messages are.
const PAYLOAD: [u8; 32] = [b'x'; 32];

/// A running server; it lives as long as the process.
pub struct Server {
    /// Where it listens.
    pub address: SocketAddr,
    answered: Arc<AtomicU64>,
}

impl Server {
    /// Starts it on a free loopback port.
    ///
    /// # Errors
    /// No port is free, or no thread can be started.
    pub fn start() -> Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let (address, answered) = (listener.local_addr()?, Arc::new(AtomicU64::new(0)));
        let count = Arc::clone(&answered);
        let runtime = Builder::new_current_thread().enable_io().build()?;
        thread::Builder::new().name("grpc".into()).spawn(move || {
            runtime.block_on(async {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                while let Ok((stream, _)) = listener.accept().await {
                    tokio::spawn(serve(stream, Arc::clone(&count)));
                }
            });
        })?;
        Ok(Self { address, answered })
    }

    /// How many calls it has answered so far. A proxy that cannot reach it answers
    /// with status 200 as well.
    #[must_use]
    pub fn answered(&self) -> u64 {
        self.answered.load(Ordering::Relaxed)
    }
}

/// A message as gRPC frames it: not compressed, the length, the bytes.
#[must_use]
pub fn message() -> Bytes {
    let length = PAYLOAD.len() as u32;
    let parts = [&[0][..], &length.to_be_bytes(), &PAYLOAD];
    parts.concat().into()
}

async fn serve(stream: TcpStream, answered: Arc<AtomicU64>) {
    let _ = stream.set_nodelay(true);
    let Ok(mut connection) = h2::server::handshake(stream).await else { return };
    while let Some(Ok((request, respond))) = connection.accept().await {
        let answered = Arc::clone(&answered);
        tokio::spawn(async move {
            if answer(request, respond).await.is_ok() {
                answered.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
}

/// A unary method reads the whole message before it answers.
async fn answer(request: Request<RecvStream>, mut respond: SendResponse<Bytes>) -> Result<()> {
    let mut body = request.into_body();
    while let Some(data) = poll_fn(|cx| body.poll_data(cx)).await {
        body.flow_control().release_capacity(data?.len())?;
    }
    let head = Response::builder().header("content-type", "application/grpc").body(())?;
    let mut stream = respond.send_response(head, false).context("failed to answer")?;
    stream.send_data(message(), false)?;
    let trailers = HeaderMap::from_iter([("grpc-status".parse()?, HeaderValue::from_static("0"))]);
    Ok(stream.send_trailers(trailers)?)
}
