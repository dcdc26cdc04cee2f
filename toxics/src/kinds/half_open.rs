use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Millis;
use crate::{Cx, End, Frame, Out, Reschedule, Time, Toxic};

/// The cable unplugged: nothing passes in either direction, not even an end.
///
/// Both peers keep a connection that is dead: no data, no FIN, no RST. Up to
/// 64 KiB a direction are taken in, then the senders' windows fill. Removing
/// the toxic lets everything held flow on, as TCP would retransmit it. It acts
/// on both directions whatever its `stream` says.
///
/// A TCP that gets no answer gives up at last. So does this: `give_up` after
/// the first byte or end was held, both peers get an RST.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HalfOpen {
    /// How long something may be held before the connection is reset; 0 is
    /// for ever. The default of 924.6 s is when Linux stops retransmitting.
    pub give_up: Millis,
}

/// What a receive window might hold.
const HOLD_LIMIT: usize = 64 * 1024;

impl Default for HalfOpen {
    fn default() -> Self {
        Self { give_up: Millis::new(924_600) }
    }
}

impl Toxic for HalfOpen {
    const KIND: &'static str = "half_open";
    const BOTH: bool = true;

    /// Since when something is held.
    type State = Option<Time>;

    fn hold_limit(&self) -> usize {
        HOLD_LIMIT
    }

    fn on_start(&self, since: &mut Option<Time>, _: &Cx<'_>, _: &mut Out<'_>) {
        *since = None;
    }

    fn on_frame(&self, since: &mut Option<Time>, cx: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        out.send_at(Time::NEVER, frame);
        if since.is_none() {
            *since = Some(cx.now);
            if !self.give_up.is_zero() {
                out.wake_at(cx.now + self.give_up.get());
            }
        }
    }

    fn on_timer(&self, _: &mut Option<Time>, _: &Cx<'_>, out: &mut Out<'_>) {
        out.cut_off(End::Reset);
    }

    fn on_update(&self, since: &mut Option<Time>, _: &Cx<'_>, held: &mut Reschedule<'_>) {
        match since {
            Some(since) if !self.give_up.is_zero() => held.wake_at(*since + self.give_up.get()),
            _ => held.cancel_wake(),
        }
    }
}
