//! Clients that connect, talk, check every byte and leave, one way or another.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use sabot_toxics::Seed;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

/// No step of a conversation takes this long, on however slow a machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Clients that connect at the same time: more than a listener's queue holds would
/// test the kernel, which drops and resets what does not fit.
const CONNECTING: usize = 500;

/// What came of all of them.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Connections that went to their end, every byte checked.
    pub(crate) finished: u64,
    /// Connections that their client cut off.
    pub(crate) cut: u64,
    /// Bytes that came back.
    pub(crate) bytes: u64,
    pub(crate) failures: Vec<String>,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { finished, cut, bytes, failures } = self;
        write!(f, "{finished} finished, {cut} cut off, {bytes} bytes back, {} failures", failures.len())
    }
}

/// Keeps `connections` open through the targets until `end`.
pub(crate) fn run(targets: &[SocketAddr], connections: u64, seed: u64, end: Instant) -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let outcome = Arc::new(Mutex::new(Outcome::default()));
    let door = Arc::new(Semaphore::new(CONNECTING));
    runtime.block_on(async {
        let mut clients = tokio::task::JoinSet::new();
        for number in 0..connections {
            let target = targets[number as usize % targets.len()];
            let seed = Seed::new(seed).split_n(number);
            let (outcome, door) = (Arc::clone(&outcome), Arc::clone(&door));
            clients.spawn(async move {
                let mut turn = 0;
                while Instant::now() < end {
                    let told =
                        tokio::time::timeout(LIMIT, converse(target, &door, &seed.split_n(turn))).await;
                    let told = told.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
                    note(&outcome, told, number, turn);
                    turn += 1;
                }
            });
        }
        while let Some(client) = clients.join_next().await {
            client.unwrap();
        }
    });
    std::mem::take(&mut outcome.lock().unwrap())
}

fn note(outcome: &Mutex<Outcome>, told: io::Result<Option<u64>>, client: u64, turn: u64) {
    let mut outcome = outcome.lock().unwrap();
    match told {
        Ok(Some(bytes)) => {
            outcome.finished += 1;
            outcome.bytes += bytes;
        }
        Ok(None) => outcome.cut += 1,
        Err(error) => outcome.failures.push(format!("client {client}, connection {turn}: {error}")),
    }
}

/// One connection. How many bytes came back, or nothing if it was cut off.
async fn converse(target: SocketAddr, door: &Semaphore, seed: &Seed) -> io::Result<Option<u64>> {
    let mut draws = seed.at(0);
    let messages = 1 + draws.below(8);
    let cut = draws.chance(0.15).then(|| draws.below(messages));
    let mut entering = Some(door.acquire().await.map_err(io::Error::other)?);
    let mut stream = TcpStream::connect(target).await?;
    stream.set_nodelay(true)?;
    let mut offset = 0;
    for message in 0..messages {
        let len = if draws.chance(0.1) { draws.below(100_000) } else { draws.below(2000) } as usize + 1;
        let sent: Vec<u8> = (offset..offset + len as u64).map(pattern).collect();
        if cut == Some(message) {
            stream.write_all(&sent[..len / 2]).await?;
            if draws.chance(0.5) {
                stream.set_zero_linger()?;
            }
            return Ok(None);
        }
        let (mut read, mut write) = stream.split();
        let mut back = vec![0; len];
        tokio::try_join!(write.write_all(&sent), read.read_exact(&mut back))?;
        if back != sent {
            return Err(io::Error::other(format!("other bytes came back in the {len} from {offset}")));
        }
        offset += len as u64;
        drop(entering.take());
    }
    // The last message overlaps the half-close: its answer must arrive all the same.
    let sent: Vec<u8> = (offset..offset + 777).map(pattern).collect();
    stream.write_all(&sent).await?;
    stream.shutdown().await?;
    let mut back = Vec::new();
    stream.read_to_end(&mut back).await?;
    if back != sent {
        return Err(io::Error::other(format!("{} of the last {} bytes came back", back.len(), sent.len())));
    }
    Ok(Some(offset + 777))
}

/// The byte at that place of a stream; blocks differ from their neighbours.
fn pattern(offset: u64) -> u8 {
    (offset ^ (offset >> 8) ^ (offset >> 16)) as u8
}
