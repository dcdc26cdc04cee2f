//! Why requests got no connection, or an answer that says no: the other side's own words, counted.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A reason, in a sentence's words. Clones share it: one failed dial may answer for many requests.
pub(crate) type Cause = Rc<str>;

/// The longest that a reason is kept at, in characters: some servers answer with what they were sent.
const LONGEST: usize = 160;

/// A reason from what somebody said: its first line, with `?` for what a terminal would obey.
pub(crate) fn cause(text: &str) -> Cause {
    let line = text.trim().lines().next().unwrap_or_default();
    let printable = |c: char| if c.is_control() { '?' } else { c };
    let mut kept: String = line.chars().take(LONGEST).map(printable).collect();
    if line.chars().nth(LONGEST).is_some() {
        kept.push('…');
    }
    kept.into()
}

/// How often each reason was given.
#[derive(Default)]
pub(super) struct Causes(RefCell<BTreeMap<Cause, u64>>);

/// The most reasons that are told apart; a server that words each differently fills no memory.
pub(crate) const MOST: usize = 8;

/// What stands for all beyond.
pub(crate) const OTHERS: &str = "other reasons";

impl Causes {
    pub(super) fn count(&self, cause: &Cause) {
        let mut causes = self.0.borrow_mut();
        if let Some(count) = causes.get_mut(cause) {
            *count += 1;
        } else if causes.len() < MOST {
            causes.insert(Rc::clone(cause), 1);
        } else {
            *causes.entry(OTHERS.into()).or_default() += 1;
        }
    }

    /// Those counted since it was asked last.
    pub(super) fn take(&self) -> BTreeMap<String, u64> {
        self.0.take().into_iter().map(|(cause, count)| (cause.to_string(), count)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        assert_eq!(&*cause(" ERR no such key\r\nmore"), "ERR no such key");
        assert_eq!(&*cause("no \"a\u{1b}[2J\""), "no \"a?[2J\"");
        assert_eq!(cause(&"é".repeat(LONGEST + 1)).chars().count(), LONGEST + 1);
    }

    #[test]
    fn a_few_reasons_are_told_apart() {
        let causes = Causes::default();
        for n in 0..3 * MOST {
            causes.count(&cause(&format!("ERR {n}")));
            causes.count(&cause("ERR 0"));
        }
        let counted = causes.take();
        assert_eq!(counted.len(), MOST + 1, "{counted:?}");
        assert_eq!(counted["ERR 0"], 3 * MOST as u64 + 1);
        assert_eq!(counted[OTHERS], 2 * MOST as u64);
        assert!(causes.take().is_empty());
    }
}
