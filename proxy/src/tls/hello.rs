//! The name in a `ClientHello`, read without taking a byte off the socket: what passes
//! through passes by the plain relay afterwards, as it came.

use std::sync::Arc;
use std::time::Duration;

use rustls::server::Acceptor;
use sabot_toxics::tls::TlsStep;

use super::handshake::{HANDSHAKE_LIMIT, Waiting, hold};
use crate::connection::Failure;
use crate::net::timers::{monotonic_now, within};
use crate::net::{Monotonic, Stream};
use crate::relay::ConnShared;

/// A `ClientHello` is a few hundred bytes, some kilobytes with post-quantum keys.
const PEEKED: usize = 16 * 1024;

/// How long a client has to read an alert: closed with its `ClientHello` unread, the socket
/// would say RST, and the alert might be lost.
const LINGER: Duration = Duration::from_millis(250);

/// The content type of a handshake record (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;

/// What a client began with.
enum First {
    /// A `ClientHello`, with a name or without.
    Hello(Option<String>),
    /// Nothing of TLS, or nothing at all: it is the upstream's affair.
    Other,
    /// A `ClientHello` that never became whole.
    Unfinished,
}

/// Reads the name that a client asks for, and lets the faults act that need no key.
pub(crate) async fn pass_through(client: &mut Stream, shared: &Arc<ConnShared>) -> Result<(), Failure> {
    let reading = within(&mut Monotonic::default(), monotonic_now() + HANDSHAKE_LIMIT, read(client)).await;
    match reading {
        Some(First::Hello(name)) => {
            if let Some(name) = name {
                shared.set_sni(&name);
            }
        }
        None | Some(First::Other) => return Ok(()),
        Some(First::Unfinished) => return Err(Failure::new("client_tls")),
    }
    let fate = match hold(shared, || client.is_closed_by_peer()).await {
        Waiting::Over(fate) => fate,
        Waiting::Gone => return Err(Failure::new("client_gone")),
    };
    let Some(alert) = fate.plan.alert else { return Ok(()) };
    fate.at(TlsStep::Refuse).for_each(|entry| shared.applied(entry));
    client.say(&alert.record());
    client.shutdown_write();
    let _ = within(&mut Monotonic::default(), monotonic_now() + LINGER, client.drained()).await;
    Err(Failure::new("toxic"))
}

async fn read(client: &Stream) -> First {
    let mut buffer = vec![0; PEEKED];
    let mut seen = 0;
    loop {
        let there = match client.peek(&mut buffer, seen).await {
            Ok(there) if there > seen => there,
            // The end, or an error: the relay meets it as well.
            _ if seen == 0 => return First::Other,
            _ => return First::Unfinished,
        };
        if buffer[0] != HANDSHAKE {
            return First::Other;
        }
        match parse(&buffer[..there]) {
            Some(first) => return first,
            None if there == PEEKED => return First::Other,
            None => seen = there,
        }
    }
}

/// What these bytes begin with; none if there are too few.
fn parse(mut bytes: &[u8]) -> Option<First> {
    let mut acceptor = Acceptor::default();
    while !bytes.is_empty() {
        if acceptor.read_tls(&mut bytes).is_err() {
            return Some(First::Other);
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                return Some(First::Hello(accepted.client_hello().server_name().map(str::to_owned)));
            }
            Ok(None) => {}
            Err(_) => return Some(First::Other),
        }
    }
    None
}
