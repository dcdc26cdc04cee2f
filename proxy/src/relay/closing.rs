//! The orderly close that a toxic asks for: what is ready is written, both peers
//! get a FIN, and what they still send is read and dropped for a moment. A socket
//! closed with unread input says RST instead, and the peer's kernel may then throw
//! away the last bytes that it was sent.

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes};
use sabot_toxics::Time;
use tokio::io::ReadBuf;

use super::chunk::Chunk;
use super::flow::Flow;
use super::shared::ConnShared;
use crate::net::Stream;

/// How long both peers have to read the rest and close too.
const LINGER: Duration = Duration::from_millis(250);

/// A close in progress.
#[derive(Debug)]
pub(super) struct Closing {
    until: Time,
    /// Per peer, how far its close has come.
    sides: [Side; 2],
}

#[derive(Debug, Default)]
struct Side {
    /// What is still to be written to it; none once it was collected.
    rest: Option<VecDeque<Bytes>>,
    fin_sent: bool,
    ended: bool,
}

impl Closing {
    pub(super) fn new(now: Time) -> Self {
        Self { until: now + LINGER, sides: Default::default() }
    }

    /// When it is over whatever the peers do.
    pub(super) fn until(&self) -> Time {
        self.until
    }

    /// Ready once both peers have closed or the time is up.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        peers: &mut [Stream; 2],
        flows: &mut [Flow; 2],
        shared: &ConnShared,
        now: Time,
    ) -> Poll<()> {
        if now >= self.until {
            return Poll::Ready(());
        }
        for (index, (side, peer)) in self.sides.iter_mut().zip(peers).enumerate() {
            // The client, peer 0, is the sink of the downstream flow, 1.
            let flow = &mut flows[1 - index];
            let rest = side.rest.get_or_insert_with(|| flow.take_ready().into());
            side.fin_sent = side.fin_sent || {
                let written = flow.has_ended() || write(rest, cx, peer, shared, flow);
                if written {
                    peer.shutdown_write();
                }
                written
            };
            side.ended = side.ended || drain(cx, peer);
        }
        if self.sides.iter().all(|side| side.fin_sent && side.ended) {
            return Poll::Ready(());
        }
        Poll::Pending
    }
}

/// True when nothing is left to write.
fn write(
    rest: &mut VecDeque<Bytes>,
    cx: &mut Context<'_>,
    peer: &mut Stream,
    shared: &ConnShared,
    flow: &Flow,
) -> bool {
    while let Some(data) = rest.front_mut() {
        match peer.poll_write(cx, data) {
            Poll::Pending => return false,
            Poll::Ready(Err(_)) => return true,
            Poll::Ready(Ok(bytes)) => {
                shared.add_sent(flow.direction, bytes);
                data.advance(bytes);
                if data.is_empty() {
                    rest.pop_front();
                }
            }
        }
    }
    true
}

/// Reads and drops; true at the end of the stream.
fn drain(cx: &mut Context<'_>, peer: &mut Stream) -> bool {
    let mut chunk = Chunk::take();
    loop {
        let mut buf = ReadBuf::new(chunk.buffer());
        match peer.poll_read(cx, &mut buf) {
            Poll::Pending => return false,
            Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
            Poll::Ready(_) => return true,
        }
    }
}
