//! Chance by seed: a draw is a pure function of a seed, a name and a number.

/// Draws of one name.
#[derive(Clone, Debug)]
pub(crate) struct Draws {
    key: [u8; 32],
}

impl Draws {
    pub(crate) fn new(seed: u64, name: &str) -> Self {
        let mut hasher = blake3::Hasher::new_derive_key("sabot lab draws");
        hasher.update(&seed.to_le_bytes()).update(name.as_bytes());
        Self { key: *hasher.finalize().as_bytes() }
    }

    /// The draw with that number, uniform over all values.
    pub(crate) fn bits(&self, number: u64) -> u64 {
        let hash = blake3::keyed_hash(&self.key, &number.to_le_bytes());
        hash.as_bytes().iter().take(8).fold(0, |bits, byte| bits << 8 | u64::from(*byte))
    }

    /// The draw with that number, uniform in [0, 1).
    pub(crate) fn unit(&self, number: u64) -> f64 {
        (self.bits(number) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_repeat_by_seed_and_differ_by_name() {
        let draws = Draws::new(1, "a");
        assert_eq!(draws.bits(7), Draws::new(1, "a").bits(7));
        assert_ne!(draws.bits(7), Draws::new(1, "b").bits(7));
        assert_ne!(draws.bits(7), Draws::new(2, "a").bits(7));
        assert_ne!(draws.bits(7), draws.bits(8));
    }

    #[test]
    fn units_spread_evenly() {
        let draws = Draws::new(3, "even");
        let mean = (0..10_000).map(|number| draws.unit(number)).sum::<f64>() / 10_000.0;
        assert!((0.48..0.52).contains(&mean), "{mean}");
        assert!((0..10_000).all(|number| (0.0..1.0).contains(&draws.unit(number))));
    }
}
