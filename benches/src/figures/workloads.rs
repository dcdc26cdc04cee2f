//! What is run against each contender, and which rows it fills.

use std::net::SocketAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::http;
use crate::faults;
use crate::load::{bulk, clients, connections, echo, idle, ping, redis};
use crate::peers::{DIRECT, Peer, Protocol, Route, Running, SABOT, Start};
use crate::services::Services;
use crate::site::{self, Site};

/// What all workloads share.
pub struct Stand {
    /// Where temporary files go.
    pub site: Site,
    /// What is behind the proxies.
    pub services: Services,
    /// How long one measurement takes.
    pub seconds: u32,
    /// Sabot's binary, if one was named.
    pub sabot: Option<std::path::PathBuf>,
    /// Threads or workers that each proxy is given.
    pub threads: usize,
    /// File descriptors that a process may have.
    pub descriptors: usize,
}

/// One way to the services: through a proxy, or none.
pub struct Contender {
    /// The column.
    pub name: &'static str,
    peer: Option<(&'static Peer, Running)>,
}

/// Values by the ids of their rows.
pub type Values = Vec<(&'static str, f64)>;

/// A measurement and the rows it fills.
pub struct Workload {
    /// Its name in options.
    pub id: &'static str,
    /// Whom it applies to.
    pub applies: fn(name: &str) -> bool,
    /// The values, by the rows' ids.
    pub run: fn(&Stand, &Contender) -> Result<Values>,
}

/// How many clients wait behind the latency, and how long.
const CLIENTS: u32 = 1000;
const CLIENTS_LATENCY_MS: u32 = 20;
const BULK_LATENCY_MS: u32 = 10;
/// What the loads are sized by: about what a machine of two cores does.
const REQUESTS_PER_S: u32 = 70_000;
/// Until allocators and kernels have calmed down.
const SETTLE: Duration = Duration::from_millis(500);

/// All of them.
pub const WORKLOADS: [Workload; 12] = [
    Workload {
        id: "bulk-1",
        applies: |_| true,
        run: |stand, who| bulk(stand, who, 1, ["bulk_1", "bulk_1_cpu"]),
    },
    Workload {
        id: "bulk-8",
        applies: |_| true,
        run: |stand, who| bulk(stand, who, 8, ["bulk_8", "bulk_8_cpu"]),
    },
    Workload { id: "redis", applies: |_| true, run: requests },
    Workload { id: "connections", applies: |_| true, run: new_connections },
    Workload { id: "ping", applies: |_| true, run: ping_pong },
    Workload { id: "memory", applies: |name| name != DIRECT, run: memory },
    Workload { id: "clients", applies: |name| [DIRECT, SABOT].contains(&name), run: many_clients },
    Workload { id: "bulk-latency", applies: |name| name == SABOT, run: bulk_through_latency },
    Workload { id: "http1", applies: http::speaks, run: http::http1 },
    Workload { id: "h2", applies: http::proxies, run: http::h2 },
    Workload { id: "grpc", applies: http::speaks, run: http::grpc },
    Workload { id: "https", applies: http::proxies, run: http::https },
];

impl Stand {
    fn start(&self, home: &str, routes: Vec<Route>) -> Result<Start> {
        Ok(Start {
            home: self.site.directory(home)?,
            routes,
            certificate: self.services.certificate.clone(),
            sabot: self.sabot.clone(),
            threads: self.threads,
        })
    }

    /// What `peer` is started with when only its version is asked.
    ///
    /// # Errors
    /// No directory can be made.
    pub fn version(&self, peer: &Peer) -> Result<String> {
        (peer.version)(&self.start(peer.name, Vec::new())?)
    }
}

impl Contender {
    /// The services themselves.
    #[must_use]
    pub fn direct() -> Self {
        Self { name: DIRECT, peer: None }
    }

    /// Starts a proxy in front of the services.
    ///
    /// # Errors
    /// It is missing or does not come up.
    pub fn start(stand: &Stand, peer: &'static Peer) -> Result<Self> {
        let ways = ways(&stand.services, peer);
        let listen = site::free_addresses(ways.len())?;
        let route = |(way, listen): (Way, _)| {
            let (name, upstream, protocol, toxics) = way;
            Route { name, listen, upstream, protocol, toxics }
        };
        let routes = ways.into_iter().zip(listen).map(route).collect();
        let running = Running::start(peer, &stand.start(peer.name, routes)?)
            .with_context(|| format!("failed to start {}", peer.name))?;
        Ok(Self { name: peer.name, peer: Some((peer, running)) })
    }

    /// Whether faults can be put in its way.
    pub(super) fn knows_faults(&self) -> bool {
        self.peer.as_ref().is_some_and(|(peer, _)| peer.faults)
    }

    /// Where the way of that name begins.
    pub(super) fn address(&self, name: &str, direct: SocketAddr) -> Result<SocketAddr> {
        let Some((_, running)) = &self.peer else { return Ok(direct) };
        let route = running.routes.iter().find(|route| route.name == name);
        Ok(route.with_context(|| format!("{} has no way to {name}", self.name))?.listen)
    }

    /// Runs `load` and tells what it cost the proxy, in CPU seconds.
    pub(super) fn costing<T>(&self, load: impl FnOnce() -> Result<T>) -> Result<(T, Option<f64>)> {
        let cpu = || self.peer.as_ref().map(|(_, running)| running.cpu_seconds());
        let before = cpu();
        let done = load()?;
        Ok((done, cpu().zip(before).map(|(after, before)| after - before)))
    }
}

type Way = (&'static str, SocketAddr, Protocol, Vec<Value>);

/// The ways that lead through `peer`.
fn ways(services: &Services, peer: &Peer) -> Vec<Way> {
    let Services { redis, bulk, http, echo, .. } = *services;
    let plain = |name, upstream, protocol| (name, upstream, protocol, Vec::new());
    let mut ways: Vec<Way> = [("redis", redis), ("bulk", bulk), ("http", http), ("echo", echo)]
        .map(|(name, upstream)| plain(name, upstream, Protocol::Tcp))
        .into();
    if peer.http {
        ways.push(plain(http::HTTP1, http, Protocol::Http1));
        ways.push(plain(http::H2, http, Protocol::Http2));
        ways.push(plain(http::GRPC, services.grpc.address, Protocol::Grpc));
        ways.push(plain(http::HTTPS, http, Protocol::Https));
    }
    if peer.faults {
        let slow = |stream, ms| vec![toxic("latency", stream, &json!({ "latency": ms }))];
        ways.push(("slow-redis", redis, Protocol::Tcp, slow("downstream", CLIENTS_LATENCY_MS)));
        ways.push(("slow-bulk", bulk, Protocol::Tcp, slow("upstream", BULK_LATENCY_MS)));
        let ten = faults::unmatched().iter().map(|(kind, it)| toxic(kind, "downstream", it)).collect();
        ways.push((http::HTTP1_TEN, http, Protocol::Http1, numbered(ten)));
    }
    ways
}

fn toxic(kind: &str, stream: &str, attributes: &Value) -> Value {
    json!({ "type": kind, "stream": stream, "attributes": attributes })
}

/// With names of their own, where a kind comes several times.
fn numbered(mut toxics: Vec<Value>) -> Vec<Value> {
    for (number, toxic) in toxics.iter_mut().enumerate() {
        toxic["name"] = format!("idle-{number}").into();
    }
    toxics
}

fn bulk(stand: &Stand, who: &Contender, streams: u32, ids: [&'static str; 2]) -> Result<Values> {
    let to = who.address("bulk", stand.services.bulk)?;
    let (carried, cpu) = who.costing(|| bulk::carry(to, streams, stand.seconds))?;
    let cost = cpu.map(|cpu| (ids[1], cpu / carried.gigabytes));
    Ok([(ids[0], carried.gbit_per_s)].into_iter().chain(cost).collect())
}

fn bulk_through_latency(stand: &Stand, who: &Contender) -> Result<Values> {
    let to = who.address("slow-bulk", stand.services.bulk)?;
    Ok(vec![("bulk_latency", bulk::carry(to, 1, stand.seconds)?.gbit_per_s)])
}

fn requests(stand: &Stand, who: &Contender) -> Result<Values> {
    let to = who.address("redis", stand.services.redis)?;
    let count = REQUESTS_PER_S * stand.seconds;
    let (rate, cpu) = who.costing(|| redis::requests_per_s(to, count))?;
    let cost = cpu.map(|cpu| ("redis_cpu", cpu * 1e6 / f64::from(count)));
    Ok([("redis", rate / 1e3)].into_iter().chain(cost).collect())
}

fn new_connections(stand: &Stand, who: &Contender) -> Result<Values> {
    let to = who.address("http", stand.services.http)?;
    let (rate, cpu) = who.costing(|| connections::per_s(to, stand.seconds))?;
    let cost = cpu.map(|cpu| ("connections_cpu", cpu * 1e6 / (rate * f64::from(stand.seconds))));
    Ok([("connections", rate / 1e3)].into_iter().chain(cost).collect())
}

fn ping_pong(stand: &Stand, who: &Contender) -> Result<Values> {
    let to = who.address("echo", stand.services.echo)?;
    let trips = ping::play(to, Duration::from_secs(stand.seconds.into()) / 2)?;
    Ok(vec![("ping_p50", trips.p50), ("ping_p99", trips.p99)])
}

/// On an instance of its own, so that no earlier load has filled its heap, and
/// with an echo server of its own, so that closed connections leave no ports in
/// TIME_WAIT that the next instance needs.
fn memory(stand: &Stand, who: &Contender) -> Result<Values> {
    let Some((peer, _)) = &who.peer else { return Ok(Vec::new()) };
    let (listen, upstream) = (site::free_addresses(1)?[0], echo::start()?);
    let routes = vec![Route { name: "echo", listen, upstream, protocol: Protocol::Tcp, toxics: Vec::new() }];
    let running = Running::start(peer, &stand.start(&format!("{}-idle", peer.name), routes)?)?;
    // This process holds both ends.
    let count = peer.connections.min(stand.descriptors.saturating_sub(500) / 2);
    let _first = idle::open(listen, 1)?;
    thread::sleep(SETTLE);
    let before = running.resident_kib();
    let _held = idle::open(listen, count)?;
    thread::sleep(SETTLE);
    let grown = running.resident_kib().saturating_sub(before);
    let each = grown as f64 / count as f64;
    Ok(vec![("memory", each)])
}

/// The ideal rate is that of clients who wait for the latency and nothing else.
fn many_clients(stand: &Stand, who: &Contender) -> Result<Values> {
    let time = Duration::from_secs(stand.seconds.into());
    let plain = clients::answers_per_s(who.address("redis", stand.services.redis)?, CLIENTS as usize, time)?;
    let mut values = vec![("clients_plain", plain / 1e3)];
    if who.peer.is_some() {
        let slow = who.address("slow-redis", stand.services.redis)?;
        let ideal = f64::from(CLIENTS) * 1e3 / f64::from(CLIENTS_LATENCY_MS);
        values.push(("clients", clients::answers_per_s(slow, CLIENTS as usize, time)? / ideal));
    }
    Ok(values)
}
