//! Workloads of HTTP: idle, and under faults that meet nobody.

use anyhow::{Result, ensure};

use super::workloads::{Contender, Stand, Values};
use crate::load::{h2load, wrk};
use crate::peers::{DIRECT, PEERS};

/// The names of the ways.
pub(super) const HTTP1: &str = "http1";
pub(super) const HTTP1_TEN: &str = "http1-ten";
pub(super) const H2: &str = "h2";
pub(super) const GRPC: &str = "grpc";
pub(super) const HTTPS: &str = "https";

/// Whether the contender has an HTTP mode.
pub(super) fn proxies(name: &str) -> bool {
    PEERS.iter().any(|peer| peer.name == name && peer.http)
}

/// The same, or there is nothing in between.
pub(super) fn speaks(name: &str) -> bool {
    name == DIRECT || proxies(name)
}

/// Who knows faults is measured without and with them by turns, within seconds: what
/// a few of a hundred are to be told apart must not be minutes apart.
pub(super) fn http1(stand: &Stand, who: &Contender) -> Result<Values> {
    const IDS: [&str; 3] = ["http1", "http1_cpu", "http1_p99"];
    const TEN_IDS: [&str; 3] = ["http1_ten", "http1_ten_cpu", "http1_ten_p99"];
    if !who.knows_faults() {
        return one(stand, who, HTTP1, IDS);
    }
    let turns = [(HTTP1, IDS), (HTTP1_TEN, TEN_IDS), (HTTP1_TEN, TEN_IDS), (HTTP1, IDS)];
    let mut sums = Values::new();
    for (way, ids) in turns {
        for (id, value) in one(stand, who, way, ids)? {
            match sums.iter_mut().find(|(known, _)| *known == id) {
                Some((_, sum)) => *sum += value / 2.0,
                None => sums.push((id, value / 2.0)),
            }
        }
    }
    Ok(sums)
}

fn one(stand: &Stand, who: &Contender, way: &str, ids: [&'static str; 3]) -> Result<Values> {
    let url = format!("http://{}/", who.address(way, stand.services.http)?);
    let (done, cpu) = who.costing(|| wrk::keep_alive(&url, stand.seconds))?;
    let cost = cpu.map(|cpu| (ids[1], cpu * 1e6 / done.requests));
    Ok([(ids[0], done.per_s / 1e3), (ids[2], done.p99_us)].into_iter().chain(cost).collect())
}

pub(super) fn h2(stand: &Stand, who: &Contender) -> Result<Values> {
    let to = who.address(H2, stand.services.http)?;
    let (done, cpu) = who.costing(|| h2load::get(to, stand.seconds))?;
    let cost = cpu.map(|cpu| ("h2_cpu", cpu * 1e6 / done.requests));
    Ok([("h2", done.per_s / 1e3)].into_iter().chain(cost).collect())
}

pub(super) fn grpc(stand: &Stand, who: &Contender) -> Result<Values> {
    let server = &stand.services.grpc;
    let (to, before) = (who.address(GRPC, server.address)?, server.answered());
    let (done, cpu) = who.costing(|| h2load::call(to, stand.seconds))?;
    let reached = (server.answered() - before) as f64;
    ensure!(reached >= done.requests, "{} calls succeeded, {reached} reached the server", done.requests);
    let cost = cpu.map(|cpu| ("grpc_cpu", cpu * 1e6 / done.requests));
    Ok([("grpc", done.per_s / 1e3)].into_iter().chain(cost).collect())
}

pub(super) fn https(stand: &Stand, who: &Contender) -> Result<Values> {
    let url = format!("https://{}/", who.address(HTTPS, stand.services.http)?);
    let (done, cpu) = who.costing(|| wrk::keep_alive(&url, stand.seconds))?;
    let cost = cpu.map(|cpu| ("https_cpu", cpu * 1e6 / done.requests));
    Ok([("https", done.per_s / 1e3)].into_iter().chain(cost).collect())
}
