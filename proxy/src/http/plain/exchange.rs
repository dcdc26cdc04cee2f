//! One request and its answer, over a connection to the upstream.

use std::future::poll_fn;
use std::io;
use std::io::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite};

use super::framing::{Framing, Scanned};
use super::head::{self, Answer, Request};
use super::{Client, poll_scratch};
use crate::http::forward::{failure, reach};
use crate::http::pool::Unreached;
use crate::http::session::Session;
use crate::http::stats::Seen;
use crate::net::timers::monotonic_now;
use crate::net::{Stream, dial};
use sabot_toxics::http::Fault;

/// The connection to the client cannot go on.
pub(super) struct Over;

/// Why there is no answer.
enum Broke {
    /// The client has gone.
    Client,
    /// The upstream has, perhaps before a byte of its answer.
    Upstream { silent: bool },
    /// What the upstream sent is no answer.
    Answer(&'static str),
}

/// Bytes to be written, and how many of them are.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    sent: usize,
}

/// Sends `bytes`, the whole of `request`, up and the answer down.
///
/// # Errors
/// The connection to the client cannot go on.
pub(super) async fn run<Io>(
    session: &Session,
    seen: &Seen,
    client: &mut Client<'_, Io>,
    request: &Request,
    bytes: Vec<u8>,
) -> Result<(), Over>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let upstream = &session.shared.upstream;
    let mut unsent = Unsent { bytes, sent: 0 };
    let sent = monotonic_now();
    let (mut stream, mut input, answer, down) = loop {
        let (mut stream, reused) = match session.pool.plain(upstream) {
            Some(stream) => {
                session.pool.stats.reused();
                (stream, true)
            }
            None => {
                let dialling = async { dial(&session.upstream).await.map_err(Unreached::Dial) };
                match reach(session, dialling).await {
                    Ok(stream) => (stream, false),
                    Err(fault) => return client.refuse(session, seen, request, fault).await,
                }
            }
        };
        match first(client, &mut stream, &mut unsent, request).await {
            Ok((input, answer, down)) => break (stream, input, answer, down),
            Err(Broke::Client) => return Err(Over),
            // The upstream had closed it meanwhile, or did so while the request was on its way.
            Err(Broke::Upstream { silent: true })
                if reused && (unsent.sent == 0 || request.idempotent && request.body == 0) =>
            {
                unsent.sent = 0;
            }
            Err(Broke::Upstream { .. }) => {
                let message = "connection closed before message completed".to_owned();
                return client
                    .refuse(session, seen, request, Fault::Upstream { reason: "reset", message })
                    .await;
            }
            Err(Broke::Answer(message)) => {
                let fault = Fault::Upstream { reason: "response", message: message.to_owned() };
                return client.refuse(session, seen, request, fault).await;
            }
        }
    };
    seen.upstream(sent);
    seen.answered(answer.status);
    input.drain(..answer.head);
    let keep = answer.keep && unsent.is_empty();
    let rest = body(client, &mut stream, seen, answer, input, down).await?;
    if keep && rest == 0 {
        session.pool.keep_plain(stream, Arc::clone(upstream));
    }
    Ok(())
}

/// Sends the request and waits for the head of the answer: what was read, the head, and
/// how the client is to get it.
async fn first<Io>(
    client: &mut Client<'_, Io>,
    stream: &mut Stream,
    unsent: &mut Unsent,
    request: &Request,
) -> Result<(Vec<u8>, Answer, Vec<u8>), Broke>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let (mut input, mut down) = (Vec::new(), Vec::new());
    poll_fn(|cx| {
        // An upstream may answer what it has not read in full: an error then says
        // nothing yet.
        let sent = unsent.poll_write(cx, stream);
        loop {
            match poll_scratch(stream, cx, |_, data| input.extend_from_slice(data)) {
                Poll::Ready(Ok(0) | Err(_)) => {
                    return Poll::Ready(Err(Broke::Upstream { silent: input.is_empty() }));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Pending if matches!(sent, Poll::Ready(Err(_))) => {
                    return Poll::Ready(Err(Broke::Upstream { silent: true }));
                }
                Poll::Pending => return client.poll_gone(cx).map(|()| Err(Broke::Client)),
            }
            // Interim answers may have come together with the answer itself.
            while !input.is_empty() {
                client.last = client.shared.is_leaving();
                match head::answer(&input, request.is_head, client.last, &mut down) {
                    Ok(Some(answer)) if answer.status == 101 => {
                        return Poll::Ready(Err(Broke::Answer("a change of protocol that nobody asked for")));
                    }
                    Ok(Some(answer)) if answer.is_interim() => {
                        input.drain(..answer.head);
                        down.clear();
                    }
                    Ok(Some(answer)) => return Poll::Ready(Ok(answer)),
                    Ok(None) => break,
                    Err(message) => return Poll::Ready(Err(Broke::Answer(message))),
                }
            }
        }
    })
    .await
    .map(|answer| (input, answer, down))
}

/// Sends the answer down, `down` and then the body of which `input` has come; how many
/// bytes came after its end.
async fn body<Io>(
    client: &mut Client<'_, Io>,
    stream: &mut Stream,
    seen: &Seen,
    answer: Answer,
    input: Vec<u8>,
    down: Vec<u8>,
) -> Result<usize, Over>
where
    Io: AsyncRead + AsyncWrite + Unpin,
{
    let chunks = answer.unframed();
    let mut framing = answer.framing;
    let mut pending = Unsent { bytes: down, sent: 0 };
    let mut ended = framing.is_empty();
    let mut rest = input.len();
    if !ended {
        let scanned = framing.scan(&input).map_err(|_| Over)?;
        pending.push(&input[..scanned.bytes], chunks);
        (ended, rest) = (scanned.end, input.len() - scanned.bytes);
    }
    drop(input);
    let mut broke = false;
    poll_fn(|cx| {
        loop {
            ready!(pending.poll_write(cx, client.io)).map_err(|_| Over)?;
            if ended {
                return Pin::new(&mut *client.io).poll_flush(cx).map_err(|_| Over);
            }
            if broke {
                seen.lost();
                return Poll::Ready(Err(Over));
            }
            let mut scanned = Ok(Scanned { bytes: 0, end: false });
            let read = poll_scratch(stream, cx, |cx, data| {
                scanned = framing.scan(data);
                if let Ok(Scanned { bytes, .. }) = scanned {
                    let sent = if chunks { 0 } else { write_now(client.io, cx, &data[..bytes]) };
                    pending.push(&data[sent..bytes], chunks);
                    rest = data.len() - bytes;
                }
            });
            match (read, &scanned) {
                (Poll::Pending, _) => {
                    ready!(Pin::new(&mut *client.io).poll_flush(cx)).map_err(|_| Over)?;
                    return client.poll_gone(cx).map(|()| Err(Over));
                }
                (Poll::Ready(Ok(0)), _) if framing == Framing::Close => {
                    pending.push(b"0\r\n\r\n", false);
                    ended = true;
                }
                (Poll::Ready(Ok(1..)), Ok(scanned)) => ended = scanned.end,
                // It broke off: the client gets what came, and no end.
                _ => broke = true,
            }
        }
    })
    .await
    .map(|()| rest)
}

/// Writes what goes at once; an error shows at the next write.
fn write_now(io: &mut (impl AsyncWrite + Unpin), cx: &mut Context<'_>, data: &[u8]) -> usize {
    match Pin::new(io).poll_write(cx, data) {
        Poll::Ready(Ok(sent)) => sent,
        _ => 0,
    }
}

impl Unsent {
    fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Adds a part of a body, as a chunk if the client could not tell its end otherwise.
    fn push(&mut self, data: &[u8], chunk: bool) {
        if data.is_empty() {
            return;
        }
        if self.is_empty() {
            self.bytes.clear();
            self.sent = 0;
        }
        if chunk {
            // Writing to memory does not fail.
            let _ = write!(self.bytes, "{:x}\r\n", data.len());
        }
        self.bytes.extend_from_slice(data);
        if chunk {
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    /// Ready when all is written.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            match ready!(Pin::new(&mut *io).poll_write(cx, &self.bytes[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<Io: AsyncRead + AsyncWrite + Unpin> Client<'_, Io> {
    /// Answers for an upstream that does not.
    async fn refuse(
        &mut self,
        session: &Session,
        seen: &Seen,
        request: &Request,
        fault: Fault,
    ) -> Result<(), Over> {
        let Fault::Upstream { reason, message } = fault else { return Err(Over) };
        session.proxy.failed.count(reason);
        let (status, text) = failure(reason, &message);
        seen.answered(status.as_u16());
        self.last = self.shared.is_leaving();
        let last = if self.last { "connection: close\r\n" } else { "" };
        let mut bytes = format!(
            "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\nx-sabot-error: {reason}\r\n\
             {last}content-length: {}\r\n\r\n",
            text.len()
        )
        .into_bytes();
        if !request.is_head {
            bytes.extend_from_slice(text.as_bytes());
        }
        let mut unsent = Unsent { bytes, sent: 0 };
        poll_fn(|cx| {
            ready!(unsent.poll_write(cx, self.io))?;
            Pin::new(&mut *self.io).poll_flush(cx)
        })
        .await
        .map_err(|_| Over)
    }
}
