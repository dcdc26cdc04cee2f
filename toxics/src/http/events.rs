//! Where the events of a stream end: server-sent events and lines of JSON.

use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};

/// How events are told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// At blank lines (the HTML standard, section 9.2.6); lines end with LF, CR or both.
    Blank,
    /// At each LF.
    Line,
    /// With each chunk.
    Chunk,
}

const JSON_LINES: [&str; 6] = [
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
    "application/jsonlines",
    "application/stream+json",
];

impl Framing {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let coding = text(CONTENT_ENCODING);
        if !(coding.is_empty() || coding.eq_ignore_ascii_case("identity")) {
            return Self::Chunk;
        }
        let kind = text(CONTENT_TYPE).split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match kind.as_str() {
            "text/event-stream" => Self::Blank,
            kind if JSON_LINES.contains(&kind) => Self::Line,
            _ => Self::Chunk,
        }
    }
}

/// Where an event ends, found out byte by byte.
#[derive(Default)]
pub(crate) struct Scanner {
    /// The event has a line that is not blank.
    filled: bool,
    /// The line at hand is not blank.
    in_line: bool,
    /// The last byte was a CR: an LF right after belongs to it.
    after_cr: bool,
}

impl Scanner {
    /// How many of these bytes are left of the event; `None` if it goes on after them.
    pub(crate) fn end(&mut self, framing: Framing, data: &[u8]) -> Option<usize> {
        match framing {
            Framing::Chunk => Some(data.len()),
            Framing::Line => data.iter().position(|byte| *byte == b'\n').map(|at| at + 1),
            Framing::Blank => {
                let at = data.iter().position(|byte| self.ends(*byte))?;
                let pair = self.after_cr && data.get(at + 1) == Some(&b'\n');
                self.after_cr &= !pair;
                Some(at + 1 + usize::from(pair))
            }
        }
    }

    /// Whether that byte makes the line at hand a blank one behind others.
    fn ends(&mut self, byte: u8) -> bool {
        let second = std::mem::replace(&mut self.after_cr, byte == b'\r') && byte == b'\n';
        match byte {
            b'\n' if second => false,
            b'\n' | b'\r' if std::mem::take(&mut self.in_line) => {
                self.filled = true;
                false
            }
            b'\n' | b'\r' => std::mem::take(&mut self.filled),
            _ => {
                self.in_line = true;
                false
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where events of this text end, whatever the pieces it comes in.
    fn ends(framing: Framing, text: &str, piece: usize) -> Vec<usize> {
        let (mut scanner, mut ends, mut offset) = (Scanner::default(), Vec::new(), 0);
        for mut piece in text.as_bytes().chunks(piece) {
            while let Some(end) = scanner.end(framing, piece) {
                piece = &piece[end..];
                ends.push(offset + end);
                offset += end;
                if piece.is_empty() {
                    break;
                }
            }
            offset += piece.len();
        }
        ends
    }

    #[test]
    fn events_end_at_blank_lines() {
        for (text, expected) in [
            ("data: a\n\ndata: b\n\n", vec![9, 18]),
            ("data: a\r\n\r\ndata: b\r\n\r\n", vec![11, 22]),
            ("data: a\r\rdata: b\r\r", vec![9, 18]),
            ("id: 1\ndata: a\n\n", vec![15]),
            ("\n\ndata: a\n\n", vec![11]),
            ("data: a\r\n\ndata", vec![10]),
            ("data: a", vec![]),
        ] {
            assert_eq!(ends(Framing::Blank, text, 1000), expected, "{text:?}");
        }
    }

    #[test]
    fn pieces_move_no_event() {
        let text = "data: a\n\nid: 2\ndata: b\n\n: c\n\n\n\ndata: d\r\n\ne";
        for framing in [Framing::Blank, Framing::Line] {
            let whole = ends(framing, text, 1000);
            for piece in 1..12 {
                assert_eq!(ends(framing, text, piece), whole, "pieces of {piece}");
            }
        }
    }

    #[test]
    fn a_cr_at_the_end_of_a_piece_ends_the_event() {
        let mut scanner = Scanner::default();
        assert_eq!(scanner.end(Framing::Blank, b"data: a\r\n\r"), Some(10));
        assert_eq!(scanner.end(Framing::Blank, b"\ndata: b\r\n\r\n"), Some(12));
    }
}
