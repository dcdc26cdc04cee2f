//! Bytes both ways, once both sides have changed the protocol.

use std::io;
use std::sync::Arc;

use bytes::BytesMut;
use http_body::Frame;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
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
    let ended = match faults.take() {
        None => tokio::io::copy_bidirectional(&mut client, &mut upstream)
            .await
            .map(drop)
            .map_err(|error| broken(&error)),
        Some([up, down]) => {
            let (from_client, to_client) = tokio::io::split(client);
            let (from_upstream, to_upstream) = tokio::io::split(upstream);
            let both = tokio::try_join!(
                through(from_client, up, to_upstream),
                through(from_upstream, down, to_client)
            );
            both.map(drop)
        }
    };
    match ended {
        // What one side meant by its reset, the other hears too.
        Err(Broken::Reset) => shared.reset(),
        Err(Broken::Fault) => shared.reset_by_fault(),
        Ok(()) | Err(Broken::Off) => {}
    }
}

/// How a tunnel broke.
enum Broken {
    /// One side sent RST.
    Reset,
    /// A fault is to reset both.
    Fault,
    /// Any other way: both are closed.
    Off,
}

fn broken(error: &io::Error) -> Broken {
    if error.kind() == io::ErrorKind::ConnectionReset { Broken::Reset } else { Broken::Off }
}

/// One direction, through its faults.
async fn through(
    source: ReadHalf<TokioIo<Upgraded>>,
    faults: Layers,
    mut sink: WriteHalf<TokioIo<Upgraded>>,
) -> Result<(), Broken> {
    let mut bytes = faults.around(Body::driven((source, BytesMut::new()), read));
    while let Some(frame) = bytes.next().await {
        match frame.map(Frame::into_data) {
            Ok(Ok(data)) => sink.write_all(&data).await.map_err(|error| broken(&error))?,
            Ok(Err(_)) => {}
            Err(Fault::Reset(_)) => return Err(Broken::Fault),
            Err(Fault::Upstream { reason: RESET, .. }) => return Err(Broken::Reset),
            Err(_) => return Err(Broken::Off),
        }
    }
    sink.shutdown().await.map_err(|error| broken(&error))
}

/// Tells a reset that came from a socket from one that a fault wants.
const RESET: &str = "reset";

type Reading = (ReadHalf<TokioIo<Upgraded>>, BytesMut);

async fn read((mut source, mut room): Reading) -> sabot_toxics::http::body::Step<Reading> {
    room.reserve(READ);
    match source.read_buf(&mut room).await {
        Ok(0) => None,
        Ok(_) => Some((Ok(Frame::data(room.split().freeze())), (source, room))),
        Err(error) => {
            let reason = if matches!(broken(&error), Broken::Reset) { RESET } else { "closed" };
            Some((Err(Fault::Upstream { reason, message: error.to_string() }), (source, room)))
        }
    }
}
