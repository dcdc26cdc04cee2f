use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::ByteSize;
use crate::{Changes, Cx, End, Frame, Out, Reschedule, Toxic};

/// Lets exactly `bytes` pass, then closes the connection.
///
/// The bytes of the toxic's direction count, from the moment it took hold. The
/// count survives updates: a raised limit lets through what is missing, one
/// lowered to what has passed already closes at once. 0 closes at the first
/// byte.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LimitData {
    /// How much passes.
    pub bytes: ByteSize,
}

impl Toxic for LimitData {
    const KIND: &'static str = "limit_data";
    const CLASSIC: Option<&'static [&'static str]> = Some(&["bytes"]);
    const CHANGES: Changes = Changes::Loses;

    /// Bytes that passed.
    type State = u64;

    fn on_frame(&self, passed: &mut u64, _: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        let Frame::Data(mut data) = frame else { return out.send(frame) };
        let room = self.bytes.0.saturating_sub(*passed);
        if room > data.len() as u64 {
            *passed += data.len() as u64;
            return out.send(Frame::Data(data));
        }
        // The limit is reached within or at the end of this frame.
        let rest = data.split_off(room as usize);
        *passed += data.len() as u64;
        out.send(Frame::Data(data));
        out.discard(&Frame::Data(rest));
        out.send(Frame::End(End::Close));
    }

    fn on_timer(&self, _: &mut u64, _: &Cx<'_>, out: &mut Out<'_>) {
        out.send(Frame::End(End::Close));
    }

    fn on_update(&self, passed: &mut u64, cx: &Cx<'_>, held: &mut Reschedule<'_>) {
        if *passed > 0 && *passed >= self.bytes.0 {
            held.wake_at(cx.now);
        }
    }
}
