use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::units::{ByteSize, Micros};
use crate::{Cx, Departure, Frame, Held, Invalid, Out, Reschedule, Seed, Time, Toxic};

/// Cuts the stream into slices, with a pause after each.
///
/// A slice is `average_size` bytes long, give or take up to `size_variation`
/// (evenly), and is written to the socket on its own. Where slices end depends
/// on the seed and the offset alone, counted from where the toxic took hold;
/// a slice of which only a part has arrived is not waited for. An
/// `average_size` of 0 cuts nothing.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Slicer {
    /// How long a slice is on average.
    pub average_size: ByteSize,
    /// How far slices may be longer or shorter; at most `average_size`.
    pub size_variation: ByteSize,
    /// The pause after each slice.
    pub delay: Micros,
}

/// Slices wait one behind the other: more than this is left to the source.
const HOLD_LIMIT: usize = 64 * 1024;

#[derive(Default)]
pub struct State {
    /// Where the slice at hand ends; not drawn yet if `None`.
    end: Option<u64>,
    /// When the pause after the last slice is over.
    next: Time,
}

impl Toxic for Slicer {
    const KIND: &'static str = "slicer";
    const CLASSIC: Option<&'static [&'static str]> = Some(&["average_size", "size_variation", "delay"]);
    const SEPARATE_WRITES: bool = true;

    type State = State;

    fn validate(&self) -> Result<(), Invalid> {
        if self.size_variation > self.average_size {
            let message = format!(
                "must not exceed average_size ({}), slices cannot be shorter than nothing",
                self.average_size.0
            );
            return Err(Invalid::new("size_variation", message));
        }
        Ok(())
    }

    fn hold_limit(&self) -> usize {
        HOLD_LIMIT
    }

    fn on_start(&self, state: &mut State, _: &Cx<'_>, _: &mut Out<'_>) {
        *state = State::default();
    }

    fn on_frame(&self, _: &mut State, _: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        out.send(frame);
    }

    fn on_due(&self, state: &mut State, cx: &Cx<'_>, held: &Held) -> Departure {
        if self.average_size.0 == 0 {
            return Departure::Whole;
        }
        if cx.now < state.next {
            return Departure::Wait(state.next);
        }
        let end = *state.end.get_or_insert_with(|| cx.offset + self.size(cx.seed, cx.offset));
        let left = end.saturating_sub(cx.offset);
        let len = held.len() as u64;
        if left <= len {
            state.end = None;
            state.next = cx.now + self.delay.get();
        }
        if left < len { Departure::Part(left as usize) } else { Departure::Whole }
    }

    fn on_update(&self, state: &mut State, cx: &Cx<'_>, held: &mut Reschedule<'_>) {
        state.end = None;
        state.next = state.next.min(cx.now + self.delay.get());
        held.bring_forward(|_| cx.now);
    }
}

impl Slicer {
    /// The length of the slice that begins at `offset`.
    fn size(&self, seed: &Seed, offset: u64) -> u64 {
        let (average, variation) = (self.average_size.0, self.size_variation.0);
        if variation == 0 {
            return average;
        }
        let drawn = seed.at(offset).below(2 * variation + 1);
        (average - variation + drawn).max(1)
    }
}
