//! Bytes both ways, once both sides have changed the protocol.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use http_body::Frame;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use sabot_toxics::http::body::Step;
use sabot_toxics::http::tunnel::Layers;
use sabot_toxics::http::{Body, Fault, Tunnel};
use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use crate::relay::ConnShared;

/// Bytes of one read: as many as tokio's copy takes.
const READ: usize = 8 * 1024;

/// Passes bytes between the client and the upstream until both have sent their FIN, or
/// one breaks off, and through what the faults put in their way. Without faults it is a
/// plain copy.
pub(super) async fn pass(shared: Arc<ConnShared>, ends: (OnUpgrade, OnUpgrade), faults: Tunnel) {
    let (Ok(client), Ok(upstream)) = tokio::join!(ends.0, ends.1) else { return };
    let (mut client, mut upstream) = (TokioIo::new(client), TokioIo::new(upstream));
    let Some([up, down]) = faults.take() else {
        if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut upstream).await {
            broke(&shared, &error);
        }
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

/// Has the client hear of a reset; before its side is dropped.
fn broke(shared: &ConnShared, error: &io::Error) {
    if error.kind() == io::ErrorKind::ConnectionReset {
        shared.reset();
    }
}

/// The tunnel is to end.
struct Broken;

/// One direction, through its faults.
async fn through(
    shared: &Arc<ConnShared>,
    source: ReadHalf<TokioIo<Upgraded>>,
    faults: Layers,
    mut sink: WriteHalf<TokioIo<Upgraded>>,
) -> Result<(), Broken> {
    let source = Source { shared: Arc::clone(shared), half: source, room: BytesMut::new() };
    let mut bytes = faults.around(Body::driven(source, Source::read));
    let broken = |error: io::Error| {
        broke(shared, &error);
        Broken
    };
    while let Some(frame) = bytes.next().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => sink.write_all(&data).await.map_err(broken)?,
            Ok(Err(_)) => {}
            Err(fault) => {
                if matches!(fault, Fault::Reset(_)) {
                    shared.reset_by_fault();
                }
                return Err(Broken);
            }
        }
    }
    sink.shutdown().await.map_err(broken)
}

/// Where the bytes of a direction come from.
struct Source {
    shared: Arc<ConnShared>,
    half: ReadHalf<TokioIo<Upgraded>>,
    room: BytesMut,
}

impl Source {
    async fn read(mut self) -> Step<Self> {
        self.room.reserve(READ);
        match self.half.read_buf(&mut self.room).await {
            Ok(0) => None,
            Ok(_) => Some((Ok(Frame::data(self.room.split().freeze())), self)),
            Err(error) => {
                broke(&self.shared, &error);
                Some((Err(Fault::Close), self))
            }
        }
    }
}
