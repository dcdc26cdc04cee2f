//! The connection of a request that a fault has touched and still holds up: it is made
//! while the request waits, so that the delay is what was asked and not a dial longer.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use hyper::client::conn::{http1, http2};
use sabot_toxics::Time;
use sabot_toxics::http::Fault;
use tokio::task::JoinHandle;

use super::body::Up;
use super::forward::reach;
use super::pool;
use super::session::Session;
use crate::net::Monotonic;
use crate::net::timers::sleep_until;

/// How long before its time a connection is made at most. An upstream that serves one
/// client at a time waits for its request meanwhile, and none waits for ever.
const LONGEST: Duration = Duration::from_secs(1);

/// What a dial takes is not known before the first one.
const FIRST: Duration = Duration::from_millis(10);

/// Room for a dial that takes longer than the last one did.
const SPARE: Duration = Duration::from_millis(2);

/// How long before its time a connection is made, where the last one took that long.
fn lead(last: Option<Duration>) -> Duration {
    last.map_or(FIRST, |last| last * 2 + SPARE).min(LONGEST)
}

/// A connection that is going to be needed. It is given up when dropped.
pub(super) struct Ahead {
    making: JoinHandle<Result<Sender, Fault>>,
    begun: Arc<AtomicBool>,
}

enum Sender {
    One(http1::SendRequest<Up>),
    Two(http2::SendRequest<Up>),
}

impl Ahead {
    /// A connection that is needed at that moment; over HTTP/2 if it is to be of that
    /// version.
    pub(super) fn new(session: &Arc<Session>, two: bool, at: Time) -> Self {
        let (session, begun) = (Arc::clone(session), Arc::<AtomicBool>::default());
        let said = Arc::clone(&begun);
        let making = tokio::spawn(async move {
            sleep_until(&mut Monotonic::default(), at.saturating_sub(lead(session.pool.dial_took()))).await;
            said.store(true, Ordering::Relaxed);
            let (address, tls) = (&session.upstream, session.originator());
            if two {
                reach(&session, pool::connect_http2(address, tls)).await.map(Sender::Two)
            } else {
                reach(&session, pool::connect_http1(address, tls, None)).await.map(Sender::One)
            }
        });
        Self { making, begun }
    }

    /// The connection, if there is one that can be used.
    ///
    /// # Errors
    /// The upstream was not reached, and another dial would come to the same.
    async fn take(mut self) -> Result<Option<Sender>, Fault> {
        if !self.begun.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let was_done = self.making.is_finished();
        match (&mut self.making).await {
            Ok(Ok(sender)) => Ok(Some(sender)),
            // That was then: the upstream may be there now.
            Ok(Err(_)) if was_done => Ok(None),
            Ok(Err(fault)) => Err(fault),
            Err(_) => Ok(None),
        }
    }

    /// As [`Self::take`], for HTTP/1.
    pub(super) async fn http1(self) -> Result<Option<http1::SendRequest<Up>>, Fault> {
        Ok(match self.take().await? {
            Some(Sender::One(sender)) if !sender.is_closed() => Some(sender),
            _ => None,
        })
    }

    /// As [`Self::take`], for HTTP/2.
    pub(super) async fn http2(self) -> Result<Option<http2::SendRequest<Up>>, Fault> {
        Ok(match self.take().await? {
            Some(Sender::Two(sender)) if !sender.is_closed() => Some(sender),
            _ => None,
        })
    }
}

impl Drop for Ahead {
    fn drop(&mut self) {
        self.making.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dial_begins_in_time_and_not_much_earlier() {
        let ms = Duration::from_millis;
        for (last, expected) in [
            (None, ms(10)),
            (Some(Duration::ZERO), ms(2)),
            (Some(Duration::from_micros(100)), Duration::from_micros(2200)),
            (Some(ms(150)), ms(302)),
            (Some(ms(5000)), ms(1000)),
        ] {
            assert_eq!(lead(last), expected, "{last:?}");
        }
    }
}
