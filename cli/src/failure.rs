//! Errors that end a command: what went wrong, and what to do next.

use std::fmt;
use std::io::Write;
use std::process::ExitCode;

use owo_colors::OwoColorize;
use sabot_client::Error;
use sabot_document::DocumentError;

/// An error with advice.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    help: Option<String>,
    /// For `--output json`.
    field: Option<String>,
    status: Option<u16>,
    /// The exit code; 1 unless a command gives another a meaning.
    code: u8,
}

impl Failure {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> Self {
        Self { message: message.into(), help: Some(help.into()), field: None, status: None, code: 1 }
    }

    /// The same, ending the process with that exit code.
    pub(crate) fn with_code(mut self, code: u8) -> Self {
        self.code = code;
        self
    }

    /// The same, where the kind that was meant is known.
    pub(crate) fn about_kind(mut self, kind: &str) -> Self {
        if sabot_toxics::kind(kind).is_some() {
            let named = |help: String| {
                help.replace("`sabot kinds KIND`", &format!("`sabot kinds {kind}`"))
                    .replace("the attributes of a kind", "its attributes")
                    .replace("the parameters of a kind", "its parameters")
            };
            self.help = self.help.map(named);
        }
        self
    }

    /// What to do next.
    pub(crate) fn help(&self) -> Option<&str> {
        self.help.as_deref()
    }

    /// What is wrong in a file, with the lines that are meant.
    pub(crate) fn in_file(error: &DocumentError, help: impl Into<String>) -> Self {
        let excerpt = error.excerpt().map(|lines| format!("\n{lines}")).unwrap_or_default();
        Self::new(format!("{error}{excerpt}"), help)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        match error {
            Error::Unreachable { url, reason } => Self::new(
                format!("failed to reach Sabot at {url}: {reason}"),
                "start the server with `sabot serve`, or name its API with --host or SABOT_URL",
            ),
            Error::Untrusted { ref reason, .. } if reason.contains("InvalidContentType") => {
                Self::new(error.to_string(), "does it speak plain HTTP? write http:// instead of https://")
            }
            Error::Untrusted { .. } => Self::new(
                error.to_string(),
                "trust its CA with --ca FILE or SABOT_CA (`sabot ca export` beside the server writes it), or give \
                 --insecure",
            ),
            Error::Token => Self::new(
                error.to_string(),
                "SABOT_TOKEN, or the first line of the --token-file, has to hold the token and nothing else",
            ),
            Error::Trust { .. } => {
                Self::new(error.to_string(), "give --ca a file that begins with -----BEGIN CERTIFICATE-----")
            }
            Error::Api { status, message, field } => {
                let help = advice(status, &message, field.as_deref());
                let message = match &field {
                    // The field says where, unless the text does already.
                    Some(field) if !message.contains(field.as_str()) => format!("{field}: {message}"),
                    _ => message,
                };
                Self { message, help, field, status: Some(status), code: 1 }
            }
            Error::Url { .. } => Self::new(error.to_string(), "write it as http://localhost:8474"),
            Error::Timeout { .. } => {
                Self::new(error.to_string(), "is the server overloaded, or something else on that port?")
            }
            Error::Answer { ref reason, .. } if reason.contains("invalid HTTP version") => {
                Self::new(error.to_string(), "does it speak TLS? write https:// instead of http://")
            }
            Error::Answer { .. } => {
                Self::new(error.to_string(), "is it a Sabot server? `sabot --host URL list` names another")
            }
            Error::Nameless { .. } => {
                Self::new(error.to_string(), "is it a variable of the shell that is not set?")
            }
            Error::Lost { .. } => Self::new(
                error.to_string(),
                "has the server stopped, or the network? `sabot list` asks it again",
            ),
            other => Self { message: other.to_string(), help: None, field: None, status: None, code: 1 },
        }
    }
}

fn advice(status: u16, message: &str, field: Option<&str>) -> Option<String> {
    // That of a schedule has the same parts.
    let field = field.map(|field| field.strip_prefix("injection.").unwrap_or(field));
    let help = match (status, field) {
        (404, _) if message.contains("no injection") => "`sabot injections` shows those there are",
        (404, _) if message.contains("no schedule `") => "`sabot schedule list` shows those there are",
        (404, _) if message.contains("toxic") => "`sabot inspect PROXY` shows the toxics there are",
        (404, _) if message.contains("proxy") => "`sabot list` shows the proxies there are",
        (409, _) if message.contains("--auth") => {
            "`sabot token --state-dir DIR` makes tokens before the server asks for them"
        }
        // The text itself says what to do.
        (409, _) if message.contains("belongs to injection") => return None,
        (409, _) if message.contains("it overlaps with") => {
            "`sabot injections` shows what is on, `sabot revert ID` ends one; --queue waits for its turn"
        }
        (409, _) if message.contains("nothing may run") && message.contains("`queue`") => {
            "--queue has it wait until then"
        }
        (409, _) if message.contains("nothing may run") => return None,
        (409, _) if message.contains("there is a schedule") => "`sabot schedule remove NAME` removes it",
        (409, _) if message.starts_with("inj-") => "`sabot injections ID` tells what became of it",
        (409, _) if message.contains("toxic") => {
            "name it with -n, or change the one there is with `sabot toxic update`"
        }
        (409, _) => "`sabot delete NAME` removes the one there is",
        (401, _) => {
            "give a token in SABOT_TOKEN or by --token-file; `sabot token create --state-dir DIR` beside the server makes \
             one"
        }
        // However many were refused, a good one is let in at once.
        (429, _) if message.contains("token") => {
            "give a good token in SABOT_TOKEN or by --token-file, which is let in at once; `sabot token create \
             --state-dir DIR` beside the server makes one"
        }
        // The text itself says what to do.
        (403, _) if message.contains("a second person approves") => return None,
        (403, _) if message.contains("with a token of their own") => return None,
        (403, _) if message.contains("role") => {
            "an admin makes a token with another role by `sabot token create`"
        }
        (403, _) if message.contains("token") => {
            "an admin makes a token with another scope by `sabot token create`"
        }
        (404, _) if message.contains("token") => "`sabot token list` shows those there are",
        (403, _) if message.contains("second person") => {
            "ask somebody else to `sabot approve ID --as THEIR-NAME`"
        }
        (403, _) => "start the server with --allowed-host to serve that name",
        (400, Some("approver")) if message.contains("leave this out") => {
            "leave out --as: with a token it is always its owner who approves"
        }
        (400, Some("approver")) => "`sabot approve ID --as WHO` names them",
        (400, Some("target.service" | "target.selector")) => {
            "`sabot list` shows the proxies and their labels"
        }
        (400, Some(field)) if field.starts_with("fault") => {
            "`sabot kinds KIND` shows the parameters of a kind"
        }
        (400, Some("time" | "since" | "until")) => "write it as 02:47, or as 2026-12-24T12:00:00+01:00",
        (400, Some(field)) if PARTS.iter().any(|part| field.starts_with(part)) => {
            "`sabot inject --help` shows the options of all parts"
        }
        // The text itself says what to write.
        (400, Some("when")) if message.contains("@every") => return None,
        (400, Some(field)) if field.starts_with("labels") => {
            "such as --label service=payments --label env=staging"
        }
        (400, Some(field)) if field.starts_with("tls") => "`sabot create --help` shows what --tls takes",
        (400, Some(field)) if field.starts_with("attributes") || field == "type" => {
            "`sabot kinds KIND` shows the attributes of a kind"
        }
        (400, Some(field)) if field.starts_with("when") => "`sabot toxic add --help` shows the conditions",
        (500, _) if message.contains("could not be journalled yet") => return None,
        (500, _) => "is the address in use? `-l localhost:0` takes a free port",
        _ => return None,
    };
    Some(help.to_owned())
}

/// Parts of an injection, without those that have advice of their own.
const PARTS: [&str; 6] =
    ["target", "duration_seconds", "steady_state", "hypothesis", "owner", "lease_seconds"];

/// Tells stderr, and gives the exit code.
pub(crate) fn report(error: &anyhow::Error, json: bool) -> ExitCode {
    // `sabot list | head` is no error.
    if error.chain().any(is_broken_pipe) {
        return ExitCode::SUCCESS;
    }
    let failure = error.downcast_ref::<Failure>();
    let mut out = anstream::stderr().lock();
    // Nothing is left to do should stderr be gone.
    let _ = if json {
        let said = serde_json::json!({
            "error": format!("{error:#}"),
            "help": failure.and_then(|failure| failure.help.as_deref()),
            "field": failure.and_then(|failure| failure.field.as_deref()),
            "status": failure.and_then(|failure| failure.status),
        });
        writeln!(out, "{said}")
    } else {
        let help = failure.and_then(|failure| failure.help.as_deref());
        let help = help.map(|help| format!("\n{} {help}", " help:".cyan())).unwrap_or_default();
        writeln!(out, "{} {error:#}{help}", "error:".red().bold())
    };
    ExitCode::from(failure.map_or(1, |failure| failure.code))
}

fn is_broken_pipe(cause: &(dyn std::error::Error + 'static)) -> bool {
    let kind = |error: &std::io::Error| error.kind() == std::io::ErrorKind::BrokenPipe;
    let json = |error: &serde_json::Error| error.io_error_kind() == Some(std::io::ErrorKind::BrokenPipe);
    cause.downcast_ref().is_some_and(kind) || cause.downcast_ref().is_some_and(json)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(status: u16, message: &str, field: Option<&str>) -> Failure {
        Failure::from(Error::Api { status, message: message.into(), field: field.map(Into::into) })
    }

    #[test]
    fn the_kind_is_named_where_it_is_known() {
        let slip = || refusal(400, "attributes.rat: unknown attribute", Some("attributes.rat"));
        assert_eq!(slip().help(), Some("`sabot kinds KIND` shows the attributes of a kind"));
        let named = slip().about_kind("bandwidth");
        assert_eq!(named.help(), Some("`sabot kinds bandwidth` shows its attributes"));
        assert_eq!(slip().about_kind("").help(), slip().help());
        let injected = refusal(400, "unknown attribute", Some("fault.rat")).about_kind("bandwidth");
        assert_eq!(injected.help(), Some("`sabot kinds bandwidth` shows its parameters"));
    }

    #[test]
    fn who_is_refused_in_a_window_is_told_to_queue_only_if_that_would_help() {
        let refused = refusal(409, "nothing may run now (x), until y; ask with `queue`: true", None);
        assert_eq!(refused.help(), Some("--queue has it wait until then"));
        let refused = refusal(409, "nothing may run now (x), until y; nothing waits for so long", None);
        assert_eq!(refused.help(), None);
    }

    #[test]
    fn advice_fits_what_was_refused() {
        let own = "ann asked for inj-1 or owns it: a second person has to approve it";
        assert!(refusal(403, own, None).help().is_some_and(|help| help.contains("--as THEIR-NAME")));
        let with_tokens = format!("{own}, with a token of their own");
        assert_eq!(refusal(403, &with_tokens, None).help(), None);
        let named = refusal(400, "approver: the token is that of ann: leave this out", Some("approver"));
        assert!(named.help().is_some_and(|help| help.starts_with("leave out --as")));
        let never = refusal(400, "when: `0 0 31 2 *` never comes: write `@every 6h` or …", Some("when"));
        assert_eq!(never.help(), None);
    }

    #[test]
    fn who_asked_too_often_without_a_token_is_told_how_to_get_one() {
        let refused = refusal(429, "too many requests without a good token came from there", None);
        assert!(
            refused
                .help()
                .is_some_and(|help| help.contains("SABOT_TOKEN") && help.contains("let in at once"))
        );
    }
}
