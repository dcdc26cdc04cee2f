use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Millis;
use crate::{Changes, Cx, End, Frame, Out, Reschedule, Time, Toxic};

/// Drops all data and closes the connection after `timeout`.
///
/// The time counts from the moment the toxic took hold of the connection: when
/// it was opened, or when the toxic was added to a live one. Traffic does not
/// extend it. 0 never closes. Data of the other direction passes. A FIN is
/// dropped like data, so the other side sees silence and no end; a reset
/// passes. Removing the toxic closes the connections it held, because their
/// streams have a hole.
///
/// With a timeout of 0 a connection whose sender has closed its side is closed
/// 5 minutes after that: nothing could come through it any more.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Timeout {
    /// How long until the close; 0 is never.
    pub timeout: Millis,
}

/// How long a connection without a timeout lasts after its sender is gone: no
/// client waits longer, and a client that retries must not exhaust descriptors.
const ORPHANED: Duration = Duration::from_mins(5);

#[derive(Default)]
pub struct State {
    took_hold: Time,
    sender_gone: Option<Time>,
}

impl Toxic for Timeout {
    const KIND: &'static str = "timeout";
    const CLASSIC: Option<&'static [&'static str]> = Some(&["timeout"]);
    const CHANGES: Changes = Changes::Loses;

    type State = State;

    fn on_start(&self, state: &mut State, cx: &Cx<'_>, out: &mut Out<'_>) {
        *state = State { took_hold: cx.now, sender_gone: None };
        if let Some(due) = self.due(state) {
            out.wake_at(due);
        }
    }

    fn on_frame(&self, state: &mut State, cx: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        match frame {
            Frame::Data(_) => out.discard(&frame),
            Frame::End(End::Fin) => {
                out.acted();
                state.sender_gone.get_or_insert(cx.now);
                if let Some(due) = self.due(state) {
                    out.wake_at(due);
                }
            }
            Frame::End(_) => out.send(frame),
        }
    }

    fn on_timer(&self, _: &mut State, _: &Cx<'_>, out: &mut Out<'_>) {
        out.send(Frame::End(End::Close));
    }

    fn on_update(&self, state: &mut State, _: &Cx<'_>, held: &mut Reschedule<'_>) {
        match self.due(state) {
            Some(due) => held.wake_at(due),
            None => held.cancel_wake(),
        }
    }

    fn on_stop(&self, _: &mut State, _: &Cx<'_>, out: &mut Out<'_>) {
        out.send(Frame::End(End::Close));
    }
}

impl Timeout {
    /// When the connection is closed, as far as is known.
    fn due(&self, state: &State) -> Option<Time> {
        match self.timeout.get() {
            Duration::ZERO => state.sender_gone.map(|gone| gone + ORPHANED),
            timeout => Some(state.took_hold + timeout),
        }
    }
}
