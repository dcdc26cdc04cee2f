//! Bytes both ways, once both sides have changed the protocol.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::BytesMut;
use http_body::Frame;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sabot_toxics::http::body::Step;
use sabot_toxics::http::tunnel::Layers;
use sabot_toxics::http::{Body, Fault, Tunnel};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};

use super::leg::Below;
use crate::relay::{ConnShared, Reason};

/// Bytes of one read: as many as tokio's copy takes.
const READ: usize = 8 * 1024;

/// The connection that a tunnel is of.
#[derive(Clone)]
pub(super) struct Of {
    pub(super) shared: Arc<ConnShared>,
    pub(super) below: Arc<Below>,
}

/// Passes bytes between the client and the upstream until both have sent their FIN, or
/// one breaks off, and through what the faults put in their way. Without faults it is a
/// plain copy.
pub(super) async fn pass(of: Of, ends: (OnUpgrade, OnUpgrade), faults: Tunnel) {
    let (Ok(client), Ok(upstream)) = tokio::join!(ends.0, ends.1) else { return };
    let shared = Arc::clone(&of.shared);
    let side = |io, reset| Side { io: TokioIo::new(io), of: of.clone(), reset };
    let mut client = side(client, Reason::ClientReset);
    let mut upstream = side(upstream, Reason::UpstreamReset);
    let Some([up, down]) = faults.take() else {
        // Both hear of a reset by what the sides have noted.
        let _ = tokio::io::copy_bidirectional(&mut client, &mut upstream).await;
        return;
    };
    let (from_client, to_client) = tokio::io::split(client);
    let (from_upstream, to_upstream) = tokio::io::split(upstream);
    // What breaks one direction ends both.
    let _ = tokio::try_join!(
        through(&shared, from_client, up, to_upstream),
        through(&shared, from_upstream, down, to_client)
    );
}

/// The tunnel is to end.
struct Broken;

/// One direction, through its faults.
async fn through(
    shared: &ConnShared,
    source: ReadHalf<Side>,
    faults: Layers,
    mut sink: WriteHalf<Side>,
) -> Result<(), Broken> {
    let source = Source { half: source, room: BytesMut::new() };
    let mut bytes = faults.around(Body::driven(source, Source::read));
    while let Some(frame) = bytes.next().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => sink.write_all(&data).await.map_err(|_| Broken)?,
            Ok(Err(_)) => {}
            Err(fault) => {
                if matches!(fault, Fault::Reset(_)) {
                    shared.reset_by_fault();
                }
                return Err(Broken);
            }
        }
    }
    sink.shutdown().await.map_err(|_| Broken)
}

/// Where the bytes of a direction come from.
struct Source {
    half: ReadHalf<Side>,
    room: BytesMut,
}

impl Source {
    async fn read(mut self) -> Step<Self> {
        self.room.reserve(READ);
        match self.half.read_buf(&mut self.room).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Frame::data(self.room.split().freeze())), self)),
            Err(_) => Some((Err(Fault::Close), self)),
        }
    }
}

/// One side, which notes when it is reset: the other is to hear of it as such, before
/// either socket is dropped.
struct Side {
    io: TokioIo<Upgraded>,
    of: Of,
    /// The reason if it is this side that was reset.
    reset: Reason,
}

impl Side {
    fn noted<T>(&self, result: io::Result<T>) -> io::Result<T> {
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::ConnectionReset
        {
            self.of.below.broke(self.reset);
            self.of.shared.reset();
        }
        result
    }
}

impl AsyncRead for Side {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf).map(|read| self.noted(read))
    }
}

impl AsyncWrite for Side {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, data: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, data).map(|written| self.noted(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx).map(|flushed| self.noted(flushed))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx).map(|ended| self.noted(ended))
    }
}
