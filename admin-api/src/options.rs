//! What the server may be told.

use std::sync::Arc;
use std::time::Duration;

use sabot_injections::access::Access;
use sabot_injections::engine::Engine;
use serde_json::Value;

/// What `GET /chaos/experiments` answers: the schedule of experiments and their last verdicts; an error
/// says what keeps it from being read. It may block.
pub type Experiments = dyn Fn() -> Result<Value, String> + Send + Sync;

/// Limits and permissions of the API. The defaults suit a developer's machine
/// and a compose network alike.
#[derive(Clone)]
pub struct ApiOptions {
    /// Owner of all injections over the same controller. None: one is made whose journal is in memory, so
    /// that injections and the audit end with the process; for tests, and for programs that inject nothing.
    pub engine: Option<Engine>,
    /// Every request but those for the version and the CA needs a token of these, for its role and within its
    /// scope. None: whoever reaches the API may everything.
    pub access: Option<Access>,
    /// What `GET /chaos/experiments` answers; without it the answer is 404.
    pub experiments: Option<Arc<Experiments>>,
    /// Host names that pass besides those that always do: a name, `.suffix`
    /// for every name below it, or `*` for all.
    pub allowed_hosts: Vec<String>,
    /// Bytes of a request's body. A populate of 10,000 proxies is 1.5 MB.
    pub max_body: usize,
    /// Bytes of a request's line and headers together.
    pub max_head: usize,
    /// Headers of a request.
    pub max_headers: usize,
    /// Open connections. One more takes the place of the longest idle, or waits while all are busy.
    pub max_connections: usize,
    /// Open event streams; more are refused. Well below `max_connections`, so
    /// that watching never locks out changing.
    pub max_event_streams: usize,
    /// How long a request's headers may take, and how long a kept-alive
    /// connection may idle. As long as Toxiproxy: clients pool connections.
    pub header_timeout: Duration,
    /// How long a request's body may take.
    pub body_timeout: Duration,
    /// How long an answer may take; event streams have no end.
    pub request_timeout: Duration,
    /// A comment on a silent event stream this often, so that both ends notice
    /// when the other is gone.
    pub keep_alive: Duration,
    /// Serve TLS with these settings; none is plain HTTP.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    /// How long answers that are under way may take once shutdown began.
    pub drain: Duration,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            engine: None,
            access: None,
            experiments: None,
            allowed_hosts: Vec::new(),
            max_body: 4 << 20,
            max_head: 64 << 10,
            max_headers: 100,
            max_connections: 512,
            max_event_streams: 64,
            header_timeout: Duration::from_secs(60),
            body_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(25),
            keep_alive: Duration::from_secs(15),
            tls: None,
            drain: Duration::from_secs(2),
        }
    }
}
