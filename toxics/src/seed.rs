//! The seed tree: every draw is a pure function of a seed and a position.
//!
//! Seeds split by name: run → proxy → connection number → direction → toxic.
//! Adding a toxic therefore moves no other toxic's draws. Below the tree a draw
//! is keyed to a stream offset, never to "the next number": the kernel decides
//! where a read ends, and a read that ends elsewhere must change no later draw.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A node of the seed tree.
#[derive(Clone, PartialEq, Eq)]
pub struct Seed([u8; 32]);

impl Seed {
    /// The root of a run.
    #[must_use]
    pub fn new(run: u64) -> Self {
        Self(*blake3::hash(&run.to_le_bytes()).as_bytes())
    }

    /// The branch of that name.
    #[must_use]
    pub fn split(&self, name: &str) -> Self {
        Self(*blake3::keyed_hash(&self.0, name.as_bytes()).as_bytes())
    }

    /// The branch of that number; no name collides with it.
    #[must_use]
    pub fn split_n(&self, number: u64) -> Self {
        let mut hasher = blake3::Hasher::new_keyed(&self.0);
        hasher.update(b"\0#");
        hasher.update(&number.to_le_bytes());
        Self(*hasher.finalize().as_bytes())
    }

    /// The draws that belong to `position` (a stream offset, a cell, a request).
    #[must_use]
    pub fn at(&self, position: u64) -> Draws {
        // The 64-bit stream number of ChaCha is the position, so that jumping
        // to any place costs one block.
        let mut rng = ChaCha8Rng::from_seed(self.0);
        rng.set_stream(position);
        Draws(rng)
    }
}

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Seed({:02x}{:02x}{:02x}{:02x}…)", self.0[0], self.0[1], self.0[2], self.0[3])
    }
}

/// A short sequence of draws that belong to one position.
pub struct Draws(ChaCha8Rng);

impl Draws {
    /// Uniform in `[0, 1)`, with 53 bits.
    pub fn unit(&mut self) -> f64 {
        // 2^-53 is exact, and 53 bits fit a double's mantissa.
        (self.0.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// True with probability `p` (never at 0, always at 1).
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }

    /// Uniform in `0..bound`; 0 if the bound is 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // Lemire's multiply-shift; the bias is below 2^-32 for bounds that fit
        // 32 bits and does not matter for what is drawn here.
        ((u128::from(self.0.next_u64()) * u128::from(bound)) >> 64) as u64
    }
}
