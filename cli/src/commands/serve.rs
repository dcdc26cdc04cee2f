use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sabot_injections::book::OnRestart;

use super::Run;
use crate::context::Context;
use crate::serve::{self, LogFormat};

/// Run the server: its API and the proxies of the config
#[derive(Args)]
#[command(
    version,
    display_name = "sabot",
    after_help = "\
SIGHUP reads the config again: what it changes is applied, all or nothing. SIGINT and SIGTERM stop \
accepting, wait for open connections (--drain) and close; a second one closes at once.

Flags may have one dash, and `serve` may be left out: `sabot -host=0.0.0.0 -config=proxies.json` is what \
toxiproxy-server's users write."
)]
pub(crate) struct Serve {
    /// Address of the API [default: localhost]
    #[arg(long, value_name = "HOST", env = "SABOT_HOST")]
    pub host: Option<String>,
    /// Port of the API; 0 is a free one
    #[arg(long, default_value_t = 8474, env = "SABOT_PORT")]
    pub port: u16,
    /// Write the API's address (host:port) there once it listens
    #[arg(long, value_name = "FILE")]
    pub port_file: Option<PathBuf>,
    /// Proxies and toxics to start with: JSON, YAML or TOML
    #[arg(long, value_name = "FILE", env = "SABOT_CONFIG", value_parser = maybe_path)]
    pub config: Option<PathChoice>,
    /// Keep proxies and toxics there and restore them on start
    #[arg(long, value_name = "DIR", env = "SABOT_STATE_DIR")]
    pub state_dir: Option<PathBuf>,
    /// What becomes of injections that were running, or waited for their turn, when the server died: resume or clear
    #[arg(long, value_name = "POLICY", default_value_t, env = "SABOT_ON_RESTART")]
    pub on_restart: OnRestart,
    /// Ask every request for a token, as `sabot token` makes them
    #[arg(long, requires = "state_dir")]
    pub auth: bool,
    /// Keep Sabot's own CA there [default: `ca` in the state directory, else ~/.local/share/sabot/ca]
    #[arg(long, value_name = "DIR", env = "SABOT_CA_DIR")]
    pub ca_dir: Option<PathBuf>,
    /// Serve the API over TLS, with certificates of Sabot's CA
    #[arg(long)]
    pub api_tls: bool,
    /// Serve the API over TLS, with this certificate (PEM file)
    #[arg(long, value_name = "FILE", requires = "api_tls_key")]
    pub api_tls_cert: Option<PathBuf>,
    /// The key of the --api-tls-cert
    #[arg(long, value_name = "FILE", requires = "api_tls_cert")]
    pub api_tls_key: Option<PathBuf>,
    /// The run's seed: the same seed makes the same decisions [default: drawn, and logged]
    #[arg(long, env = "SABOT_SEED", value_parser = seed, allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// Serve the API under this name too; may be given several times
    #[arg(long, value_name = "NAME", env = "SABOT_ALLOWED_HOSTS", value_delimiter = ',')]
    pub allowed_host: Vec<String>,
    /// Threads that carry connections [default: one for each core]
    #[arg(long, value_name = "N", env = "SABOT_WORKERS", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub workers: Option<u16>,
    /// How long connecting to an upstream may take
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = crate::span::positive)]
    pub dial_timeout: Duration,
    /// How long to wait for open connections at the end
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = crate::span::parse)]
    pub drain: Duration,
    /// How to write logs (to stderr)
    #[arg(long, value_enum, default_value_t, value_name = "FORMAT", env = "SABOT_LOG_FORMAT")]
    pub log_format: LogFormat,
    /// What to log: trace, debug, info, warn, error or off, also by module
    #[arg(long, value_name = "LEVEL", env = "LOG_LEVEL", default_value = "info")]
    pub log_level: String,
    /// Accepted for Toxiproxy's sake: metrics are always on
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, hide_short_help = true)]
    pub runtime_metrics: Option<bool>,
    /// Accepted for Toxiproxy's sake: metrics are always on
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = go_bool, hide_short_help = true)]
    pub proxy_metrics: Option<bool>,
}

/// A truth value as the flags of Toxiproxy's server take it.
fn go_bool(text: &str) -> Result<bool, String> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err("expected true or false".to_owned()),
    }
}

impl Serve {
    /// Whether the API is to speak TLS.
    pub(crate) fn has_api_tls(&self) -> bool {
        self.api_tls || self.api_tls_cert.is_some()
    }

    pub(crate) fn config_path(&self) -> Option<PathBuf> {
        match &self.config {
            Some(PathChoice::Path(path)) => Some(path.clone()),
            Some(PathChoice::None) | None => None,
        }
    }
}

/// `-config=` is what scripts pass that have none.
#[derive(Clone, Debug)]
pub(crate) enum PathChoice {
    None,
    Path(PathBuf),
}

fn maybe_path(text: &str) -> Result<PathChoice, String> {
    Ok(if text.is_empty() { PathChoice::None } else { PathChoice::Path(text.into()) })
}

/// Toxiproxy's seed is signed; either sign names a seed here.
fn seed(text: &str) -> Result<u64, String> {
    let signed = || text.parse::<i64>().map(i64::cast_unsigned);
    text.parse::<u64>().or_else(|_| signed()).map_err(|_| "expected a whole number of 64 bits".to_owned())
}

impl Run for Serve {
    fn run(mut self, cx: &Context) -> anyhow::Result<()> {
        // `sabot --host=0.0.0.0 serve` means the server as well.
        self.host = self.host.or_else(|| cx.leading_host());
        serve::run(self)
    }
}
