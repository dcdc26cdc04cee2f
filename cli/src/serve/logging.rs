//! Logs: one line an event, to stderr.

use std::io::IsTerminal;

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

use crate::failure::Failure;

/// How logs are written: a line for people, or a JSON object a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogFormat {
    #[default]
    Text,
    Json,
}

/// Begins to log. `level` is a word of Toxiproxy's (`fatal`, `disabled` and so
/// on too), or directives by module: `info,sabot_proxy=debug`.
pub(crate) fn start(format: LogFormat, level: &str) -> Result<(), Failure> {
    let refuse = || {
        let message = format!("`{level}` is no log level");
        Failure::new(message, "use trace, debug, info, warn, error or off, in LOG_LEVEL or --log-level")
    };
    let filter = EnvFilter::try_new(directives(level).ok_or_else(refuse)?).map_err(|_| refuse())?;
    let builder = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .log_internal_errors(false);
    match format {
        LogFormat::Text => {
            let colours = std::io::stderr().is_terminal()
                && anstream::AutoStream::choice(&std::io::stderr()) != anstream::ColorChoice::Never;
            builder.with_ansi(colours).with_target(false).compact().init();
        }
        LogFormat::Json => {
            builder.json().flatten_event(true).with_current_span(false).with_span_list(false).init();
        }
    }
    Ok(())
}

/// A word is about Sabot; of what it is built from only warnings are told.
fn directives(level: &str) -> Option<String> {
    let level = level.trim().to_ascii_lowercase();
    let level = match level.as_str() {
        "" => "info",
        "warning" => "warn",
        "fatal" | "panic" => "error",
        "disabled" | "none" => "off",
        word @ ("trace" | "debug" | "info" | "warn" | "error" | "off") => word,
        by_module if by_module.contains(['=', ',']) => return Some(level),
        _ => return None,
    };
    let others = if matches!(level, "trace" | "debug" | "info") { "warn" } else { level };
    Some(format!(
        "{others},sabot={level},sabot_toxics={level},sabot_proxy={level},sabot_admin_api={level},sabot_lab={level}"
    ))
}

#[cfg(test)]
mod tests {
    use super::directives;

    #[test]
    fn words_of_toxiproxy_are_known() {
        assert!(directives("debug").unwrap().starts_with("warn,sabot=debug,"));
        assert!(directives("Disabled").unwrap().starts_with("off,sabot=off,"));
        assert!(directives("").unwrap().contains("sabot=info"));
        assert_eq!(directives("info,hyper=debug").unwrap(), "info,hyper=debug");
        assert_eq!(directives("loud"), None);
    }
}
