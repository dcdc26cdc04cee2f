use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::Millis;
use crate::{Cx, End, Frame, Out, Reschedule, Toxic};

/// Delays the end of the stream by `delay`; data passes at once.
///
/// The end is the FIN of the sender, or the close that another toxic put in
/// its place. A reset is passed on at once, as a real one would be.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlowClose {
    /// For how long.
    pub delay: Millis,
}

impl Toxic for SlowClose {
    const KIND: &'static str = "slow_close";
    const CLASSIC: Option<&'static [&'static str]> = Some(&["delay"]);

    type State = ();

    fn on_frame(&self, (): &mut (), cx: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        match frame {
            Frame::End(End::Reset) => out.cut_off(End::Reset),
            Frame::End(_) => out.send_at(cx.now + self.delay.get(), frame),
            Frame::Data(_) => out.send(frame),
        }
    }

    fn on_update(&self, (): &mut (), _: &Cx<'_>, held: &mut Reschedule<'_>) {
        held.bring_forward(|held| held.arrived + self.delay.get());
    }
}
