//! A proxy of one's own, in three lines of a Rust test.
//!
//! A thin wrapper over a [`Controller`] with one proxy, whose calls do not need to
//! be awaited: each is done after a moment, so they can be made from a plain
//! `#[test]` as well as from the one thread of a `#[tokio::test]`. Whoever wants
//! several proxies, or a proxy elsewhere than on a free port of the loopback
//! interface, uses the controller itself.

use std::net::{Ipv4Addr, SocketAddr};

use sabot_toxics::{Direction, Invalid, ToxicSpec, find_kind};
use serde_json::Value;

use crate::{ControlError, Controller, Options, ProxyPatch, ProxySpec, ToxicView};

/// The name that the proxy has in its controller.
const NAME: &str = "proxy";

/// Nothing that one test sends needs more.
const WORKERS: usize = 1;

/// A proxy on a free port in front of an upstream. Dropped, it is gone: its port
/// refuses, its connections are closed, its threads end.
///
/// ```
/// use std::io::{Read, Write};
/// use std::net::{TcpListener, TcpStream};
/// use std::time::{Duration, Instant};
///
/// # let server = TcpListener::bind("127.0.0.1:0")?;
/// # let server_addr = server.local_addr()?;
/// # std::thread::spawn(move || {
/// #     for stream in server.incoming().flatten() {
/// #         std::thread::spawn(move || std::io::copy(&mut &stream, &mut &stream));
/// #     }
/// # });
/// let proxy = sabot_proxy::Proxy::start(server_addr)?;
/// proxy.toxic("latency", sabot_proxy::json!({ "latency": "20ms" }))?;
/// let mut client = TcpStream::connect(proxy.addr())?;
///
/// let before = Instant::now();
/// client.write_all(b"ping")?;
/// client.read_exact(&mut [0; 4])?;
/// assert!(before.elapsed() >= Duration::from_millis(20));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Proxy {
    controller: Controller,
    addr: SocketAddr,
}

impl Proxy {
    /// Listens on a free port of 127.0.0.1 and connects to `upstream`
    /// (`host:port`, `[v6]:port`, `unix:/path`) for each client. The seed is 0:
    /// every run makes the same decisions.
    ///
    /// # Errors
    /// `upstream` is no address, or the system gives no thread or socket.
    pub fn start(upstream: impl ToString) -> Result<Self, ControlError> {
        Self::with(upstream, &Options { workers: Some(WORKERS), ..Options::default() })
    }

    /// As [`Self::start`], with another seed, other limits, more workers.
    ///
    /// # Errors
    /// As [`Self::start`].
    #[allow(clippy::needless_pass_by_value, reason = "an address or a text, as in `start`")]
    pub fn with(upstream: impl ToString, options: &Options) -> Result<Self, ControlError> {
        let upstream = upstream.to_string();
        crate::check_upstream(&upstream)?;
        let controller = Controller::start(options)?;
        let mut spec = ProxySpec::new(NAME, upstream);
        spec.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).to_string());
        let view = controller.wait(|controller| async move { controller.create(spec).await })?;
        let addr = view.listen.parse().map_err(|_| Invalid::new("listen", "is not an IP address"))?;
        Ok(Self { controller, addr })
    }

    /// Where clients connect to.
    #[must_use]
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Adds a toxic to what the upstream sends, under the name
    /// `<kind>_downstream`; all connections have it when this returns. `attributes`
    /// is an object such as `json!({ "latency": 100 })`; what is left out gets its
    /// default.
    ///
    /// # Errors
    /// There is no such kind, an attribute cannot be what it is, or the kind is on
    /// the proxy already.
    #[allow(clippy::needless_pass_by_value, reason = "the argument is `json!({…})`, made on the spot")]
    pub fn toxic(&self, kind: &str, attributes: Value) -> Result<ToxicView, ControlError> {
        self.add(spec(kind, Direction::Downstream, &attributes)?)
    }

    /// As [`Self::toxic`], on what clients send, under the name `<kind>_upstream`.
    ///
    /// # Errors
    /// As [`Self::toxic`].
    #[allow(clippy::needless_pass_by_value, reason = "the argument is `json!({…})`, made on the spot")]
    pub fn upstream_toxic(&self, kind: &str, attributes: Value) -> Result<ToxicView, ControlError> {
        self.add(spec(kind, Direction::Upstream, &attributes)?)
    }

    /// Adds a toxic with everything that a toxic can have: a name, a toxicity, a
    /// `when`.
    ///
    /// # Errors
    /// Its name is taken, or a field cannot be what it is.
    pub fn add(&self, toxic: ToxicSpec) -> Result<ToxicView, ControlError> {
        self.controller.add_toxic(NAME, toxic)
    }

    /// Removes a toxic; what it held goes on at once.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn remove_toxic(&self, name: &str) -> Result<(), ControlError> {
        self.controller.remove_toxic(NAME, name)
    }

    /// Makes the upstream unreachable: connects are refused and all connections
    /// are closed when this returns.
    ///
    /// # Errors
    /// The controller was shut down.
    pub fn disable(&self) -> Result<(), ControlError> {
        self.enabled(false)
    }

    /// Makes it reachable again, on the same port, with the same toxics.
    ///
    /// # Errors
    /// Somebody else has taken the port.
    pub fn enable(&self) -> Result<(), ControlError> {
        self.enabled(true)
    }

    /// Everything else: connections, events, further proxies.
    #[must_use]
    pub fn controller(&self) -> &Controller {
        &self.controller
    }

    fn enabled(&self, enabled: bool) -> Result<(), ControlError> {
        let patch = ProxyPatch { enabled: Some(enabled), ..ProxyPatch::default() };
        self.controller.wait(|controller| async move { controller.update(NAME, patch).await }).map(drop)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Somebody may hold a clone of the controller: the proxy goes all the same.
        let _ = self.controller.wait(|controller| async move { controller.delete(NAME).await });
    }
}

fn spec(kind: &str, stream: Direction, attributes: &Value) -> Result<ToxicSpec, Invalid> {
    let kind = find_kind(kind)?;
    let attributes = attributes
        .as_object()
        .ok_or_else(|| Invalid::new("attributes", "must be an object such as {\"latency\": 100}"))?;
    ToxicSpec::new(kind, stream, attributes)
}
