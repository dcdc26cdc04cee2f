//! Messages sent by schedule whatever comes back (open model), each carrying the
//! moment it was really sent: a generator that is late measures no error.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::echo::BATCH;
use super::ping;

/// Sent nanoseconds, then nothing of interest.
const MESSAGE: usize = 64;

/// A schedule.
#[derive(Clone, Copy)]
pub struct Pace {
    /// How many connections take turns.
    pub connections: usize,
    /// Between two messages on the same connection.
    pub interval: Duration,
    /// How long messages are sent.
    pub time: Duration,
    /// How long the last ones may take.
    pub patience: Duration,
}

/// Round trips in ms, in the order in which they ended.
///
/// # Errors
/// A connection fails, or a message does not come back.
pub fn round_trips(echo: SocketAddr, pace: Pace) -> Result<Vec<f64>> {
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut readers = Vec::with_capacity(pace.connections);
    let mut writers = Vec::with_capacity(pace.connections);
    for number in 0..pace.connections {
        let mut stream = ping::connect(echo)?;
        stream.set_nonblocking(false)?;
        // The first message pays for the connection; it is none of the samples.
        ping::round_trip(&mut stream)?;
        epoll::add(&poll, &stream, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
        writers.push(stream.try_clone()?);
        readers.push(Reader { stream, message: [0; MESSAGE], read: 0 });
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
            samples.extend(reader.context("an event of nobody")?.take(origin)?);
        }
        if let Some(done) = sender.take_if(|sender| sender.is_finished()) {
            let outcome = done.join().map_err(|_| anyhow::anyhow!("the sender panicked"))?;
            sent = Some(outcome?);
            end = Some(Instant::now() + pace.patience);
        }
    }
    Ok(samples)
}

fn send(writers: &mut [TcpStream], origin: Instant, pace: Pace) -> Result<usize> {
    let step = pace.interval / u32::try_from(writers.len())?;
    let mut sent = 0;
    let mut due = Duration::ZERO;
    while due < pace.time {
        for writer in &mut *writers {
            thread::sleep(due.saturating_sub(origin.elapsed()));
            let mut message = [0; MESSAGE];
            let now = u64::try_from(origin.elapsed().as_nanos())?;
            message[..8].copy_from_slice(&now.to_ne_bytes());
            writer.write_all(&message)?;
            sent += 1;
            due += step;
        }
    }
    Ok(sent)
}

struct Reader {
    stream: TcpStream,
    message: [u8; MESSAGE],
    read: usize,
}

impl Reader {
    /// The round trip of the message that is now whole, if it is. What comes
    /// after it makes the next event.
    fn take(&mut self, origin: Instant) -> Result<Option<f64>> {
        let count = self.stream.read(&mut self.message[self.read..])?;
        let now = origin.elapsed();
        ensure!(count > 0, "a connection was closed");
        self.read += count;
        if self.read < MESSAGE {
            return Ok(None);
        }
        self.read = 0;
        let (stamp, _) = self.message.split_first_chunk().context("a message without a stamp")?;
        let sent = Duration::from_nanos(u64::from_ne_bytes(*stamp));
        Ok(Some(now.saturating_sub(sent).as_secs_f64() * 1e3))
    }
}
