//! What there is to see: live connections, events, requests, counters.

use std::sync::Arc;

use sabot_toxics::Invalid;
use tokio::sync::broadcast;

use super::Controller;
use crate::connection;
use crate::event::Event;
use crate::model::{ConnectionView, ControlError, Distribution, Protocol, ProxyTotals};
use crate::net::timers::monotonic_now;
use crate::proxy::Proxy;
use crate::relay::ConnShared;

impl Controller {
    /// The live connections of one proxy or of all.
    ///
    /// # Errors
    /// No such proxy.
    pub fn connections(&self, proxy: Option<&str>) -> Result<Vec<ConnectionView>, ControlError> {
        let proxies = match proxy {
            Some(name) => vec![self.find(name)?],
            None => self.all(),
        };
        let of = |proxy: &Arc<Proxy>| {
            let name = proxy.name.clone();
            proxy.registry.live().into_iter().map(move |connection| connection_view(&name, &connection))
        };
        Ok(proxies.iter().flat_map(of).collect())
    }

    /// Resets both sides of a connection.
    ///
    /// # Errors
    /// No such proxy or connection.
    pub fn close_connection(&self, proxy: &str, id: u64) -> Result<(), ControlError> {
        let connection = self.find(proxy)?.registry.get(id);
        connection.ok_or(ControlError::ConnectionNotFound { id })?.reset();
        Ok(())
    }

    /// What happens on a proxy from now on. A receiver that lags misses events and
    /// is told how many.
    ///
    /// # Errors
    /// No such proxy.
    pub fn events(&self, proxy: &str) -> Result<broadcast::Receiver<Event>, ControlError> {
        Ok(self.find(proxy)?.events.subscribe())
    }

    /// The HTTP requests on a proxy from now on, each told of when its answer has gone.
    ///
    /// # Errors
    /// There is no such proxy, or it does not speak HTTP.
    pub fn requests(&self, proxy: &str) -> Result<broadcast::Receiver<Event>, ControlError> {
        let proxy = self.find(proxy)?;
        if proxy.protocol != Protocol::Http {
            let problem = format!(
                "`{}` passes bytes and knows no requests: create it with \"protocol\": \"http\"",
                proxy.name
            );
            return Err(Invalid::new("protocol", problem).into());
        }
        Ok(proxy.requests.subscribe())
    }

    /// What each proxy has counted, sorted by name; live.
    #[must_use]
    pub fn totals(&self) -> Vec<ProxyTotals> {
        self.all().iter().map(|proxy| proxy.totals()).collect()
    }

    /// Tasks alive on the workers: one for each connection, one for each worker and
    /// enabled proxy, one for the leases; for HTTP also one for each request in flight
    /// over HTTP/2, one for each connection to the upstream or that is being made ahead of its
    /// request, and one for each body that nobody wants, for a second. Anything else is a leak.
    #[must_use]
    pub fn tasks(&self) -> usize {
        self.inner.shell.workers.tasks()
    }

    /// How late timers fired: how exact delays are on this machine.
    #[must_use]
    pub fn timer_lateness(&self) -> Distribution {
        self.inner.shell.workers.lateness()
    }
}

fn connection_view(proxy: &str, shared: &ConnShared) -> ConnectionView {
    let [up, down] = sabot_toxics::Direction::BOTH.map(|direction| shared.sent(direction));
    let (_, plan) = shared.policy.plan();
    ConnectionView {
        id: shared.id,
        number: shared.key.number,
        proxy: proxy.to_owned(),
        client: connection::client(shared),
        upstream: shared.upstream.to_string(),
        opened_ms_ago: connection::age_ms(shared),
        bytes_upstream: up,
        bytes_downstream: down,
        held_bytes: shared.held() as u64,
        toxics: plan.holds(&shared.key, monotonic_now()),
        sni: shared.sni().map(str::to_owned),
        state: shared.state().as_str(),
    }
}
