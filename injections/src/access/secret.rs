//! The token itself, as its owner has it, and what is kept of it.

use std::fmt;

use subtle::ConstantTimeEq as _;

use super::AccessError;

/// What every token begins with, so that people and scanners of repositories know one when they see it.
const PREFIX: &str = "sabot_";

/// In the order of their worth as digits.
const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// So many of them hold 256 bits: 62⁴³ > 2²⁵⁶.
const LENGTH: usize = 43;

/// A token. Whoever has it is its owner; it shows itself to who asks by [`Secret::reveal`] alone.
pub struct Secret(String);

impl Secret {
    /// A new one: 32 random bytes of the system.
    pub(super) fn draw() -> Result<Self, AccessError> {
        let mut bytes = [0; 32];
        random(&mut bytes)?;
        Ok(Self(format!("{PREFIX}{}", base62(bytes))))
    }

    /// The token, to be told to its owner and to nobody else.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    pub(super) fn hash(&self) -> Hash {
        Hash::of(&self.0)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// What is kept of a token.
///
/// A fast hash is enough: what makes a slow one good for passwords is that people choose passwords that can
/// be guessed. Nobody guesses 256 random bits, by whatever hash.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hash(pub(crate) [u8; 32]);

impl Hash {
    pub(super) fn of(token: &str) -> Self {
        // Of its own kind, so that it is no hash of anything else that Sabot hashes.
        Self(blake3::derive_key("sabot 2026-11 token at rest", token.as_bytes()))
    }
}

/// Takes as long wherever they differ.
impl PartialEq for Hash {
    fn eq(&self, other: &Self) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

/// The name of a token: 40 bits of chance, in letters that are told apart.
pub(super) fn id() -> Result<String, AccessError> {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bytes = [0; 8];
    random(&mut bytes)?;
    let letter = |byte: u8| char::from(LETTERS[usize::from(byte) % LETTERS.len()]);
    Ok(format!("tok-{}", bytes.map(letter).iter().collect::<String>()))
}

fn random(bytes: &mut [u8]) -> Result<(), AccessError> {
    getrandom::fill(bytes).map_err(|error| AccessError::NoChance(error.to_string()))
}

/// The number that the bytes are, the first one worth the most, as digits from the first one worth the most.
fn base62(mut number: [u8; 32]) -> String {
    let mut digits = [0; LENGTH];
    for digit in digits.iter_mut().rev() {
        let mut rest = 0;
        for byte in &mut number {
            let part = rest * 256 + u32::from(*byte);
            // At most 255, since the rest is less than 62.
            *byte = (part / 62) as u8;
            rest = part % 62;
        }
        *digit = DIGITS[rest as usize];
    }
    digits.iter().copied().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_of_256_bits_is_43_digits() {
        let mut one = [0; 32];
        one[31] = 1;
        let mut carried = [0; 32];
        carried[30..].copy_from_slice(&(62_u16 * 62 + 61).to_be_bytes());
        for (number, digits) in [
            ([0; 32], "0".repeat(43)),
            (one, "0".repeat(42) + "1"),
            (carried, "0".repeat(40) + "10z"),
            // By an independent program: 2²⁵⁶ - 1.
            ([255; 32], "yhjskwdA6OZ1AL1YmHWZWm8LLG7HjnuCA2j5rOw8Xp1".to_owned()),
        ] {
            assert_eq!(base62(number), digits);
        }
    }

    #[test]
    fn no_two_are_alike_and_none_shows_itself() {
        let (one, other) = (Secret::draw().unwrap(), Secret::draw().unwrap());
        assert_ne!(one.reveal(), other.reveal());
        assert!(one.hash() != other.hash() && one.hash() == Hash::of(one.reveal()));
        assert_eq!(one.reveal().len(), PREFIX.len() + LENGTH);
        assert!(!format!("{one:?}").contains(&one.reveal()[PREFIX.len()..]));
        assert_ne!(id().unwrap(), id().unwrap());
    }
}
