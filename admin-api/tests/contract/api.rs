//! A server of its own for each test, and how to ask it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use sabot_admin_api::ApiOptions;
use sabot_injections::book::OnRestart;
use sabot_injections::engine::{Engine, Settings};
use sabot_proxy::{Controller, Options};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

/// A row: the request line without the version, the body, the status that must
/// come back, and the body that must come back with it (`*` matches anything
/// within).
pub(crate) type Row<'a> = (&'a str, &'a str, u16, &'a str);

/// Far longer than any answer takes: a test that hangs must end.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    controller: Controller,
    stop: Option<oneshot::Sender<()>>,
    runtime: Runtime,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Api {
    pub(crate) fn start() -> Self {
        Self::with(ApiOptions::default())
    }

    pub(crate) fn with(options: ApiOptions) -> Self {
        Self::made(|_, _| options)
    }

    /// A server whose engine has these settings, and its journal there.
    pub(crate) fn with_engine(settings: Settings, directory: Option<&Path>, options: ApiOptions) -> Self {
        Self::made(|runtime, controller| {
            let engine = Engine::start(controller.clone(), settings, directory, OnRestart::Resume);
            ApiOptions { engine: Some(runtime.block_on(engine)), ..options }
        })
    }

    /// With options that take what the server has.
    pub(crate) fn made(options: impl FnOnce(&Runtime, &Controller) -> ApiOptions) -> Self {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let controller = Controller::start(&Options { seed: 7, ..Options::default() }).unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        let options = options(&runtime, &controller);
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = stopped.await;
        };
        runtime.spawn(sabot_admin_api::serve(listener, controller.clone(), options, shutdown));
        Self { address, controller, stop: Some(stop), runtime }
    }

    /// A server with one proxy `redis` that never listens, so that its address
    /// stays as it was written.
    pub(crate) fn with_redis() -> Self {
        let api = Self::start();
        let proxy =
            r#"{"name":"redis","listen":"localhost:26379","upstream":"localhost:6379","enabled":false}"#;
        assert_eq!(api.call("POST /proxies", proxy).status, 201);
        api
    }

    /// What the server itself would call.
    pub(crate) fn controller(&self) -> &Controller {
        &self.controller
    }

    /// Does what takes a runtime, beside the server.
    pub(crate) fn wait_for<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Checks rows in order.
    pub(crate) fn check(&self, rows: &[Row<'_>]) {
        for (line, body, status, expected) in rows {
            let answer = self.call(line, body);
            let what = format!("{line} {body}\nanswered {} {}", answer.status, answer.body);
            assert_eq!(answer.status, *status, "{what}");
            assert!(matches(expected, &answer.body), "{what}\ninstead of {expected}");
            assert!(answer.header("x-toxiproxy-request-id").is_some(), "{what}");
            let json = answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json"));
            assert_eq!(json, *status != 204, "{what}");
        }
    }

    /// Asks as curl would.
    pub(crate) fn call(&self, line: &str, body: &str) -> Answer {
        self.call_with(line, &[("User-Agent", "curl/8.5.0")], body)
    }

    /// Asks with these headers.
    pub(crate) fn call_with(&self, line: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        let mut head = format!("{line} HTTP/1.1\nHost: {}\n", self.address);
        for (name, value) in headers {
            head += &format!("{name}: {value}\n");
        }
        if !body.is_empty() {
            head += &format!("Content-Length: {}\n", body.len());
        }
        self.raw(&format!("{head}Connection: close\n\n{body}"))
    }

    /// Asks until the answer is as wanted, for what becomes visible a moment
    /// after its cause.
    pub(crate) fn until(&self, line: &str, wanted: impl Fn(&str) -> bool) -> String {
        let start = Instant::now();
        loop {
            let answer = self.call(line, "").body;
            if wanted(&answer) {
                return answer;
            }
            assert!(start.elapsed() < PATIENCE, "{line} still answers {answer}");
        }
    }

    /// Sends exactly these lines (`\n` becomes CRLF in the head) and reads one
    /// answer.
    pub(crate) fn raw(&self, request: &str) -> Answer {
        let mut socket = self.connect();
        socket.write_all(&on_the_wire(request)).unwrap();
        read_answer(&mut socket)
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let socket = TcpStream::connect(self.address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.set_nodelay(true).unwrap();
        socket
    }

    /// Tells the server to stop; it goes on with what is under way.
    pub(crate) fn stop(&mut self) {
        drop(self.stop.take());
    }
}

impl Drop for Api {
    fn drop(&mut self) {
        self.runtime.block_on(self.controller.shutdown(Duration::ZERO));
    }
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(given, _)| given.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error} in {}", self.body))
    }
}

/// A request as bytes: the head's lines end in CRLF, the body stays.
pub(crate) fn on_the_wire(request: &str) -> Vec<u8> {
    let (head, body) = request.split_once("\n\n").expect("a request has a head");
    format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n")).into_bytes()
}

/// Reads one answer; what follows it stays in the socket.
pub(crate) fn read_answer(socket: &mut TcpStream) -> Answer {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        assert_eq!(socket.read(&mut byte).unwrap(), 1, "closed after {:?}", String::from_utf8_lossy(&head));
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.trim_end().lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let split = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_owned(), value.to_owned()));
    let headers = lines.filter_map(split).collect();
    let mut answer = Answer { status, headers, body: String::new() };
    let length = answer.header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    socket.read_exact(&mut body).unwrap();
    answer.body = String::from_utf8_lossy(&body).into_owned();
    answer
}

/// Whether `text` is `pattern`, in which `*` stands for anything.
fn matches(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == text };
    let Some(text) = text.strip_prefix(start) else { return false };
    (0..=text.len()).filter(|&at| text.is_char_boundary(at)).any(|at| matches(rest, &text[at..]))
}
