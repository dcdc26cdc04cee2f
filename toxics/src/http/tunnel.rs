//! What faults do to a connection that has changed its protocol.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use super::values::Side;
use super::{Body, Response};

/// What the faults add to the tunnel that an answer of 101 opens. The shell puts one
/// into the extensions of such an answer, and looks into it when the tunnel begins.
/// Clones are the same.
#[derive(Clone, Default)]
pub struct Tunnel(Arc<Mutex<Vec<Layer>>>);

struct Layer {
    side: Side,
    wrap: Box<dyn FnOnce(Body) -> Body + Send>,
}

impl Tunnel {
    /// The tunnel that `answer` opens, if it opens one for that protocol.
    #[must_use]
    pub fn of(answer: &Response, protocol: &str) -> Option<Self> {
        let named = answer.headers().get(http::header::UPGRADE)?.to_str().ok()?;
        named.trim().eq_ignore_ascii_case(protocol).then(|| answer.extensions().get().cloned())?
    }

    /// Has the bytes of one side pass through `wrap`: a body again, whose end is a
    /// half-close, and a fault of which ends the tunnel.
    pub fn add(&self, side: Side, wrap: impl FnOnce(Body) -> Body + Send + 'static) {
        let layer = Layer { side, wrap: Box::new(wrap) };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(layer);
    }

    /// Has the tunnel keep `guard` while it lives, if anything was added to it.
    pub(crate) fn keep(&self, guard: impl Send + 'static) {
        let is_empty = self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        if !is_empty {
            self.add(Side::Response, move |bytes| bytes.holding(guard));
        }
    }

    /// What was added, the side of the request first; none if nothing was.
    #[must_use]
    pub fn take(&self) -> Option<[Layers; 2]> {
        let all = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        if all.is_empty() {
            return None;
        }
        // Answers met the faults last first, and so did the additions: bytes that go up
        // meet them in the order of requests.
        let (mut up, down): (Vec<_>, Vec<_>) = all.into_iter().partition(|layer| layer.side == Side::Request);
        up.reverse();
        Some([Layers(up), Layers(down)])
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").finish_non_exhaustive()
    }
}

/// What the bytes of one side pass through.
pub struct Layers(Vec<Layer>);

impl Layers {
    /// `bytes` behind all of them.
    #[must_use]
    pub fn around(self, bytes: Body) -> Body {
        self.0.into_iter().fold(bytes, |bytes, layer| (layer.wrap)(bytes))
    }
}
