use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, Millis};
use crate::{Cx, Departure, Frame, Held, Invalid, Out, Reschedule, Time, Toxic};

/// Reads from the sender slowly: `bytes` every `interval`.
///
/// Nothing is read ahead. At most `bytes` lie in the proxy, so once the
/// kernel's own buffers are full the sender's window closes and its writes
/// block: what a reader looks like that cannot keep up. `bandwidth` keeps a
/// rate exactly instead, and reads ahead to do so.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct SlowRead {
    /// How much is read at a time.
    #[schemars(range(min = 1))]
    pub bytes: ByteSize,
    /// How long from one read to the next.
    pub interval: Millis,
}

impl Default for SlowRead {
    fn default() -> Self {
        Self { bytes: ByteSize(1024), interval: Millis::new(100) }
    }
}

impl Toxic for SlowRead {
    const KIND: &'static str = "slow_read";

    /// When the next bytes may leave.
    type State = Time;

    fn validate(&self) -> Result<(), Invalid> {
        match self.bytes.0 {
            0 => Err(Invalid::new("bytes", "must be at least 1; to stall use bandwidth with rate 0")),
            _ => Ok(()),
        }
    }

    fn hold_limit(&self) -> usize {
        usize::try_from(self.bytes.0).unwrap_or(usize::MAX)
    }

    fn on_frame(&self, _: &mut Time, _: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        out.send(frame);
    }

    fn on_due(&self, next: &mut Time, cx: &Cx<'_>, held: &Held) -> Departure {
        if cx.now < *next {
            return Departure::Wait(*next);
        }
        let count = (held.len() as u64).min(self.bytes.0);
        let share = count as f64 / self.bytes.0 as f64;
        *next = cx.now + self.interval.get().mul_f64(share);
        if count < held.len() as u64 { Departure::Part(count as usize) } else { Departure::Whole }
    }

    fn on_update(&self, next: &mut Time, cx: &Cx<'_>, held: &mut Reschedule<'_>) {
        *next = (*next).min(cx.now + self.interval.get());
        held.bring_forward(|_| cx.now);
    }
}
