//! The accept loop: it takes connections and hands them over. It never resolves,
//! dials or waits for a peer.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use sabot_toxics::ConnKey;

use crate::connection::{self, Context};
use crate::net::timers::{monotonic_now, sleep_until};
use crate::net::workers::WorkerId;
use crate::net::{Accepted, Listener, Monotonic};
use crate::proxy::{Proxy, Running};
use crate::relay::ConnShared;
use crate::shell::Shell;

/// The pause after an error of accept, doubled with each further one.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(500));

/// Accepts on every worker until `running` is closed.
pub(crate) fn start(proxy: &Arc<Proxy>, shell: &Arc<Shell>, running: &Arc<Running>) {
    for here in 0..shell.workers.len() {
        let acceptor = Acceptor {
            proxy: Arc::clone(proxy),
            shell: Arc::clone(shell),
            running: Arc::clone(running),
            here,
            backoff: BACKOFF.0,
        };
        shell.workers.spawn_on(here, acceptor.run());
    }
}

struct Acceptor {
    proxy: Arc<Proxy>,
    shell: Arc<Shell>,
    running: Arc<Running>,
    here: WorkerId,
    backoff: Duration,
}

impl Acceptor {
    async fn run(mut self) {
        let Some(listener) = self.attach().await else { return };
        while !self.running.is_closed() {
            match listener.accept().await {
                Ok(accepted) => {
                    self.backoff = BACKOFF.0;
                    self.admit(accepted);
                }
                Err(_) if self.running.is_closed() => return,
                Err(error) => self.failed(&error).await,
            }
        }
    }

    /// This worker's share of the listener; it needs a descriptor, so it may have
    /// to wait for one.
    async fn attach(&mut self) -> Option<Listener> {
        while !self.running.is_closed() {
            match self.running.bound.attach() {
                Ok(listener) => return Some(listener),
                Err(error) => self.failed(&error).await,
            }
        }
        None
    }

    /// Counts an error, and waits before the next try unless it concerns one
    /// connection only.
    async fn failed(&mut self, error: &io::Error) {
        let (reason, transient) = classify(error);
        self.proxy.accept_errors.count(reason);
        if transient {
            return;
        }
        if self.backoff == BACKOFF.0 {
            tracing::warn!(proxy = %self.proxy.name, %error, "failed to accept, trying again");
        }
        sleep_until(&mut Monotonic::default(), monotonic_now() + self.backoff).await;
        self.backoff = (self.backoff * 2).min(BACKOFF.1);
    }

    fn admit(&self, accepted: Accepted) {
        let (proxy, shell) = (&self.proxy, &self.shell);
        let peer = accepted.peer;
        let key = ConnKey {
            number: proxy.registry.next_number(),
            client: peer.map(|peer| peer.ip()),
            seed: proxy.seed.clone(),
        };
        let (entered, upstream) = loop {
            let upstream = self.running.upstream();
            let text = Arc::clone(&upstream.text);
            let policy = Arc::clone(&proxy.policy);
            let shared = ConnShared::new(shell.next_id(), key.clone(), peer, text, monotonic_now(), policy);
            let entered = proxy.registry.enter(Arc::new(shared));
            // Closing and moving end what is in the registry; what came in after
            // that is caught here.
            if self.running.is_closed() {
                return;
            }
            if Arc::ptr_eq(&upstream.text, &self.running.upstream().text) {
                break (entered, upstream);
            }
        };
        let worker = shell.workers.place(self.here);
        let context = Context {
            entered,
            proxy: Arc::clone(proxy),
            upstream: upstream.address,
            dial_timeout: shell.dial_timeout,
            head_timeout: shell.head_timeout,
            worker,
        };
        shell.workers.spawn_connection(worker, connection::run(accepted, context));
    }
}

/// The reason of an error for the metric, and whether it is about one connection.
fn classify(error: &io::Error) -> (&'static str, bool) {
    match Errno::from_io_error(error) {
        Some(Errno::MFILE | Errno::NFILE) => ("descriptors", false),
        Some(Errno::NOBUFS | Errno::NOMEM) => ("memory", false),
        // accept(2): Linux passes on errors of the new connection.
        Some(
            Errno::CONNABORTED
            | Errno::PROTO
            | Errno::PERM
            | Errno::NETDOWN
            | Errno::NOPROTOOPT
            | Errno::HOSTDOWN
            | Errno::HOSTUNREACH
            | Errno::OPNOTSUPP
            | Errno::NETUNREACH
            | Errno::INTR,
        ) => ("connection", true),
        _ => ("other", false),
    }
}
