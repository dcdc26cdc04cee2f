use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, Millis};
use crate::{Cx, Frame, Invalid, Out, Reschedule, Seed, Time, Toxic};

/// Freezes the stream for a while: what lost packets look like through TCP.
///
/// Everything behind the place of the freeze waits, then comes in one gush; no
/// byte is lost. Two ways to freeze, alone or together:
///
/// - `duration` and `at`: once, when the byte `at` comes.
/// - `p_enter`, `p_leave`, `loss_bad`, `loss_good`: losses in bursts, by the
///   model of Gilbert and Elliott as tc-netem's `gemodel` has it, over cells of
///   1448 bytes (a segment on Ethernet). The link is good or bad; with each
///   cell it changes by the chance `p_enter` or `p_leave`. A lost cell costs
///   the retransmission timeout `rto`, doubled for each further cell lost in
///   a row, up to `rto_max`. Which cells are lost depends on the seed and the
///   place in the stream, counted from where the toxic took hold.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Stall {
    /// How long the freeze at the byte `at` lasts; 0 is none.
    pub duration: Millis,
    /// The offset in the direction's bytes at which it freezes; if the toxic
    /// took hold later than that, at the first byte it sees.
    pub at: ByteSize,
    /// The chance per cell that a burst of losses begins.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p_enter: f64,
    /// The chance per cell that it ends.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub p_leave: f64,
    /// Share of the cells that are lost within a burst.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub loss_bad: f64,
    /// Share of the cells that are lost outside of bursts.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub loss_good: f64,
    /// What the loss of a cell costs.
    pub rto: Millis,
    /// What it costs at most, however many were lost in a row.
    pub rto_max: Millis,
}

impl Default for Stall {
    fn default() -> Self {
        Self {
            duration: Millis::ZERO,
            at: ByteSize(0),
            p_enter: 0.0,
            p_leave: 0.25,
            loss_bad: 1.0,
            loss_good: 0.0,
            rto: Millis::new(200),
            rto_max: Millis::new(3200),
        }
    }
}

/// The payload of a TCP segment with timestamps on Ethernet.
const CELL: u64 = 1448;

/// What a large receive window takes in before the sender has to wait.
const HOLD_LIMIT: usize = 4 * 1024 * 1024;

#[derive(Default)]
pub struct State {
    /// The next cell whose fate is open; the one of the first byte at first.
    next_cell: Option<u64>,
    bad: bool,
    lost_in_a_row: u32,
    /// The freeze at an offset has been.
    froze: bool,
    frozen_until: Time,
}

impl Toxic for Stall {
    const KIND: &'static str = "stall";

    type State = State;

    fn validate(&self) -> Result<(), Invalid> {
        Invalid::unless_share("p_enter", self.p_enter)?;
        Invalid::unless_share("p_leave", self.p_leave)?;
        Invalid::unless_share("loss_bad", self.loss_bad)?;
        Invalid::unless_share("loss_good", self.loss_good)?;
        if self.rto_max < self.rto {
            return Err(Invalid::new("rto_max", "must not be shorter than rto"));
        }
        Ok(())
    }

    fn hold_limit(&self) -> usize {
        HOLD_LIMIT
    }

    fn on_start(&self, state: &mut State, _: &Cx<'_>, _: &mut Out<'_>) {
        // The link starts good; a freeze at an offset comes once in all.
        *state = State { froze: state.froze, ..State::default() };
    }

    fn on_frame(&self, state: &mut State, cx: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        let Frame::Data(mut data) = frame else {
            return out.send_at(state.frozen_until, frame);
        };
        let mut offset = cx.offset;
        let end = offset + data.len() as u64;
        while let Some((place, cost)) = self.next_freeze(state, cx.seed, offset, end) {
            let before = data.split_to((place - offset) as usize);
            offset = place;
            out.send_at(state.frozen_until, Frame::Data(before));
            state.frozen_until = state.frozen_until.max(cx.now) + cost;
        }
        out.send_at(state.frozen_until, Frame::Data(data));
    }

    fn on_update(&self, state: &mut State, cx: &Cx<'_>, held: &mut Reschedule<'_>) {
        let longest = self.longest();
        state.frozen_until = state.frozen_until.min(cx.now + longest);
        held.bring_forward(|held| held.arrived + longest);
    }
}

impl Stall {
    /// The first place in `from..end` at which the stream freezes, and for how
    /// long; what was decided once is not asked again.
    fn next_freeze(&self, state: &mut State, seed: &Seed, from: u64, end: u64) -> Option<(u64, Duration)> {
        let place = self.at.0.max(from);
        let at = (!state.froze && !self.duration.is_zero() && place < end).then_some(place);
        if let Some((cell, cost)) = self.next_loss(state, seed, from, at.unwrap_or(end)) {
            return Some((cell, cost));
        }
        state.froze |= at.is_some();
        at.map(|place| (place, self.duration.get()))
    }

    /// The first lost cell that begins in `from..end`. A cell that began before
    /// the toxic took hold counts as beginning there.
    fn next_loss(&self, state: &mut State, seed: &Seed, from: u64, end: u64) -> Option<(u64, Duration)> {
        if self.p_enter == 0.0 && self.loss_good == 0.0 && !state.bad {
            state.next_cell = None;
            return None;
        }
        let mut cell = *state.next_cell.get_or_insert(from / CELL);
        while (cell * CELL).max(from) < end {
            let lost = self.loses(state, seed, cell);
            cell += 1;
            state.next_cell = Some(cell);
            if lost {
                state.lost_in_a_row += 1;
                return Some((((cell - 1) * CELL).max(from), self.cost(state.lost_in_a_row)));
            }
            state.lost_in_a_row = 0;
        }
        None
    }

    /// Moves the link to the state it has for `cell`, and says whether it loses it.
    fn loses(&self, state: &mut State, seed: &Seed, cell: u64) -> bool {
        let mut draws = seed.at(cell);
        let change = if state.bad { self.p_leave } else { self.p_enter };
        state.bad ^= draws.chance(change);
        draws.chance(if state.bad { self.loss_bad } else { self.loss_good })
    }

    /// What the `nth` loss in a row costs.
    fn cost(&self, nth: u32) -> Duration {
        let doubled = 2u32.saturating_pow(nth - 1);
        self.rto.get().saturating_mul(doubled).min(self.rto_max.get())
    }

    fn longest(&self) -> Duration {
        if self.p_enter == 0.0 && self.loss_good == 0.0 {
            return self.duration.get();
        }
        self.duration.get().max(self.rto_max.get())
    }
}
