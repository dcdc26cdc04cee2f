//! Counters per proxy, from the Prometheus page.
//!
//! Reads the counters that it needs, not Prometheus' text format at large.

use std::collections::BTreeMap;

use crate::Direction;

/// Kept by Toxiproxy's dashboards, so the name will not change.
const SENT: &str = "toxiproxy_proxy_sent_bytes_total{";
const REQUESTS: &str = "sabot_http_requests_total{";

/// What passed through a proxy since the server started: bytes that it wrote, and requests.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Traffic {
    /// To servers.
    pub upstream: f64,
    /// To clients.
    pub downstream: f64,
    /// HTTP requests answered or given up; 0 on a proxy that speaks no HTTP.
    pub requests: f64,
}

impl Traffic {
    /// Bytes in that direction.
    #[must_use]
    pub fn of(&self, direction: Direction) -> f64 {
        match direction {
            Direction::Upstream => self.upstream,
            Direction::Downstream => self.downstream,
        }
    }
}

pub(crate) fn parse(page: &str) -> BTreeMap<String, Traffic> {
    let mut all: BTreeMap<String, Traffic> = BTreeMap::new();
    for line in page.lines() {
        let (sent, requests) = (line.strip_prefix(SENT), line.strip_prefix(REQUESTS));
        let Some((labels, value)) = sent.or(requests).and_then(|rest| rest.rsplit_once("} ")) else {
            continue;
        };
        let (labels, value) = (parse_labels(labels), value.trim().parse::<f64>());
        let (Some(proxy), Ok(value)) = (labels.get("proxy"), value) else {
            continue;
        };
        // A proxy that moved has one line for each of its addresses.
        let traffic = all.entry(proxy.clone()).or_default();
        match labels.get("direction").map(String::as_str) {
            _ if requests.is_some() => traffic.requests += value,
            Some("upstream") => traffic.upstream += value,
            Some("downstream") => traffic.downstream += value,
            _ => {}
        }
    }
    all
}

/// `a="x",b="y\"z"`, with the three escapes of the format.
fn parse_labels(text: &str) -> BTreeMap<&str, String> {
    let mut labels = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once("=\"") {
        let mut value = String::new();
        let mut chars = after.char_indices();
        let mut end = after.len();
        while let Some((at, c)) = chars.next() {
            match c {
                '"' => {
                    end = at + 1;
                    break;
                }
                '\\' => match chars.next() {
                    Some((_, 'n')) => value.push('\n'),
                    Some((_, c)) => value.push(c),
                    None => {}
                },
                c => value.push(c),
            }
        }
        labels.insert(name.trim_start_matches(',').trim(), value);
        rest = &after[end..];
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::{Traffic, parse};

    #[test]
    fn counters_add_up_per_proxy_and_direction() {
        let page = "# TYPE toxiproxy_proxy_sent_bytes_total counter\n\
            toxiproxy_proxy_sent_bytes_total{direction=\"upstream\",listener=\"a:1\",proxy=\"x \\\"}\",upstream=\"b\"} 10\n\
            toxiproxy_proxy_sent_bytes_total{direction=\"upstream\",listener=\"a:2\",proxy=\"x \\\"}\",upstream=\"b\"} 5\n\
            toxiproxy_proxy_sent_bytes_total{direction=\"downstream\",listener=\"a:2\",proxy=\"y\",upstream=\"b\"} 1e3\n\
            toxiproxy_proxy_received_bytes_total{direction=\"upstream\",proxy=\"y\"} 7\n\
            sabot_http_requests_total{class=\"2xx\",method=\"GET\",proxy=\"y\"} 3\n\
            sabot_http_requests_total{class=\"5xx\",method=\"GET\",proxy=\"y\"} 1\n";
        let all = parse(page);
        assert_eq!(all["x \"}"], Traffic { upstream: 15.0, ..Traffic::default() });
        assert_eq!(all["y"], Traffic { downstream: 1000.0, requests: 4.0, ..Traffic::default() });
    }
}
