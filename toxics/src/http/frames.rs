//! Frames of WebSocket (RFC 6455, section 5.2), found in a stream of bytes as it comes:
//! heads are put together, payloads pass in the pieces they come in.

use bytes::{Bytes, BytesMut};

/// The longest head: 2 bytes, a length of 8, a mask of 4.
const LONGEST_HEAD: usize = 14;

/// What a control frame may carry (section 5.5).
pub(crate) const LONGEST_CONTROL: usize = 125;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// The last frame of its message.
    pub(crate) last: bool,
    pub(crate) opcode: u8,
    /// Bytes of payload.
    pub(crate) length: u64,
}

/// The rest of a message that has begun.
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const CLOSE: u8 = 8;

impl Head {
    /// Whether it is one of those that may stand between the frames of a message.
    pub(crate) fn is_control(self) -> bool {
        self.opcode >= CLOSE
    }
}

/// A part of the stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// A frame begins; the bytes of its head.
    Head(Head, Bytes),
    /// Payload of the frame at hand, and how much is left of it.
    Payload(Bytes, u64),
    /// What is no WebSocket, from here to the end.
    Opaque(Bytes),
}

/// Finds the frames of one direction.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    /// The head at hand, as far as it came.
    head: BytesMut,
    /// Payload left of the frame at hand.
    left: u64,
    /// What comes is no WebSocket.
    lost: bool,
}

impl Frames {
    /// Whether a frame that is not part of this one could stand here.
    pub(crate) fn is_between(&self) -> bool {
        self.left == 0 && self.head.is_empty() && !self.lost
    }

    /// Takes the next part off `data`; none if it takes more bytes to know.
    pub(crate) fn next(&mut self, data: &mut Bytes) -> Option<Part> {
        if data.is_empty() {
            return None;
        }
        if self.lost {
            return Some(Part::Opaque(std::mem::take(data)));
        }
        if self.left > 0 {
            let length = usize::try_from(self.left).unwrap_or(usize::MAX).min(data.len());
            self.left -= length as u64;
            return Some(Part::Payload(data.split_to(length), self.left));
        }
        while let Some(missing) = missing(&self.head) {
            if data.is_empty() {
                return None;
            }
            let more = data.split_to(missing.min(data.len()));
            self.head.extend_from_slice(&more);
        }
        let bytes = self.head.split().freeze();
        match read(&bytes) {
            Some(head) => {
                self.left = head.length;
                Some(Part::Head(head, bytes))
            }
            None => {
                self.lost = true;
                Some(Part::Opaque(bytes))
            }
        }
    }
}

/// How many bytes it takes at least to complete a head; none if it is complete.
fn missing(head: &[u8]) -> Option<usize> {
    let &[_, second, ..] = head else { return Some(2 - head.len()) };
    let extended = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    debug_assert!(head.len() <= LONGEST_HEAD);
    let whole: usize = 2 + extended + mask;
    whole.checked_sub(head.len()).filter(|missing| *missing > 0)
}

/// Reads a complete head; none if it is none.
fn read(head: &[u8]) -> Option<Head> {
    let (first, second) = (*head.first()?, *head.get(1)?);
    let length = match second & 0x7f {
        126 => u64::from(u16::from_be_bytes(head.get(2..4)?.try_into().ok()?)),
        127 => u64::from_be_bytes(head.get(2..10)?.try_into().ok()?),
        short => u64::from(short),
    };
    let head = Head { last: first & 0x80 != 0, opcode: first & 0x0f, length };
    let known = matches!(head.opcode, 0..=2 | 8..=10);
    let control = !head.is_control() || (head.last && length <= LONGEST_CONTROL as u64);
    // The highest bit of a long length must be 0.
    (known && control && length >> 63 == 0).then_some(head)
}

/// A frame that closes with that code and reason; `mask` for one that goes up.
pub(crate) fn close(code: u16, reason: &str, mask: Option<[u8; 4]>) -> Bytes {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_bytes());
    let length = payload.len().min(LONGEST_CONTROL) as u8;
    let mut frame = vec![0x80 | CLOSE, length | if mask.is_some() { 0x80 } else { 0 }];
    if let Some(mask) = mask {
        frame.extend_from_slice(&mask);
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
    }
    frame.extend_from_slice(&payload[..usize::from(length)]);
    frame.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found in `stream` when it comes in pieces of that length.
    fn found(stream: &[u8], piece: usize) -> (Vec<Head>, Vec<u8>, Vec<u8>) {
        let (mut frames, mut heads, mut payload, mut all) =
            (Frames::default(), Vec::new(), Vec::new(), Vec::new());
        for piece in stream.chunks(piece) {
            let mut data = Bytes::copy_from_slice(piece);
            while let Some(part) = frames.next(&mut data) {
                match part {
                    Part::Head(head, bytes) => {
                        heads.push(head);
                        all.extend_from_slice(&bytes);
                    }
                    Part::Payload(bytes, _) => {
                        payload.extend_from_slice(&bytes);
                        all.extend_from_slice(&bytes);
                    }
                    Part::Opaque(bytes) => all.extend_from_slice(&bytes),
                }
            }
        }
        all.extend_from_slice(&frames.head);
        (heads, payload, all)
    }

    fn head(opcode: u8, last: bool, length: u64) -> Head {
        Head { last, opcode, length }
    }

    #[test]
    fn frames_are_found_whatever_the_pieces() {
        // The examples of RFC 6455, section 5.7.
        let mut stream = b"\x81\x05Hello\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec();
        stream.extend_from_slice(b"\x01\x03Hel\x89\x05Hello\x80\x02lo\x82\x7e\x01\x00");
        stream.extend_from_slice(&[7; 256]);
        stream.extend_from_slice(b"\x82\x7f\0\0\0\0\0\x01\0\0");
        stream.extend_from_slice(&[8; 65536]);
        let heads = [
            head(1, true, 5),
            head(1, true, 5),
            head(1, false, 3),
            head(9, true, 5),
            head(0, true, 2),
            head(2, true, 256),
            head(2, true, 65536),
        ];
        for piece in [1, 2, 3, 5, 7, 11, 100_000] {
            let (found, _, all) = found(&stream, piece);
            assert_eq!(found, heads, "pieces of {piece}");
            assert!(all == stream, "pieces of {piece}");
        }
    }

    #[test]
    fn what_is_no_frame_passes_as_it_is() {
        for stream in [
            &b"\x81\x02ok\x83\x01xyz"[..],
            b"\x81\x02ok\x09\x01xyz",
            b"\x81\x02ok\x89\x7e\x01\x00yz",
            b"\x81\x02ok\x82\x7f\x80\0\0\0\0\0\0\0yz",
        ] {
            for piece in [1, 4, 100] {
                let (heads, payload, all) = found(stream, piece);
                assert_eq!((heads.len(), &payload[..], &all[..]), (1, &b"ok"[..], stream));
            }
        }
    }

    #[test]
    fn a_close_is_one() {
        assert_eq!(&close(1001, "bye", None)[..], b"\x88\x05\x03\xe9bye");
        let masked = close(1001, "bye", Some([1, 2, 3, 4]));
        assert_eq!(&masked[..], b"\x88\x85\x01\x02\x03\x04\x02\xeb\x61\x7d\x64");
        assert_eq!(close(1000, &"x".repeat(123), None).len(), 127);
    }
}
