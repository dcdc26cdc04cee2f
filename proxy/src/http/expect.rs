//! `Expect: 100-continue`: the body of a request waits until the upstream asks for it.
//!
//! hyper tells the client to continue when the body is first read, so the body is not
//! read before the upstream has said so, or has said nothing for a second. If a final
//! answer comes first, the client is never told, and the upstream's connection, which
//! lacks a body that was announced, ends with the answer.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use http::{HeaderMap, StatusCode, header};
use sabot_toxics::Time;

use crate::net::timers::monotonic_now;
use crate::net::{Clock, Monotonic};

/// How long an upstream that knows nothing of `Expect` is waited for, as curl does it.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far a body may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Not yet.
    Waiting,
    /// On its way.
    Open,
    /// It is not wanted: the answer is on its way.
    Refused,
    /// It is not wanted, and the answer has passed.
    Over,
}

/// What the body and the answer of a request share.
#[derive(Debug)]
pub(super) struct Gate(Mutex<(Stage, Option<Waker>)>);

impl Gate {
    /// The gate of a request that expects to be told; none for all others.
    pub(super) fn of(headers: &HeaderMap) -> Option<Arc<Self>> {
        let expects = headers.get(header::EXPECT)?.as_bytes().eq_ignore_ascii_case(b"100-continue");
        expects.then(|| Arc::new(Self(Mutex::new((Stage::Waiting, None)))))
    }

    /// Has `request` open the gate when its upstream says so.
    pub(super) fn watch<B>(self: &Arc<Self>, request: &mut http::Request<B>) {
        let gate = Arc::clone(self);
        hyper::ext::on_informational(request, move |response| {
            if response.status() == StatusCode::CONTINUE {
                gate.change(Stage::Waiting, Stage::Open);
            }
        });
    }

    /// The head of a final answer has come.
    pub(super) fn answered(&self) {
        self.change(Stage::Waiting, Stage::Refused);
    }

    /// All of the answer has come.
    pub(super) fn finished(&self) {
        self.change(Stage::Refused, Stage::Over);
    }

    fn change(&self, from: Stage, to: Stage) {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.0 == from {
            inner.0 = to;
            if let Some(waker) = inner.1.take() {
                waker.wake();
            }
        }
    }

    fn stage(&self, cx: &Context<'_>) -> Stage {
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.1 = Some(cx.waker().clone());
        inner.0
    }
}

/// The gate as the body sees it.
pub(super) struct Held {
    gate: Arc<Gate>,
    until: Time,
    clock: Monotonic,
}

/// What the body is to do.
pub(super) enum Go {
    /// Pass.
    On,
    /// Let go of the client, and ask again.
    Drop,
    /// Break off.
    Off,
}

impl Held {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { gate, until: monotonic_now() + PATIENCE, clock: Monotonic::default() }
    }

    /// `dropped` says whether the client was let go already.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>, dropped: bool) -> Poll<Go> {
        match self.gate.stage(cx) {
            Stage::Open => Poll::Ready(Go::On),
            Stage::Over => Poll::Ready(Go::Off),
            Stage::Refused if dropped => Poll::Pending,
            Stage::Refused => Poll::Ready(Go::Drop),
            Stage::Waiting => self.clock.poll_until(cx, self.until).map(|()| {
                self.gate.change(Stage::Waiting, Stage::Open);
                Go::On
            }),
        }
    }
}
