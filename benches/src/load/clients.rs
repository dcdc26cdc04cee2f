//! Many clients of Redis in a closed loop: each sends its next request when the
//! answer to the last one has come. One thread, so that the load leaves the
//! other core to what is measured.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use rustix::buffer::spare_capacity;
use rustix::event::{Timespec, epoll};

use super::echo::BATCH;
use super::redis::{KEY, VALUE};

const WARM_UP: Duration = Duration::from_millis(500);

struct Client {
    stream: TcpStream,
    /// Bytes of the answer that have come.
    read: usize,
}

/// Answers a second over `time`, after half a second of warm-up.
///
/// # Errors
/// A client cannot connect or loses its connection.
pub fn answers_per_s(redis: SocketAddr, count: usize, time: Duration) -> Result<f64> {
    let request = format!("*2\r\n$3\r\nGET\r\n${}\r\n{KEY}\r\n", KEY.len());
    let answer = format!("${}\r\n{VALUE}\r\n", VALUE.len()).len();
    let poll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    let mut clients = Vec::with_capacity(count);
    for number in 0..count {
        let stream = super::ping::connect(redis)?;
        stream.set_nonblocking(true)?;
        epoll::add(&poll, &stream, epoll::EventData::new_u64(number as u64), epoll::EventFlags::IN)?;
        clients.push(Client { stream, read: 0 });
    }
    for client in &mut clients {
        client.stream.write_all(request.as_bytes())?;
    }
    let (start, mut done) = (Instant::now(), 0u32);
    let mut events = Vec::with_capacity(BATCH);
    // A proxy that loses an answer must not hold up the run.
    let patience = Timespec { tv_sec: 1, tv_nsec: 0 };
    while start.elapsed() < WARM_UP + time {
        match epoll::wait(&poll, spare_capacity(&mut events), Some(&patience)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        let counts = start.elapsed() >= WARM_UP;
        for event in events.drain(..) {
            let Some(client) = usize::try_from(event.data.u64()).ok().and_then(|id| clients.get_mut(id))
            else {
                continue;
            };
            if client.answered(answer)? {
                client.stream.write_all(request.as_bytes())?;
                done += u32::from(counts);
            }
        }
    }
    Ok(f64::from(done) / time.as_secs_f64())
}

impl Client {
    fn answered(&mut self, length: usize) -> Result<bool> {
        let mut buffer = [0; 64];
        match self.stream.read(&mut buffer[..length - self.read]) {
            Ok(count) => {
                ensure!(count > 0, "a connection was closed");
                self.read += count;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        let whole = self.read == length;
        if whole {
            self.read = 0;
        }
        Ok(whole)
    }
}
