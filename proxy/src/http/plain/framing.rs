//! Where the body of a message ends (RFC 9112, section 6), without looking into it.

/// How the end of a body is known.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// So many bytes are to come.
    Length(u64),
    /// The last chunk says so.
    Chunked(Chunks),
    /// The sender closes.
    Close,
}

/// What of some bytes belongs to the body, and whether it ends there.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scanned {
    pub(super) bytes: usize,
    pub(super) end: bool,
}

/// The sender frames its chunks as no chunks are framed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Malformed;

impl Framing {
    /// Whether the body has ended before it began.
    pub(super) fn is_empty(&self) -> bool {
        *self == Self::Length(0)
    }

    /// Looks at the next bytes that came.
    pub(super) fn scan(&mut self, data: &[u8]) -> Result<Scanned, Malformed> {
        match self {
            Self::Length(left) => {
                let bytes = usize::try_from(*left).map_or(data.len(), |left| left.min(data.len()));
                *left -= bytes as u64;
                Ok(Scanned { bytes, end: *left == 0 })
            }
            Self::Chunked(chunks) => chunks.scan(data),
            Self::Close => Ok(Scanned { bytes: data.len(), end: false }),
        }
    }
}

/// Bytes of extensions and trailers of one body: nobody needs more, and without a
/// limit a body of nothing else would never be looked at by a reader.
const SPARE: usize = 16 * 1024;

/// Follows the framing of chunks (RFC 9112, section 7.1). Lines end in CRLF and in
/// nothing else: who takes less has been talked into seeing two messages in one.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Chunks {
    at: At,
    spare: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    /// In the size, after so many digits.
    Size {
        size: u64,
        digits: u8,
    },
    /// In the white space that may follow the size.
    Space {
        size: u64,
    },
    /// In what may follow the size, behind its `;`.
    Extension {
        size: u64,
    },
    /// Before the LF of the line with the size.
    SizeLf {
        size: u64,
    },
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    /// At the start of a line of the trailers.
    Line,
    Trailer,
    TrailerLf,
    /// Before the LF of the empty line.
    EndLf,
}

impl Default for Chunks {
    fn default() -> Self {
        Self { at: At::Size { size: 0, digits: 0 }, spare: SPARE }
    }
}

impl Chunks {
    fn scan(&mut self, data: &[u8]) -> Result<Scanned, Malformed> {
        let mut bytes = 0;
        while let Some(&byte) = data.get(bytes) {
            if let At::Data { left } = self.at {
                let here = usize::try_from(left).map_or(usize::MAX, |left| left).min(data.len() - bytes);
                bytes += here;
                let left = left - here as u64;
                self.at = if left == 0 { At::DataCr } else { At::Data { left } };
                continue;
            }
            bytes += 1;
            if self.at == At::EndLf && byte == b'\n' {
                return Ok(Scanned { bytes, end: true });
            }
            self.at = self.step(byte)?;
        }
        Ok(Scanned { bytes, end: false })
    }

    fn step(&mut self, byte: u8) -> Result<At, Malformed> {
        let next = match (self.at, byte) {
            (At::Size { size, digits }, _) if byte.is_ascii_hexdigit() && digits < 16 => {
                let digit = char::from(byte).to_digit(16).ok_or(Malformed)?;
                At::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (At::Size { size, digits: 1.. } | At::Space { size } | At::Extension { size }, b'\r') => {
                At::SizeLf { size }
            }
            (At::Size { size, digits: 1.. } | At::Space { size }, b';') => At::Extension { size },
            // Digits behind it belong to the size for some, and for others to nothing.
            (At::Size { size, digits: 1.. } | At::Space { size }, b' ' | b'\t') => {
                self.pay(At::Space { size })?
            }
            (At::Extension { size }, b'\t' | b' '..=b'~' | 0x80..) => self.pay(At::Extension { size })?,
            (At::SizeLf { size: 0 }, b'\n') => At::Line,
            (At::SizeLf { size }, b'\n') => At::Data { left: size },
            (At::DataCr, b'\r') => At::DataLf,
            (At::DataLf, b'\n') => At::Size { size: 0, digits: 0 },
            (At::Line, b'\r') => At::EndLf,
            (At::Trailer, b'\r') => At::TrailerLf,
            (At::TrailerLf, b'\n') => At::Line,
            // A line that begins with a space would be folded into the one before.
            (At::Line, b'!'..=b'~') | (At::Trailer, b'\t' | b' '..=b'~' | 0x80..) => self.pay(At::Trailer)?,
            _ => return Err(Malformed),
        };
        Ok(next)
    }

    fn pay(&mut self, next: At) -> Result<At, Malformed> {
        self.spare = self.spare.checked_sub(1).ok_or(Malformed)?;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that belong to the body, read in pieces of `piece`; and whether it ended.
    fn scan(text: &[u8], piece: usize) -> Result<(usize, bool), Malformed> {
        let mut framing = Framing::Chunked(Chunks::default());
        let mut bytes = 0;
        for part in text.chunks(piece) {
            let scanned = framing.scan(part)?;
            bytes += scanned.bytes;
            if scanned.end {
                return Ok((bytes, true));
            }
        }
        Ok((bytes, false))
    }

    fn each_way(text: &str, expected: &Result<(usize, bool), Malformed>) {
        for piece in [1, 2, 3, 7, 1000] {
            assert_eq!(&scan(text.as_bytes(), piece), expected, "{text:?} in pieces of {piece}");
        }
    }

    #[test]
    fn a_body_ends_with_its_last_chunk_and_not_before() {
        let whole = "5\r\nhello\r\n00A;name=\"v\"\r\n0\r\n\r\n6789X\r\n0\r\nx-sum: 1\r\na:\r\n\r\n";
        each_way(whole, &Ok((whole.len(), true)));
        each_way(&format!("{whole}HTTP/1.1 200 OK\r\n"), &Ok((whole.len(), true)));
        for cut in 0..whole.len() {
            each_way(&whole[..cut], &Ok((cut, false)));
        }
        each_way("0\r\n\r\n", &Ok((5, true)));
        each_way("1 \t ;a b\r\nx\r\n0 \r\n\r\n", &Ok((19, true)));
    }

    #[test]
    fn what_two_readers_could_read_in_two_ways_is_refused() {
        for text in [
            "\r\n",
            "g\r\n",
            "-1\r\n",
            "0x5\r\nhello",
            "5\nhello",
            "5\r\rhello",
            "5 \x01\r\n",
            "5 6\r\nhello",
            "5 a=b\r\nhello",
            ";a\r\n",
            "11111111111111111\r\n",
            "1\r\nab\r\n",
            "1\r\na\n0\r\n\r\n",
            "0\r\n\n",
            "0\r\n folded: x\r\n\r\n",
            "0\r\na: b\n\r\n",
            "0\r\na\x00b: c\r\n\r\n",
        ] {
            each_way(text, &Err(Malformed));
        }
        let long = format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(SPARE + 1));
        each_way(&long, &Err(Malformed));
    }

    #[test]
    fn a_length_is_a_length() {
        let mut framing = Framing::Length(5);
        assert_eq!(framing.scan(b"abc"), Ok(Scanned { bytes: 3, end: false }));
        assert_eq!(framing.scan(b"defgh"), Ok(Scanned { bytes: 2, end: true }));
        assert!(Framing::Length(0).is_empty() && !Framing::Close.is_empty());
    }
}
