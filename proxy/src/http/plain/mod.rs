//! The short way of requests that no fault wants to see.
//!
//! Most requests are a head and perhaps a few bytes, most answers a head and bytes
//! that need not be looked at. Those go through here: the heads are read and written
//! again, the bodies copied. A client that asks for anything else – HTTP/2, a body that
//! is still to come, a change of protocol, a request that matches a fault, or what is no
//! HTTP at all – is left to hyper for good, with what was read of it. The rooms:
//!
//! - [`head`]: heads, read and written
//! - [`framing`]: where a body ends
//! - [`exchange`]: one request and its answer
//! - `laws`: what must hold of the readers, for tests alone
//!
//! How it compares with hyper alone stands in `docs/benchmarks.md`.

mod exchange;
mod framing;
mod head;
#[cfg(any(test, feature = "fuzzing"))]
pub(super) mod laws;

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use sabot_toxics::{Plan, Time};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::session::{BUFFER, Session};
use super::stats::Seen;
use crate::net::timers::monotonic_now;
use crate::net::{Clock, Monotonic};
use crate::relay::ConnShared;
use head::Asked;

/// What becomes of the connection.
pub(super) enum After {
    /// Another way goes on with it; these bytes of the client's were read already.
    Other(Vec<u8>),
    /// It is over.
    Ended,
}

/// The client's side, between and during requests.
struct Client<'a, Io> {
    io: &'a mut Io,
    /// What was read and not used. No more than [`BUFFER`], and one read.
    input: Vec<u8>,
    /// Runs until `alarm`, which may lie before the moment that counts: so that a request
    /// does not cost a timer.
    clock: Monotonic,
    alarm: Time,
    shared: &'a ConnShared,
    /// The answer at hand is the last, and says so.
    last: bool,
}

/// What became of waiting for the client.
enum More {
    /// There is more to read.
    Came,
    /// The client has sent its FIN.
    Fin,
    /// The connection is to end, and the client has begun nothing.
    Leave,
}

/// Answers requests as long as they can go this way.
pub(super) async fn serve<Io>(session: &Arc<Session>, io: &mut Io) -> After
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    if session.originator().is_some() {
        // Kept connections are bare sockets here.
        return After::Other(Vec::new());
    }
    let mut client = Client {
        io,
        input: Vec::new(),
        clock: Monotonic::default(),
        alarm: Time::ZERO,
        shared: &session.shared,
        last: false,
    };
    let (mut version, mut plan) = session.shared.policy.plan();
    loop {
        if client.input.is_empty() {
            // Who waits for a client's next request should hold no memory for it.
            client.input = Vec::new();
        }
        let give_up = monotonic_now() + session.head_timeout;
        let (request, bytes) = loop {
            if session.shared.policy.version() != version {
                (version, plan) = session.shared.policy.plan();
            }
            let mut bytes = Vec::new();
            match head::request(&client.input, &mut bytes, &session.changes, |head| meets(&plan, head)) {
                Asked::Plain(request) if request.body <= client.input.len() - request.head => {
                    break (request, bytes);
                }
                Asked::Plain(_) | Asked::Other => return After::Other(client.input),
                Asked::Part => {}
            }
            match client.more(give_up).await {
                Ok(More::Fin) if client.input.is_empty() => return After::Ended,
                Ok(More::Fin) => return After::Other(client.input),
                Ok(More::Came) => {}
                Ok(More::Leave) => return client.end().await,
                Err(_) => return After::Ended,
            }
        };
        session.begin();
        let seen = Seen::new(session, session.proxy.next_request(), request.method, || {
            let (method, host, path) = head::line(&client.input[..request.head]);
            ("HTTP/1.1", method, host, path)
        });
        let whole = request.head + request.body;
        let mut bytes = bytes;
        bytes.extend_from_slice(&client.input[request.head..whole]);
        client.input.drain(..whole);
        if exchange::run(session, &seen, &mut client, &request, bytes).await.is_err() {
            return After::Ended;
        }
        seen.finish_alone();
        if client.last {
            return client.end().await;
        }
    }
}

fn meets(plan: &Plan, head: &head::Raw<'_>) -> bool {
    plan.meets(head, monotonic_now)
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Client<'_, Io> {
    /// Ends it as a server does, so that the client reads all that it was sent.
    async fn end(&mut self) -> After {
        // A client that is gone is none to end with.
        let _ = poll_fn(|cx| Pin::new(&mut *self.io).poll_shutdown(cx)).await;
        After::Ended
    }

    /// Reads what comes next. Cancel safe.
    ///
    /// # Errors
    /// The client is gone, or `give_up` has come.
    async fn more(&mut self, give_up: Time) -> io::Result<More> {
        poll_fn(|cx| {
            if let Poll::Ready(read) = self.poll_more(cx) {
                return Poll::Ready(read.map(|read| if read == 0 { More::Fin } else { More::Came }));
            }
            if self.input.is_empty() && self.shared.is_leaving() {
                return Poll::Ready(Ok(More::Leave));
            }
            loop {
                if self.alarm > give_up || self.alarm == Time::ZERO {
                    self.alarm = give_up;
                }
                ready!(self.clock.poll_until(cx, self.alarm));
                if self.alarm >= give_up {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                self.alarm = give_up;
            }
        })
        .await
    }

    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        poll_scratch(self.io, cx, |_, data| self.input.extend_from_slice(data))
    }

    /// Ready once the client has gone while it waits for its answer; what it sends
    /// meanwhile is kept, up to a bound.
    fn poll_gone(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.input.len() < BUFFER {
            match ready!(self.poll_more(cx)) {
                Ok(0) | Err(_) => return Poll::Ready(()),
                Ok(_) => {}
            }
        }
        Poll::Pending
    }
}

thread_local! {
    /// Where a worker reads to: what is read is looked at at once, so one is enough for
    /// all of its connections, and those that wait hold none.
    static SCRATCH: RefCell<Box<[u8]>> = RefCell::new(vec![0; BUFFER].into());
}

/// Reads what is there and hands it to `with`; the number of bytes, 0 at a FIN.
fn poll_scratch(
    io: &mut (impl AsyncRead + Unpin),
    cx: &mut Context<'_>,
    with: impl FnOnce(&mut Context<'_>, &[u8]),
) -> Poll<io::Result<usize>> {
    SCRATCH.with_borrow_mut(|scratch| {
        let mut buffer = ReadBuf::new(scratch);
        ready!(Pin::new(io).poll_read(cx, &mut buffer))?;
        let read = buffer.filled().len();
        with(cx, buffer.filled());
        Poll::Ready(Ok(read))
    })
}
