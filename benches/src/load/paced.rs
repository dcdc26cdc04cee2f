//! Messages sent by schedule whatever comes back (open model), each carrying the
//! moment it was really sent: a generator that is late measures no error.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::echo::BATCH;
use super::{ping, web};

/// Sent nanoseconds, then nothing of interest.
const MESSAGE: usize = 64;

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Message {
    /// Bytes that come back as they are, the moment among them.
    Echo,
    /// Requests of HTTP, one at a time on each connection; the moment is kept here.
    Request,
}

/// A schedule.
#[derive(Clone, Copy)]
pub struct Pace {
    /// What is sent.
    pub message: Message,
    /// How many connections take turns.
    pub connections: usize,
    /// Between two messages on the same connection.
    pub interval: Duration,
    /// How long messages are sent.
    pub time: Duration,
    /// How long the last ones may take.
    pub patience: Duration,
}

/// There and back.
#[derive(Clone, Copy)]
pub struct Trip {
    /// When it was sent.
    pub sent: Instant,
    /// In ms.
    pub took: f64,
}

/// Round trips in ms, in the order in which they ended.
///
/// # Errors
/// A connection fails, or a message does not come back (a request: before the next
/// one on its connection is due).
pub fn round_trips(to: SocketAddr, pace: Pace) -> Result<Vec<f64>> {
    Ok(trips(to, pace)?.into_iter().map(|trip| trip.took).collect())
}

/// The same, each with its moment.
///
/// # Errors
/// As [`round_trips`].
pub fn trips(to: SocketAddr, pace: Pace) -> Result<Vec<Trip>> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let (mut writers, mut readers) = connect(to, pace)?;
    for (number, reader) in readers.iter().enumerate() {
        let data = epoll::EventData::new_u64(number as u64);
        epoll::add(&poll, &reader.stream, data, epoll::EventFlags::IN)?;
    }
    let origin = Instant::now();
    let sender =
        thread::Builder::new().name("sender".into()).spawn(move || send(&mut writers, origin, pace))?;
    let mut samples = Vec::new();
    let mut events = Vec::with_capacity(BATCH);
    let mut sender = Some(sender);
    let mut sent = None;
    let mut end = None;
    while sent.is_none_or(|sent| samples.len() < sent) {
        let late = end.is_some_and(|end| Instant::now() > end);
        ensure!(!late, "{} of {sent:?} messages came back", samples.len());
        let tick = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        match epoll::wait(&poll, spare_capacity(&mut events), Some(&tick)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in events.drain(..) {
            let reader = usize::try_from(event.data.u64()).ok().and_then(|id| readers.get_mut(id));
            samples.extend(reader.context("an event of nobody")?.take(origin, pace.message)?);
        }
        if let Some(done) = sender.take_if(|sender| sender.is_finished()) {
            let outcome = done.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?;
            sent = Some(outcome?);
            end = Some(Instant::now() + pace.patience);
        }
    }
    Ok(samples)
}

/// The first message pays for the connection, and for the proxy's own; it is none of
/// the samples.
fn connect(to: SocketAddr, pace: Pace) -> Result<(Vec<Writer>, Vec<Reader>)> {
    let mut writers = Vec::with_capacity(pace.connections);
    let mut readers = Vec::with_capacity(pace.connections);
    for _ in 0..pace.connections {
        let mut stream = ping::connect(to)?;
        stream.set_nonblocking(false)?;
        match pace.message {
            Message::Echo => drop(ping::round_trip(&mut stream)?),
            Message::Request => stream.write_all(web::REQUEST)?,
        }
        let sent = Arc::new(AtomicU64::new(NOTHING));
        writers.push(Writer { stream: stream.try_clone()?, sent: Arc::clone(&sent) });
        readers.push(Reader { stream, sent, bytes: [0; web::HEAD], read: 0 });
    }
    if pace.message == Message::Request {
        for reader in &mut readers {
            web::answer(&mut reader.stream)?;
        }
    }
    Ok((writers, readers))
}

fn send(writers: &mut [Writer], origin: Instant, pace: Pace) -> Result<usize> {
    let step = pace.interval / u32::try_from(writers.len())?;
    let mut sent = 0;
    let mut due = Duration::ZERO;
    while due < pace.time {
        for writer in &mut *writers {
            thread::sleep(due.saturating_sub(origin.elapsed()));
            writer.send(u64::try_from(origin.elapsed().as_nanos())?, pace.message)?;
            sent += 1;
            due += step;
        }
    }
    Ok(sent)
}

/// The moment of a request that is not under way.
const NOTHING: u64 = u64::MAX;

struct Writer {
    stream: TcpStream,
    /// When the request that is under way was sent, in nanoseconds.
    sent: Arc<AtomicU64>,
}

impl Writer {
    fn send(&mut self, now: u64, message: Message) -> Result<()> {
        if message == Message::Request {
            let last = self.sent.swap(now, Ordering::AcqRel);
            ensure!(last == NOTHING, "an answer took longer than until the next request");
            return Ok(self.stream.write_all(web::REQUEST)?);
        }
        let mut message = [0; MESSAGE];
        message[..8].copy_from_slice(&now.to_ne_bytes());
        Ok(self.stream.write_all(&message)?)
    }
}

struct Reader {
    stream: TcpStream,
    sent: Arc<AtomicU64>,
    bytes: [u8; web::HEAD],
    read: usize,
}

impl Reader {
    /// The round trip of the message that is now whole, if it is. What comes
    /// after it makes the next event.
    fn take(&mut self, origin: Instant, message: Message) -> Result<Option<Trip>> {
        let most = if message == Message::Echo { MESSAGE } else { web::HEAD };
        let count = self.stream.read(&mut self.bytes[self.read..most])?;
        let now = origin.elapsed();
        ensure!(count > 0, "a connection was closed");
        self.read += count;
        let Some(sent) = self.stamp(message)? else { return Ok(None) };
        self.read = 0;
        let sent = Duration::from_nanos(sent);
        let took = now.saturating_sub(sent).as_secs_f64() * 1e3;
        Ok(Some(Trip { sent: origin + sent, took }))
    }

    /// When that was sent which has come back, if it is whole.
    fn stamp(&self, message: Message) -> Result<Option<u64>> {
        let bytes = &self.bytes[..self.read];
        if message == Message::Echo {
            let stamp = bytes.first_chunk().filter(|_| bytes.len() == MESSAGE);
            return Ok(stamp.map(|stamp| u64::from_ne_bytes(*stamp)));
        }
        let Some(status) = web::status(bytes)? else { return Ok(None) };
        ensure!(status == 200, "a request was answered with {status}");
        Ok(Some(self.sent.swap(NOTHING, Ordering::AcqRel)))
    }
}
