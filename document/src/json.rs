//! JSON with places.
//!
//! serde_json judges the text; what it accepts is then walked once more for the
//! places, which it does not tell. The walk relies on that verdict.

use serde_json::Value;

use crate::tree::{At, Data, Member, Node, Position};

pub(crate) fn parse(text: &str) -> Result<Node, (Option<Position>, String)> {
    match serde_json::from_str::<Value>(text) {
        Ok(_) => Ok(Walk { text, at: 0 }.node()),
        Err(error) => {
            let position = Position { line: error.line(), column: error.column().max(1) };
            // The text ends with the place, which is told apart.
            let message = error.to_string();
            let message = message.split(" at line ").next().unwrap_or_default();
            Err((Some(position), format!("not JSON: {message}")))
        }
    }
}

struct Walk<'t> {
    text: &'t str,
    at: usize,
}

impl Walk<'_> {
    fn node(&mut self) -> Node {
        self.blank();
        let at = Some(At::Offset(self.at));
        let data = match self.peek() {
            b'[' => self.list(),
            b'{' => self.map(),
            b'"' => Data::Scalar(Value::String(self.string())),
            _ => self.word(),
        };
        Node { at, data }
    }

    fn list(&mut self) -> Data {
        let mut list = Vec::new();
        self.at += 1;
        while !self.closes(b']') {
            list.push(self.node());
        }
        Data::List(list)
    }

    fn map(&mut self) -> Data {
        let mut members = Vec::new();
        self.at += 1;
        while !self.closes(b'}') {
            let key_at = Some(At::Offset(self.at));
            let key = self.string();
            self.blank();
            self.at += 1; // the colon
            members.push(Member { key, key_at, node: self.node() });
        }
        Data::Map(members)
    }

    /// Skips a comma; true past the closing bracket.
    fn closes(&mut self, bracket: u8) -> bool {
        self.blank();
        if self.peek() == b',' {
            self.at += 1;
            self.blank();
        }
        // The end of the text ends the walk, should the verdict have been wrong.
        if self.peek() == bracket || self.at >= self.text.len() {
            self.at += 1;
            return true;
        }
        false
    }

    fn string(&mut self) -> String {
        let start = self.at;
        self.at += 1;
        while !matches!(self.peek(), b'"' | 0) {
            self.at += if self.peek() == b'\\' { 2 } else { 1 };
        }
        self.at += 1;
        self.text.get(start..self.at).and_then(|raw| serde_json::from_str(raw).ok()).unwrap_or_default()
    }

    fn word(&mut self) -> Data {
        let start = self.at;
        while !matches!(self.peek(), b',' | b']' | b'}' | b' ' | b'\t' | b'\r' | b'\n' | 0) {
            self.at += 1;
        }
        let word = self.text.get(start..self.at).unwrap_or_default();
        Data::Scalar(serde_json::from_str(word).unwrap_or_default())
    }

    fn blank(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
    }

    /// The byte here; 0, which valid JSON never holds, past the end.
    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }
}
