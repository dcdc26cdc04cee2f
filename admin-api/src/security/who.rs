//! Who asks, as the journal names them.

use std::convert::Infallible;
use std::net::IpAddr;

use axum::extract::FromRequestParts;
use http::request::Parts;
use sabot_injections::event::Actor;
use sabot_injections::request::Selector;
use sabot_toxics::Invalid;

/// Where a request says who sends it. Where there are no tokens that is on trust.
const ACTOR: &str = "x-sabot-actor";

/// An address or a name; it is kept in the journal for ever.
const LONGEST: usize = 200;

/// Who nobody said to be.
const ANONYMOUS: &str = "anonymous";

/// Who asks, and what they may touch.
#[derive(Clone, Debug)]
pub(crate) struct Who {
    /// Their name, and whence they ask.
    pub(crate) actor: Actor,
    /// The proxies that they may touch; empty is all.
    pub(crate) scope: Selector,
    /// The name of the token that says so; else it is on trust.
    pub(crate) token: Option<String>,
}

/// The other end of the connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Peer(pub(crate) IpAddr);

/// Who sends a request: whom its token names, else whom it says to be.
pub(crate) fn who(parts: &Parts) -> Who {
    if let Some(known) = parts.extensions.get::<Who>() {
        return known.clone();
    }
    let peer = parts.extensions.get::<Peer>().map(|peer| peer.0.to_canonical().to_string());
    // Not `to_str`, which is for ASCII alone: people have other names, too.
    let told = parts.headers.get(ACTOR).and_then(|told| std::str::from_utf8(told.as_bytes()).ok());
    let told = told.and_then(name);
    let actor = Actor::new(told.unwrap_or(ANONYMOUS), peer.unwrap_or_default());
    Who { actor, scope: Selector::default(), token: None }
}

impl Who {
    /// The same, by `name` unless somebody else is named.
    pub(crate) fn or(mut self, other: &str) -> Self {
        if self.is_anonymous()
            && let Some(other) = name(other)
        {
            other.clone_into(&mut self.actor.who);
        }
        self
    }

    /// The same, by a name that stands in the body of a request, on trust.
    pub(crate) fn named(mut self, other: &str) -> Result<Self, Invalid> {
        let told = || Invalid::new("approver", format!("must be a name of at most {LONGEST} characters"));
        name(other).ok_or_else(told)?.clone_into(&mut self.actor.who);
        Ok(self)
    }

    /// Whether nobody said who it is.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.token.is_none() && self.actor.who == ANONYMOUS
    }
}

impl<S: Sync> FromRequestParts<S> for Who {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(who(parts))
    }
}

/// A name that can be shown and kept.
fn name(text: &str) -> Option<&str> {
    let text = text.trim();
    let fine = !text.is_empty() && text.len() <= LONGEST && !text.chars().any(char::is_control);
    fine.then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(header: Option<&str>, known: Option<&str>) -> Who {
        let mut request = http::Request::builder().uri("/injections");
        if let Some(header) = header {
            request = request.header(ACTOR, header);
        }
        let (mut parts, ()) = request.body(()).unwrap().into_parts();
        parts.extensions.insert(Peer("::ffff:10.0.0.7".parse().unwrap()));
        if let Some(known) = known {
            let actor = Actor::new(known, "10.0.0.7");
            parts.extensions.insert(Who {
                actor,
                scope: Selector::default(),
                token: Some("tok-1".to_owned()),
            });
        }
        who(&parts)
    }

    #[test]
    fn a_token_says_who_asks_then_a_header_then_the_body() {
        let long = "a".repeat(LONGEST + 1);
        for (header, known, owner, expected) in [
            (None, None, "", "anonymous"),
            (None, None, "oncall@example.com", "oncall@example.com"),
            (None, None, "two\nlines", "anonymous"),
            (Some("ann"), None, "oncall@example.com", "ann"),
            (Some("Zoë"), None, "oncall@example.com", "Zoë"),
            (Some("  "), None, "oncall@example.com", "oncall@example.com"),
            (Some(long.as_str()), None, "", "anonymous"),
            (Some("ann"), Some("bob@example.com"), "oncall@example.com", "bob@example.com"),
        ] {
            let who = of(header, known).or(owner);
            assert_eq!(who.actor, Actor::new(expected, "10.0.0.7"), "{header:?} {known:?} {owner}");
        }
    }
}
