use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::distribution::{Walk, normal_share_below};
use crate::{Changes, Cx, Frame, Invalid, Out, Toxic};

/// Drops a share of the chunks.
///
/// A chunk is what was read at once: for request and answer protocols usually
/// one message. Its bytes are missing from the stream, which TCP itself never
/// lets happen; to see what lost packets do to a TCP connection use `stall`.
/// Whether a chunk is dropped depends on the seed and the offset of its first
/// byte, with a correlation also on the chunk before.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PacketLoss {
    /// Share of the chunks that are dropped.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub loss_rate: f64,
    /// How much the fate of one chunk resembles that of the chunk before, 0
    /// (not at all) to 1 (always the same): losses come in bursts. The share
    /// of losses stays what was asked.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub correlation: f64,
}

impl Default for PacketLoss {
    fn default() -> Self {
        Self { loss_rate: 0.1, correlation: 0.0 }
    }
}

impl Toxic for PacketLoss {
    const KIND: &'static str = "packet_loss";
    const CLASSIC: Option<&'static [&'static str]> = Some(&["loss_rate", "correlation"]);
    const CHANGES: Changes = Changes::Loses;

    type State = Walk;

    fn validate(&self) -> Result<(), Invalid> {
        Invalid::unless_share("loss_rate", self.loss_rate)?;
        Invalid::unless_share("correlation", self.correlation)
    }

    fn on_frame(&self, walk: &mut Walk, cx: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        if matches!(frame, Frame::Data(_)) && self.drops(walk, cx) {
            out.discard(&frame);
        } else {
            out.send(frame);
        }
    }
}

impl PacketLoss {
    fn drops(&self, walk: &mut Walk, cx: &Cx<'_>) -> bool {
        if self.correlation > 0.0 {
            normal_share_below(walk.step(self.correlation, cx.seed, cx.offset)) < self.loss_rate
        } else {
            cx.seed.at(cx.offset).chance(self.loss_rate)
        }
    }
}
