//! Who may: every route, by every kind of token.

mod gate;
mod matrix;

use std::cell::Cell;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::time::Duration;

use sabot_admin_api::ApiOptions;
use sabot_injections::access::role::Role;
use sabot_injections::access::{Access, NewToken, Token};
use sabot_injections::book::OnRestart;
use sabot_injections::engine::{Asked, Engine, Settings};
use sabot_injections::event::Actor;
use sabot_injections::journal::{Filter, Stored};
use sabot_injections::request::{Request, Selector};
use serde_json::{Value, json};

use crate::api::{Answer, Api, on_the_wire, read_answer};

/// A server that asks for tokens, with a proxy of each of two teams.
struct Guarded {
    api: Api,
    access: Access,
    engine: Engine,
    /// An admin's.
    admin: String,
    /// The last part of the address that the next stranger comes from.
    next: Cell<u16>,
    folder: tempfile::TempDir,
}

/// The proxies, by what `team` is for them.
const TEAMS: [&str; 2] = ["payments", "ledger"];

impl Guarded {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let access = Access::open(folder.path()).unwrap();
        let mut made = None;
        let api = Api::made(|runtime, controller| {
            let (settings, directory) = (Settings::default(), Some(folder.path()));
            let engine = Engine::start(controller.clone(), settings, directory, OnRestart::Clear);
            let engine = runtime.block_on(engine);
            made = Some(engine.clone());
            ApiOptions { engine: Some(engine), access: Some(access.clone()), ..ApiOptions::default() }
        });
        let engine = made.unwrap();
        let guarded = Self { api, access, engine, admin: String::new(), next: Cell::new(0), folder };
        let admin = guarded.token(Role::Admin, "");
        let guarded = Self { admin, ..guarded };
        guarded.restore();
        guarded
    }

    /// Both proxies are there, as they were.
    fn restore(&self) {
        for team in TEAMS {
            let labels = json!({"team": team});
            let body =
                json!({"name": team, "listen": "127.0.0.1:0", "upstream": "127.0.0.1:9", "labels": labels});
            let answer = self.ask("POST /v1/proxies", Some(&self.admin), &body.to_string());
            assert!(matches!(answer.status, 201 | 409), "{}", answer.body);
        }
    }

    fn created(&self, role: Role, scope: &str, expires_in: Option<Duration>) -> (Token, String) {
        let owner = format!("{role}@example.com");
        let new = NewToken { owner, role, scope: scope.parse().unwrap(), expires_in };
        let (token, secret) = self.access.create(&Actor::new("test", ""), new).unwrap();
        (token, secret.reveal().to_owned())
    }

    fn token(&self, role: Role, scope: &str) -> String {
        self.created(role, scope, None).1
    }

    /// Asks with a token, from an address that nobody has failed from.
    fn ask(&self, line: &str, token: Option<&str>, body: &str) -> Answer {
        let next = self.next.get() + 1;
        self.next.set(next);
        let [high, low] = next.to_be_bytes();
        let credentials = token.map(|token| format!("Bearer {token}"));
        self.ask_from(Ipv4Addr::new(127, 1, high, low), line, credentials.as_deref(), body)
    }

    fn ask_from(&self, from: Ipv4Addr, line: &str, credentials: Option<&str>, body: &str) -> Answer {
        let mut socket = self.connect_from(from);
        socket.write_all(&self.request(line, credentials, body, "close")).unwrap();
        read_answer(&mut socket)
    }

    fn request(&self, line: &str, credentials: Option<&str>, body: &str, connection: &str) -> Vec<u8> {
        let authorization = credentials.map(|it| format!("Authorization: {it}\n")).unwrap_or_default();
        let (address, length) = (self.api.address, body.len());
        on_the_wire(&format!(
            "{line} HTTP/1.1\nHost: {address}\nConnection: {connection}\nContent-Length: {length}\n{authorization}\n{body}"
        ))
    }

    fn connect_from(&self, from: Ipv4Addr) -> TcpStream {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from((from, 0)).into()).unwrap();
        socket.connect(&self.api.address.into()).unwrap();
        let socket = TcpStream::from(socket);
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        socket
    }

    /// Waits until so many refusals are in the audit, and gives them.
    fn refusals(&self, count: usize) -> Vec<Stored> {
        self.until(&Filter { action: Some("refused".to_owned()), ..Filter::default() }, count)
    }

    /// Waits until so many events are in the audit, and gives them.
    fn until(&self, filter: &Filter, count: usize) -> Vec<Stored> {
        let start = std::time::Instant::now();
        loop {
            let found = self.engine.audit(filter).unwrap();
            if found.len() >= count {
                return found;
            }
            assert!(start.elapsed() < Duration::from_secs(20), "{count} events, but {found:?}");
            std::thread::yield_now();
        }
    }

    /// Injects into the proxy of a team; its id.
    fn inject(&self, team: &str) -> String {
        let request = Request::read(injection(team)).unwrap();
        let asked = Asked { request, actor: Actor::new("test", ""), scope: Selector::default() };
        self.api.wait_for(self.engine.inject(asked)).unwrap().id
    }
}

fn injection(team: &str) -> Value {
    json!({
        "target": {"service": team, "selector": format!("team={team}"), "max_targets": 1},
        "fault": {"type": "latency", "p50_ms": 1, "p99_ms": 2},
        "duration_seconds": 600,
        "steady_state": {"slo": "success", "min": 0.01, "abort_after": 600},
        "hypothesis": "it holds", "owner": "oncall@example.com",
    })
}

/// Whether the gate let a request pass, whatever the route made of it.
fn passed(answer: &Answer) -> bool {
    !matches!(answer.status, 401 | 403 | 429)
}

fn address(last: u8) -> Ipv4Addr {
    Ipv4Addr::new(127, 2, 0, last)
}

fn from(event: &Stored) -> Option<IpAddr> {
    event.actor.from.parse().ok()
}
