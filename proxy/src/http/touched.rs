//! The way up of a request that a fault has touched.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sabot_toxics::Time;
use sabot_toxics::http::{Answer, Body, BoxFuture, Request, Upstream};

use super::ahead::Ahead;
use super::body::Up;
use super::forward::{self, Over, Upgrades};
use super::reason;
use super::session::Session;
use super::stats::Seen;

/// Sends what the faults let pass, each time over a connection of its own.
pub(super) struct Touched {
    session: Arc<Session>,
    seen: Arc<Seen>,
    /// Whether it is a request that goes up over HTTP/2, unless a fault makes it another.
    two: bool,
    once: Mutex<Once>,
}

/// What the first request that comes takes.
struct Once {
    upgrades: Option<Upgrades>,
    ahead: Option<Ahead>,
}

impl Touched {
    pub(super) fn new(
        session: &Arc<Session>,
        seen: &Arc<Seen>,
        two: bool,
        upgrades: Option<Upgrades>,
    ) -> Self {
        let once = Mutex::new(Once { upgrades, ahead: None });
        Self { session: Arc::clone(session), seen: Arc::clone(seen), two, once }
    }

    fn once(&self) -> MutexGuard<'_, Once> {
        self.once.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upstream for Touched {
    fn send(&self, request: Request) -> BoxFuture<Answer> {
        let (upgrades, ahead) = {
            let mut once = self.once();
            (once.upgrades.take(), once.ahead.take())
        };
        let (session, seen) = (Arc::clone(&self.session), Arc::clone(&self.seen));
        Box::pin(async move {
            let request = request.map(Up::new_toxic);
            let mut response = forward::forward(&session, &seen, request, upgrades, Over::Own(ahead)).await?;
            reason::note(&mut response);
            Ok(response.map(Body::new))
        })
    }

    fn prepare(&self, at: Time) {
        let mut once = self.once();
        // A connection that may become a tunnel is tied to the client's.
        if once.upgrades.is_none() {
            once.ahead = Some(Ahead::new(&self.session, self.two, at));
        }
    }
}
