//! The way through toxics: read, push, let happen what is due, write.

use std::io::IoSlice;
use std::task::{Context, Poll};

use sabot_toxics::{Direction, End, Frame, Pipeline, Time};
use tokio::io::ReadBuf;

use super::arrivals::Arrivals;
use super::chunk::{CHUNK, Chunk};
use super::flow::{Flow, Turn, Way};
use super::shared::ConnShared;
use crate::net::Stream;

/// Bytes that a flow may read in one turn, as on the fast way.
const TURN: usize = 1 << 20;

/// Frames in one write: 16 large ones are more than a socket takes at once.
const GATHERED: usize = 16;

/// What came of writing.
enum Written {
    /// Nothing is ready any more, or the socket is full.
    Done,
    /// The sink is gone.
    Failed,
    /// An end is next.
    End(End),
}

pub(super) fn poll(
    flow: &mut Flow,
    cx: &mut Context<'_>,
    from: &mut Stream,
    to: &mut Stream,
    shared: &ConnShared,
    now: Time,
) -> Turn {
    let Way::Staged(pipeline) = &mut flow.way else { return Turn::Wait };
    pipeline.advance(now);
    let mut left = TURN;
    let turn = loop {
        let Way::Staged(pipeline) = &mut flow.way else { break Turn::Wait };
        let sink = Sink { to, shared, gone: flow.write_ended, direction: flow.direction, now };
        match write(pipeline, cx, sink, flow.arrivals.as_mut()) {
            Written::Done => {}
            Written::Failed => break Turn::SinkReset,
            Written::End(End::Fin) if flow.write_ended => continue,
            Written::End(End::Fin) => break Turn::Fin,
            Written::End(end) => break Turn::Toxic(end),
        }
        if left == 0 {
            break Turn::Again;
        }
        match read(flow, cx, from, shared, now) {
            Some(bytes) => left = left.saturating_sub(bytes),
            None => break Turn::Wait,
        }
    };
    if let Way::Staged(pipeline) = &mut flow.way {
        pipeline.newly_applied(|entry| shared.applied(entry));
    }
    if turn == Turn::Wait {
        flow.leave_if_transparent(shared);
    }
    turn
}

/// Reads once and pushes; `None` if nothing can be read now.
fn read(
    flow: &mut Flow,
    cx: &mut Context<'_>,
    from: &mut Stream,
    shared: &ConnShared,
    now: Time,
) -> Option<usize> {
    let Way::Staged(pipeline) = &mut flow.way else { return None };
    if flow.read_ended {
        return None;
    }
    let appetite = pipeline.appetite();
    let granted = shared.policy.budget.grant(appetite, pipeline.held_bytes());
    flow.starved = granted == 0 && appetite > 0;
    if granted == 0 {
        return None;
    }
    let mut chunk = Chunk::take();
    let mut buf = ReadBuf::new(&mut chunk.buffer()[..granted.min(CHUNK)]);
    match from.poll_read(cx, &mut buf) {
        Poll::Pending => None,
        Poll::Ready(Ok(())) if !buf.filled().is_empty() => {
            let bytes = buf.filled().len();
            shared.add_received(flow.direction, bytes);
            if let Some(arrivals) = &mut flow.arrivals {
                arrivals.came(bytes, now);
            }
            pipeline.push(now, Frame::Data(chunk.into_bytes(bytes)));
            Some(bytes)
        }
        Poll::Ready(ended) => {
            flow.read_ended = true;
            flow.source_reset = ended.is_err() || flow.source_broken;
            let end = if flow.source_reset { End::Reset } else { End::Fin };
            pipeline.push(now, Frame::End(end));
            Some(0)
        }
    }
}

/// Where a direction writes to.
struct Sink<'a> {
    to: &'a mut Stream,
    shared: &'a ConnShared,
    /// It swallows.
    gone: bool,
    direction: Direction,
    now: Time,
}

/// Writes what is ready, up to an end.
fn write(
    pipeline: &mut Pipeline,
    cx: &mut Context<'_>,
    sink: Sink<'_>,
    mut arrivals: Option<&mut Arrivals>,
) -> Written {
    if let Some(arrivals) = arrivals.as_deref_mut()
        && pipeline.held_bytes() == 0
    {
        arrivals.clear();
    }
    let Sink { to, shared, gone, direction, now } = sink;
    let separate = pipeline.separate_writes();
    let ready = pipeline.ready();
    loop {
        let data = match ready.front() {
            None => return Written::Done,
            Some(Frame::Data(data)) => data,
            Some(Frame::End(end)) => {
                let end = *end;
                ready.pop_front();
                return Written::End(end);
            }
        };
        if gone {
            ready.pop_front();
            continue;
        }
        let written = if separate || ready.bytes() == data.len() {
            to.poll_write(cx, data)
        } else {
            let mut parts = [IoSlice::new(&[]); GATHERED];
            let mut count = 0;
            for frame in ready.iter().take(GATHERED) {
                let Frame::Data(data) = frame else { break };
                parts[count] = IoSlice::new(data);
                count += 1;
            }
            to.poll_write_vectored(cx, &parts[..count])
        };
        match written {
            // A reset does not wait for a peer that does not read.
            Poll::Pending if ready.ended() == Some(End::Reset) => return Written::End(End::Reset),
            Poll::Pending => return Written::Done,
            Poll::Ready(Err(_)) => return Written::Failed,
            Poll::Ready(Ok(bytes)) => {
                shared.add_sent(direction, bytes);
                if let Some(arrivals) = arrivals.as_deref_mut() {
                    shared.set_delayed(arrivals.left(bytes, now));
                }
                ready.advance_bytes(bytes);
            }
        }
    }
}
