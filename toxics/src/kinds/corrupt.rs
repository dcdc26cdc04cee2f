use bytes::{Bytes, BytesMut};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::seed::Draws;
use crate::{Changes, Cx, Frame, Invalid, Out, Reschedule, Seed, Toxic};

/// Flips bits of a share of the bytes.
///
/// TCP's checksum does not save its user from it: the bytes are changed in the
/// proxy, as by broken memory or a faulty middlebox. No byte is lost or added.
/// Which bytes and which of their bits are hit depends on the seed and their
/// offset alone.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Corrupt {
    /// The chance of each byte to be hit.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub probability: f64,
    /// How many bits of such a byte are flipped.
    #[schemars(range(min = 1, max = 8))]
    pub bits: u8,
}

impl Default for Corrupt {
    fn default() -> Self {
        Self { probability: 0.0, bits: 1 }
    }
}

/// Draws are made anew for each block of the stream, so that the fate of a byte
/// does not hang on how far the stream came before.
const BLOCK: u64 = 4096;

/// The next byte to be hit, found by leaping over those that are not.
pub struct Hits {
    draws: Draws,
    block: u64,
    next: u64,
}

impl Toxic for Corrupt {
    const KIND: &'static str = "corrupt";
    const CHANGES: Changes = Changes::Content;

    type State = Option<Hits>;

    fn validate(&self) -> Result<(), Invalid> {
        if !(1..=8).contains(&self.bits) {
            return Err(Invalid::new("bits", "must lie between 1 and 8"));
        }
        Invalid::unless_share("probability", self.probability)
    }

    fn on_frame(&self, hits: &mut Option<Hits>, cx: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        match frame {
            Frame::Data(data) if self.probability > 0.0 => {
                let (data, hit) = self.corrupt(hits, cx.seed, cx.offset, data);
                if hit {
                    out.acted();
                }
                out.send(Frame::Data(data));
            }
            frame => out.send(frame),
        }
    }

    fn on_update(&self, hits: &mut Option<Hits>, _: &Cx<'_>, _: &mut Reschedule<'_>) {
        *hits = None;
    }
}

impl Corrupt {
    /// The data at `offset` of a stream with its hits, and whether there were any. `hits`
    /// says what was drawn already for the block at hand.
    pub(super) fn corrupt(
        &self,
        hits: &mut Option<Hits>,
        seed: &Seed,
        offset: u64,
        data: Bytes,
    ) -> (Bytes, bool) {
        let end = offset + data.len() as u64;
        let mut changed: Option<BytesMut> = None;
        let mut original = Some(data);
        for block in offset / BLOCK..=(end.saturating_sub(1)) / BLOCK {
            let hits = match hits {
                Some(hits) if hits.block == block => hits,
                _ => hits.insert(Hits::new(seed, block, self.probability)),
            };
            while hits.next < end.min((block + 1) * BLOCK) {
                let (at, mask) = hits.take(self.probability, self.bits);
                // The toxic may have taken hold in the middle of a block.
                let Some(index) = at.checked_sub(offset) else { continue };
                if let Some(data) = original.take() {
                    changed = Some(data.into());
                }
                if let Some(byte) = changed.as_mut().and_then(|data| data.get_mut(index as usize)) {
                    *byte ^= mask;
                }
            }
        }
        match (changed, original) {
            (Some(changed), _) => (changed.freeze(), true),
            (None, original) => (original.unwrap_or_default(), false),
        }
    }
}

impl Hits {
    fn new(seed: &Seed, block: u64, probability: f64) -> Self {
        let mut hits = Self { draws: seed.at(block), block, next: block * BLOCK };
        hits.leap(probability);
        hits
    }

    /// Leaps from the next candidate to the next hit: the number of misses
    /// between has a geometric distribution.
    fn leap(&mut self, probability: f64) {
        if probability < 1.0 {
            let misses = (-self.draws.unit()).ln_1p() / (-probability).ln_1p();
            self.next = self.next.saturating_add(misses as u64);
        }
    }

    /// The hit at hand and the bits it flips; goes on to the next.
    fn take(&mut self, probability: f64, bits: u8) -> (u64, u8) {
        let at = self.next;
        let mut mask: u8 = 0;
        while mask.count_ones() < u32::from(bits) {
            // The nth of the bits that are still unset.
            let nth = self.draws.below(u64::from(mask.count_zeros()));
            let unset = (0..8).filter(|bit| mask & (1 << bit) == 0).nth(nth as usize);
            mask |= 1 << unset.unwrap_or_default();
        }
        self.next += 1;
        self.leap(probability);
        (at, mask)
    }
}
