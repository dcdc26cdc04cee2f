//! What an answer says of itself: the word or number that a protocol has for it.

use std::fmt;

/// An HTTP status, a gRPC status, the first word of a Redis error, an SQLSTATE.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Code {
    /// Of HTTP.
    Status(u16),
    /// Of gRPC; 0 is OK.
    Grpc(u16),
    /// A word, cut after 14 bytes: `WRONGTYPE`, `40001`, `OK`.
    Word([u8; 14]),
}

impl Code {
    /// A word as a code; bytes that are not printable ASCII become `?`.
    #[must_use]
    pub fn word(text: &str) -> Self {
        let mut word = [0; 14];
        for (to, from) in word.iter_mut().zip(text.bytes()) {
            *to = if from.is_ascii_graphic() { from } else { b'?' };
        }
        Self::Word(word)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "{status}"),
            Self::Grpc(status) => write!(f, "grpc-{status}"),
            Self::Word(word) => {
                let end = word.iter().position(|byte| *byte == 0).unwrap_or(word.len());
                f.write_str(std::str::from_utf8(&word[..end]).unwrap_or("?"))
            }
        }
    }
}
