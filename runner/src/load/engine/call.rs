//! What a kind of request does on a connection.

use std::cell::Cell;
use std::rc::Rc;

use super::cause::{Cause, cause};
use super::dial::NoConnection;
use super::pool::Connection;
use super::timer::Nanos;
use crate::load::code::Code;
use crate::load::template::Values;
use crate::outcome::Fate;

/// When a request's first byte went out; none as long as it did not.
pub(crate) type Sent = Rc<Cell<Option<Nanos>>>;

/// What became of a request on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub fate: Fate,
    pub code: Option<Code>,
    /// What the other side said of its refusal, beside the code.
    pub cause: Option<Cause>,
    /// Whether the connection can carry another request.
    pub keep: bool,
    /// Nothing of it was sent: it is safe to send it again.
    pub unsent: bool,
}

impl Answer {
    /// A whole answer, of which the protocol says `code`.
    pub(crate) fn told(ok: bool, code: Code) -> Self {
        let fate = if ok { Fate::Ok } else { Fate::Refused };
        Self { fate, code: Some(code), cause: None, keep: true, unsent: false }
    }

    /// A whole answer that says no, and why.
    pub(crate) fn refused(code: Code, why: &str) -> Self {
        Self { cause: Some(cause(why)), ..Self::told(false, code) }
    }

    /// No whole answer; the connection is of no more use.
    pub(crate) fn broken(fate: Fate) -> Self {
        Self { fate, code: None, cause: None, keep: false, unsent: false }
    }
}

/// One endpoint's requests, ready to be sent: text and connections of one kind.
pub(crate) trait Call: Send + Sync + 'static {
    /// What carries them.
    type Connection: Connection;

    /// What connections are shared by: calls of the same words use the same pool.
    fn pool_key(&self) -> String;

    /// Whether connections carry several requests at once, if that is known beforehand.
    fn multiplexed(&self) -> Option<bool>;

    /// Whether a request may be sent again when nothing came back of the first.
    fn is_idempotent(&self) -> bool;

    /// Opens a connection. Its time is limited by the pool.
    fn connect(&self) -> impl Future<Output = Result<Self::Connection, NoConnection>> + 'static;

    /// Sends one request and waits for its whole answer. Its time is limited by the caller: dropped
    /// before its end, it leaves the connection of no use, unless that carries several requests.
    fn send(
        &self,
        connection: &Self::Connection,
        values: &Values<'_>,
        sent: &Sent,
    ) -> impl Future<Output = Answer>;

    /// The request as bytes that say all that is sent, though not in the protocol's own framing
    /// where that is binary.
    fn show(&self, values: &Values<'_>) -> Vec<u8>;
}
