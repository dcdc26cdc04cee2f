//! Bytes both ways between a client and an upstream of which one at least is under TLS.
//!
//! An end travels like the bytes: `close_notify` and FIN as either, a FIN without
//! `close_notify` as a FIN without, a reset as a reset.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// One read's size: a record of TLS holds 16 KiB.
const CHUNK: usize = 32 * 1024;

/// Reads of one turn before others have theirs.
const TURN: usize = 16;

thread_local! {
    static ROOM: RefCell<Vec<u8>> = RefCell::new(vec![0; CHUNK]);
}

/// One side.
pub(super) trait Side: AsyncRead + AsyncWrite + Unpin {
    /// Ends what goes to this side; `torn` is without the `close_notify` of TLS.
    fn poll_end(&mut self, cx: &mut Context<'_>, torn: bool) -> Poll<io::Result<()>>;
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Both sides have ended.
    Finished,
    /// The client is gone.
    Client,
    /// The client is there and broke TLS; it is told so by an alert.
    ClientTls,
    /// The upstream is gone, or broke TLS.
    Upstream,
}

/// Copies until both directions have ended or a side breaks. Cancel safe in that what
/// was read and not written yet is lost with the future.
pub(super) async fn both(client: &mut impl Side, upstream: &mut impl Side) -> Ended {
    let (mut up, mut down) = (Way::default(), Way::default());
    // A side that takes nothing more: what it has sent before comes first.
    let mut broken = None;
    poll_fn(|cx| {
        let (went_up, went_down) = (up.poll(cx, client, upstream), down.poll(cx, upstream, client));
        for (way, sink, went) in
            [(&mut up, Ended::Upstream, &went_up), (&mut down, Ended::Client, &went_down)]
        {
            if matches!(went, Poll::Ready(Err(Broken::Sink))) {
                way.done = true;
                broken.get_or_insert(sink);
                cx.waker().wake_by_ref();
            }
        }
        match (went_up, went_down) {
            (Poll::Ready(Err(Broken::Garbled)), _) => Poll::Ready(Ended::ClientTls),
            (Poll::Ready(Err(Broken::Source)), _) => Poll::Ready(broken.unwrap_or(Ended::Client)),
            (_, Poll::Ready(Err(Broken::Source | Broken::Garbled))) => {
                Poll::Ready(broken.unwrap_or(Ended::Upstream))
            }
            (Poll::Ready(Ok(())), Poll::Ready(Ok(()))) => Poll::Ready(broken.unwrap_or(Ended::Finished)),
            _ => Poll::Pending,
        }
    })
    .await
}

/// How a direction broke.
enum Broken {
    /// The source is gone.
    Source,
    /// The source sent what is no TLS of this connection.
    Garbled,
    /// The sink takes nothing more.
    Sink,
}

/// One direction.
#[derive(Default)]
struct Way {
    /// What the sink did not take yet; empty without a buffer while nothing flows.
    rest: Vec<u8>,
    written: usize,
    /// Whether the source has ended, and if so without `close_notify`.
    ended: Option<bool>,
    done: bool,
}

impl Way {
    fn poll(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut impl Side,
        to: &mut impl Side,
    ) -> Poll<Result<(), Broken>> {
        if self.done {
            return Poll::Ready(Ok(()));
        }
        for _ in 0..TURN {
            while self.written < self.rest.len() {
                match Pin::new(&mut *to).poll_write(cx, &self.rest[self.written..]) {
                    Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Broken::Sink)),
                    Poll::Ready(Ok(more)) => self.written += more,
                    Poll::Pending => return Poll::Pending,
                }
            }
            (self.rest, self.written) = (Vec::new(), 0);
            if let Some(torn) = self.ended {
                return match to.poll_end(cx, torn) {
                    Poll::Pending => Poll::Pending,
                    Poll::Ready(Err(_)) => Poll::Ready(Err(Broken::Sink)),
                    Poll::Ready(Ok(())) => {
                        self.done = true;
                        Poll::Ready(Ok(()))
                    }
                };
            }
            match self.read(cx, from, to) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(broken)) => return Poll::Ready(Err(broken)),
                Poll::Pending => {
                    // Sealed and not sent yet.
                    return match Pin::new(&mut *to).poll_flush(cx) {
                        Poll::Ready(Err(_)) => Poll::Ready(Err(Broken::Sink)),
                        _ => Poll::Pending,
                    };
                }
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    /// Reads once and writes what the sink takes.
    fn read(
        &mut self,
        cx: &mut Context<'_>,
        from: &mut impl Side,
        to: &mut impl Side,
    ) -> Poll<Result<(), Broken>> {
        ROOM.with_borrow_mut(|room| {
            let mut buf = ReadBuf::new(room);
            match Pin::new(from).poll_read(cx, &mut buf) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(())) => {}
                // rustls says so of a FIN without `close_notify`.
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    self.ended = Some(true);
                    return Poll::Ready(Ok(()));
                }
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::InvalidData => {
                    return Poll::Ready(Err(Broken::Garbled));
                }
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Broken::Source)),
            }
            let data = buf.filled();
            if data.is_empty() {
                self.ended = Some(false);
                return Poll::Ready(Ok(()));
            }
            match Pin::new(to).poll_write(cx, data) {
                Poll::Ready(Ok(0) | Err(_)) => return Poll::Ready(Err(Broken::Sink)),
                Poll::Ready(Ok(written)) => self.rest = data[written..].to_vec(),
                Poll::Pending => self.rest = data.to_vec(),
            }
            Poll::Ready(Ok(()))
        })
    }
}
