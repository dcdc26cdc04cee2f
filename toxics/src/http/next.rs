//! The rest of a request's way: the faults that are still to come, then the upstream.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::chain::Chain;
use super::{Answer, Body, BoxFuture, Fault, Request, Response, host};
use crate::Time;

/// Where a request goes when its faults have let it pass.
pub trait Upstream: Send + Sync + 'static {
    /// Sends it, and waits for the head of its answer.
    fn send(&self, request: Request) -> BoxFuture<Answer>;

    /// A request is going to be sent at that moment, and what takes time can be done by
    /// then. It may come earlier, and it may be given up.
    fn prepare(&self, _: Time) {}
}

impl<F: Fn(Request) -> BoxFuture<Answer> + Send + Sync + 'static> Upstream for F {
    fn send(&self, request: Request) -> BoxFuture<Answer> {
        self(request)
    }
}

/// For how long a request that a fault has touched waited for the connection of its own
/// that no other request needs. With an answer, as an extension.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dialled(pub Duration);

/// The rest of a request's way. It can be gone more than once.
#[derive(Clone)]
pub struct Next(Way);

#[derive(Clone)]
enum Way {
    Chain {
        chain: Arc<Chain>,
        index: usize,
    },
    /// The answer has come already, to be taken once.
    Answered(Arc<Mutex<Option<Response>>>),
}

impl Next {
    /// All of the way.
    pub(super) fn first(chain: &Arc<Chain>) -> Self {
        Self(Way::Chain { chain: Arc::clone(chain), index: 0 })
    }

    /// Sends a request on, and waits for the head of its answer.
    #[must_use]
    pub fn run(&self, request: Request) -> BoxFuture<Answer> {
        match &self.0 {
            Way::Chain { chain, index } => run(Arc::clone(chain), *index, request),
            Way::Answered(answer) => {
                let answer = answer.lock().unwrap_or_else(PoisonError::into_inner).take();
                Box::pin(async { answer.ok_or(Fault::Close) })
            }
        }
    }

    /// Says that a request is going to be sent on at that moment, so that what leads to
    /// the upstream is there by then. Where a fault behind may hold it up or answer it,
    /// that fault alone could tell.
    pub fn prepare(&self, at: Time) {
        if let Way::Chain { chain, index } = &self.0
            && let Some(behind) = chain.links.get(*index..)
            && behind.iter().all(|link| link.matcher.needs_answer() || link.settings.passes_on())
        {
            chain.upstream.prepare(at);
        }
    }
}

fn run(chain: Arc<Chain>, index: usize, mut request: Request) -> BoxFuture<Answer> {
    let Some(link) = chain.links.get(index) else {
        host::settle(&mut request, chain.host_shown);
        return chain.upstream.send(request);
    };
    let next = Next(Way::Chain { chain: Arc::clone(&chain), index: index + 1 });
    let (settings, cx) = (Arc::clone(&link.settings), link.cx.clone());
    if !link.matcher.needs_answer() {
        return settings.call(cx, request, next);
    }
    Box::pin(async move {
        let head = clone_head(&request);
        let answer = next.run(request).await?;
        let Some(link) = chain.links.get(index) else { return Ok(answer) };
        if !link.matcher.answer(answer.status()) || !link.takes() || !chain.room.is_there() {
            return Ok(answer);
        }
        let next = Next(Way::Answered(Arc::new(Mutex::new(Some(answer)))));
        settings.call(cx, head, next).await
    })
}

/// The same request without its body.
#[must_use]
pub(crate) fn clone_head(request: &Request) -> Request {
    let mut head = http::Request::new(Body::empty());
    *head.method_mut() = request.method().clone();
    *head.uri_mut() = request.uri().clone();
    *head.version_mut() = request.version();
    *head.headers_mut() = request.headers().clone();
    head
}
