//! What is hashed: the hash before, and all of an event, each part with its length.

use std::fmt::Write as _;

/// The hash of an event and of all before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Hash(pub(super) [u8; 32]);

impl Hash {
    pub(super) fn to_hex(self) -> String {
        self.0.iter().fold(String::with_capacity(64), |mut hex, byte| {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
    }

    pub(super) fn from_hex(hex: &str) -> Option<Self> {
        let mut hash = [0; 32];
        let digits =
            hex.as_bytes().chunks(2).map(|pair| u8::from_str_radix(str::from_utf8(pair).ok()?, 16).ok());
        if hex.len() != 2 * hash.len() {
            return None;
        }
        for (byte, digit) in hash.iter_mut().zip(digits) {
            *byte = digit?;
        }
        Some(Self(hash))
    }
}

/// The hash of an event that follows `before`.
pub(super) fn next(before: &Hash, seq: u64, at_ms: u64, who: &str, from: &str, body: &str) -> Hash {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&before.0).update(&seq.to_le_bytes()).update(&at_ms.to_le_bytes());
    for part in [who, from, body] {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part.as_bytes());
    }
    Hash(hasher.finalize().into())
}
