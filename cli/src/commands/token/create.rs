use std::io::Write as _;
use std::time::Duration;

use clap::Args;
use sabot_client::{CreatedToken, NewToken};
use sabot_injections::access;
use sabot_injections::access::role::Role;
use sabot_injections::request::Selector;

use super::{Place, Run, Tokens, actor, block_on, known, refused, shown};
use crate::context::Context;
use crate::failure::Failure;

/// Create a token, and write it to stdout: it is shown this once
#[derive(Args)]
#[command(after_help = "\
It is what SABOT_TOKEN or the file of --token-file holds, the password in the URL of a Toxiproxy client \
(http://sabot:TOKEN@host:8474), or what other programs send as `Authorization: Bearer TOKEN`. Whoever has it is its \
owner to the server: keep it as you keep passwords.")]
pub(crate) struct Create {
    /// Whose it is: a name or an address, which the audit log tells of
    #[arg(long, value_name = "WHO")]
    owner: String,
    /// What it is for: viewer, operator, approver or admin
    #[arg(long, value_parser = role)]
    role: Role,
    /// The proxies that it may change, by their labels, such as team=payments [default: all]
    #[arg(long, value_name = "SELECTOR", value_parser = scope)]
    scope: Option<Selector>,
    /// For how long it is worth anything, such as 12h, 30d [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = life)]
    expires_in: Option<Duration>,
    #[command(flatten)]
    place: Place,
}

impl Run for Create {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let (owner, role, scope) = (self.owner, self.role, self.scope.unwrap_or_default());
        let (tokens, directory) = self.place.tokens_or_new(cx)?;
        let created = match tokens {
            Tokens::Directory(access) => {
                let new = access::NewToken { owner, role, scope, expires_in: self.expires_in };
                let (token, secret) = access.create(&actor(), new).map_err(|error| refused(&error))?;
                CreatedToken { known: known(&access, token), token: secret.reveal().to_owned() }
            }
            Tokens::Server(client) => {
                let (role, scope) = (role.to_string(), scope.to_string());
                let expires_in_seconds = self.expires_in.map(|span| span.as_secs());
                let new = NewToken { owner, role, scope, expires_in_seconds };
                block_on(async { Ok(client.create_token(&new).await.map_err(Failure::from)?) })?
            }
        };
        let it = &created.known;
        let of = if it.scope.is_empty() { String::new() } else { format!(", {}", it.scope) };
        let until = it.expires_at.as_ref().map(|at| format!(", until {at}")).unwrap_or_default();
        if !cx.output.is_json() {
            let kept = directory
                .map(|directory| format!("; it counts for a server with --state-dir {}", shown(&directory)));
            let kept = kept.unwrap_or_default();
            // Apart from the token, so that a script reads that alone; nothing is left to do should it be gone.
            let mut told = anstream::stderr().lock();
            let _ = writeln!(
                told,
                "created {}: {} of {}{of}{until}; it is shown this once{kept}",
                it.id, it.role, it.owner
            );
        }
        cx.output.answer(&created, |out| writeln!(out, "{}", created.token))
    }
}

fn role(text: &str) -> Result<Role, String> {
    // The hint names them all where it is like none.
    let hint = || sabot_toxics::suggestion(text, &Role::ALL.map(Role::as_str));
    text.parse().map_err(|_| format!("there is no such role{}", hint()))
}

fn scope(text: &str) -> Result<Selector, String> {
    Selector::given(text).map_err(|error| error.message)
}

/// As other times; days and weeks as well, of at least a second.
fn life(text: &str) -> Result<Duration, String> {
    let days = |number: &str, days: u64| {
        let number: u64 = number.trim().parse().map_err(|_| "expected a whole number of days or weeks")?;
        number.checked_mul(days * 24 * 3600).map(Duration::from_secs).ok_or("is too long".to_owned())
    };
    let text = text.trim();
    let span = match (text.strip_suffix('d'), text.strip_suffix('w')) {
        (Some(number), _) => days(number, 1)?,
        (_, Some(number)) => days(number, 7)?,
        _ => crate::span::parse(text)
            .map_err(|_| "expected a time with its unit, such as 90m, 12h, 30d".to_owned())?,
    };
    if span < Duration::from_secs(1) { Err("must be a second at least".to_owned()) } else { Ok(span) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_are_told_once() {
        assert_eq!(role("admin"), Ok(Role::Admin));
        let refusal = role("boss").unwrap_err();
        assert_eq!(refusal.matches("approver").count(), 1, "{refusal}");
        assert!(role("operater").unwrap_err().contains("did you mean `operator`"));
    }

    #[test]
    fn a_life_has_a_unit() {
        for (text, seconds) in [("30d", 30 * 86_400), ("2w", 14 * 86_400), ("12h", 43_200), ("1s", 1)] {
            assert_eq!(life(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "30", "0d", "-1d", "1.5d", "999999999999999999d", "10ms", "soon"] {
            assert!(life(text).is_err(), "{text}");
        }
    }
}
