//! Where the frames of HTTP/2 begin and end (RFC 9113, section 4), in bytes that pass.

const HEAD: usize = 9;
pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
pub(super) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// The head of a frame (section 4.1).
pub(super) struct FrameHead {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
}

/// Where in its frames a direction is.
#[derive(Default)]
pub(super) struct Walk {
    head: [u8; HEAD],
    filled: usize,
    /// Payload left of the frame at hand.
    left: usize,
    /// A block of headers goes on in the next frame: nothing may come between.
    block: bool,
}

impl Walk {
    /// Goes over bytes that passed, and tells of each frame that begins.
    pub(super) fn over(&mut self, mut data: &[u8], mut each: impl FnMut(FrameHead)) {
        while !data.is_empty() {
            if self.left > 0 {
                let length = self.left.min(data.len());
                self.left -= length;
                data = &data[length..];
                continue;
            }
            let length = (HEAD - self.filled).min(data.len());
            self.head[self.filled..][..length].copy_from_slice(&data[..length]);
            self.filled += length;
            data = &data[length..];
            if self.filled == HEAD {
                self.filled = 0;
                let [a, b, c, kind, flags, s, t, u, v] = self.head;
                self.left = u32::from_be_bytes([0, a, b, c]) as usize;
                if matches!(kind, HEADERS | CONTINUATION) {
                    self.block = flags & END_HEADERS == 0;
                }
                each(FrameHead { kind, flags, stream: u32::from_be_bytes([s & 0x7f, t, u, v]) });
            }
        }
    }

    /// Whether a frame may begin here.
    pub(super) fn is_between(&self) -> bool {
        self.filled == 0 && self.left == 0 && !self.block
    }

    /// How many bytes are certain to be of the frame at hand.
    pub(super) fn rest(&self) -> usize {
        if self.left > 0 { self.left } else { HEAD - self.filled }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_found_whatever_the_pieces() {
        let mut bytes = b"\0\0\x03\0\x01\0\0\0\x05abc\0\0\x01\x01\0\0\0\0\x07h".to_vec();
        let inside = bytes.len();
        bytes.extend_from_slice(b"\0\0\0\x09\x04\x80\0\0\x07");
        for piece in 1..=bytes.len() {
            let (mut walk, mut found, mut passed) = (Walk::default(), Vec::new(), 0);
            for data in bytes.chunks(piece) {
                walk.over(data, |frame| found.push((frame.kind, frame.flags, frame.stream)));
                passed += data.len();
                if passed == inside {
                    assert!(!walk.is_between(), "a block goes on");
                }
            }
            assert_eq!(found, [(0, 1, 5), (1, 0, 7), (9, 4, 7)], "pieces of {piece}");
            assert!(walk.is_between());
        }
    }
}
