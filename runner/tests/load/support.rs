//! Servers in threads of this process, and loads against them.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use sabot_runner::load::{Batch, Load, Plan, Recorder, Running, Sink, Summary};
use sabot_runner::outcome::Outcome;
use serde_json::{Value, json};

/// What a run gave: its numbers, and each outcome.
pub(crate) struct Ran {
    pub summary: Summary,
    pub outcomes: Vec<Outcome>,
}

struct All(Vec<Outcome>);

impl Sink for All {
    fn take(&mut self, batch: &Batch) {
        self.0.extend(&batch.outcomes);
    }
}

/// `base` with the fields of `changes` laid over it.
pub(crate) fn with(mut base: Value, changes: Value) -> Value {
    if let (Value::Object(base), Value::Object(changes)) = (&mut base, changes) {
        base.extend(changes);
    }
    base
}

pub(crate) fn ready(plan: Value) -> Arc<Load> {
    Arc::new(Load::new(Plan::read(plan).unwrap()).unwrap())
}

pub(crate) fn run(plan: Value) -> Ran {
    let load = ready(plan);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let mut recorder = Recorder::new(&load);
    let mut all = All(Vec::new());
    let ended = runtime.block_on(async {
        let running = Running::start(&load).await.unwrap();
        running.drive(&mut (&mut recorder, &mut all)).await.unwrap()
    });
    let (summary, series) = recorder.finish(&load, ended);
    assert_eq!(series.total().offered(), all.0.len() as u64, "every outcome is in the series");
    assert_eq!(summary.total.offered, all.0.len() as u64, "every outcome is in the summary");
    Ran { summary, outcomes: all.0 }
}

/// How many ended in a fate, by its name.
pub(crate) fn count(summary: &Summary, fate: &str) -> u64 {
    summary.total.fates.get(fate).copied().unwrap_or(0)
}

/// A plan of `rate` for a second against `address`, evenly, so that its requests can be counted.
pub(crate) fn plan(address: SocketAddr, rate: u32) -> Value {
    json!({"target": format!("http://{address}"), "rate": rate, "duration": "1s", "arrivals": "uniform"})
}

/// A server that hands each connection to `serve`, with its number from 0, on a thread of its own.
/// Ends with the process.
pub(crate) fn server(
    serve: impl Fn(usize, TcpStream) + Send + Sync + 'static,
) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accepted = Arc::new(AtomicUsize::new(0));
    let (serve, counter) = (Arc::new(serve), Arc::clone(&accepted));
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let number = counter.fetch_add(1, Ordering::SeqCst);
            let serve = Arc::clone(&serve);
            std::thread::spawn(move || serve(number, stream));
        }
    });
    (address, accepted)
}

/// Reads one request: its head, and its body by `content-length`. None at the end of the connection.
pub(crate) fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, Vec<u8>)> {
    let mut head = String::new();
    loop {
        let before = head.len();
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if &head[before..] == "\r\n" {
            break;
        }
    }
    let length = head
        .to_lowercase()
        .split("content-length: ")
        .nth(1)
        .map_or(0, |rest| rest.split("\r\n").next().unwrap().parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body))
}

/// Answers every request on a connection as `answer` says, for the request's number on it.
pub(crate) fn answering(
    answer: impl Fn(usize, &str, &[u8]) -> String + Send + Sync + 'static,
) -> impl Fn(usize, TcpStream) + Send + Sync + 'static {
    move |_, stream| {
        let mut writer = stream.try_clone().unwrap();
        let mut reader = BufReader::new(stream);
        for number in 0.. {
            let Some((head, body)) = request(&mut reader) else { return };
            if writer.write_all(answer(number, &head, &body).as_bytes()).is_err() {
                return;
            }
        }
    }
}

/// An answer of HTTP/1.1 with a body.
pub(crate) fn http(status: u16, body: &str) -> String {
    format!("HTTP/1.1 {status} x\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}
