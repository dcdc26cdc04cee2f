use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Millis;
use crate::{Cx, End, Frame, Out, Reschedule, Time, Toxic};

/// Resets the connection after `timeout`: both peers get an RST.
///
/// The time counts from the moment the toxic took hold of the connection,
/// whether data flows or not; 0 resets at once. Until then data passes
/// untouched.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ResetPeer {
    /// How long until the reset; 0 is at once.
    pub timeout: Millis,
}

impl Toxic for ResetPeer {
    const KIND: &'static str = "reset_peer";
    const CLASSIC: Option<&'static [&'static str]> = Some(&["timeout"]);

    /// When it took hold.
    type State = Time;

    fn on_start(&self, took_hold: &mut Time, cx: &Cx<'_>, out: &mut Out<'_>) {
        *took_hold = cx.now;
        if self.timeout.is_zero() {
            out.cut_off(End::Reset);
        } else {
            out.wake_at(cx.now + self.timeout.get());
        }
    }

    fn on_frame(&self, _: &mut Time, _: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        out.send(frame);
    }

    fn on_timer(&self, _: &mut Time, _: &Cx<'_>, out: &mut Out<'_>) {
        out.cut_off(End::Reset);
    }

    fn on_update(&self, took_hold: &mut Time, _: &Cx<'_>, held: &mut Reschedule<'_>) {
        held.wake_at(*took_hold + self.timeout.get());
    }
}
