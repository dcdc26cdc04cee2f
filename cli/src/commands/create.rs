use std::path::{Path, PathBuf};

use clap::Args;
use sabot_client::NewProxy;
use sabot_proxy::TlsSpec;
use serde_json::{Map, Value, json};

use super::{Run, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::pairs::{self, Pair};
use crate::shape::Shape;

/// Create a proxy
#[derive(Args)]
#[command(
    visible_aliases = ["c", "new"],
    after_help = "\
Addresses are host:port, [v6]:port, :port (all interfaces) or unix:/path; port 0 is a free port.

TLS: `--tls terminate` has certificates minted by Sabot's CA (`sabot ca trust-help`), --tls-cert and --tls-key give \
your own, `--tls originate` speaks TLS to the upstream, `--tls passthrough` only reads the name asked for. Fields \
follow a dot: `--tls terminate.min_version=1.3 --tls terminate.alpn=h2,http/1.1`. Files are as the server sees them."
)]
pub(crate) struct Create {
    /// Name of the new proxy
    name: String,
    /// Where it listens; without it a free port on all interfaces
    #[arg(short, long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// Where it connects to
    #[arg(short, long, value_name = "ADDRESS")]
    upstream: String,
    /// What it speaks: http proxies see every request, and take toxics that act on requests
    #[arg(short, long, value_name = "PROTOCOL", value_parser = ["tcp", "http"])]
    protocol: Option<String>,
    /// TLS on either side: terminate, originate or passthrough, or a field of theirs; several times
    #[arg(long, value_name = "PART[=VALUE]", value_parser = part)]
    tls: Vec<Pair>,
    /// A certificate (PEM file) to terminate TLS with, beside its --tls-key; several are chosen by name
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Vec<PathBuf>,
    /// The key of the --tls-cert
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Vec<PathBuf>,
    /// How many requests of an http proxy may be under a fault at one time; those above it pass without
    #[arg(long, value_name = "N")]
    max_active_faults: Option<u32>,
    /// The Host that the upstream of an http proxy gets, in place of the client's
    #[arg(long, value_name = "NAME")]
    host_rewrite: Option<String>,
    /// Have an http proxy append the client's address to X-Forwarded-For
    #[arg(long)]
    x_forwarded_for: bool,
    /// A label to select it by, such as service=payments; several times
    #[arg(long, value_name = "KEY=VALUE", value_parser = label)]
    label: Vec<Pair>,
    /// Create it disabled
    #[arg(long)]
    disabled: bool,
    #[command(flatten)]
    api: Api,
}

impl Run for Create {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        let proxy = NewProxy {
            listen: self.listen,
            protocol: self.protocol,
            tls: tls(&self.tls, &self.tls_cert, &self.tls_key)?,
            max_active_faults: self.max_active_faults,
            host_rewrite: self.host_rewrite,
            x_forwarded_for: self.x_forwarded_for,
            enabled: !self.disabled,
            labels: self.label.into_iter().collect(),
            ..NewProxy::new(self.name, self.upstream)
        };
        block_on(async {
            let proxy = client.create_proxy(&proxy).await.map_err(Failure::from)?;
            cx.output.answer(&proxy, |out| {
                writeln!(out, "created {}: {} → {}", proxy.name, proxy.listen, proxy.upstream)
            })
        })
    }
}

/// What a key and a value may be, the server says.
fn label(text: &str) -> Result<Pair, String> {
    let (key, value) = text.split_once('=').ok_or("expected key=value, such as service=payments")?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}

/// `terminate` alone, or true, is an object without fields; `passthrough` alone is true.
fn part(text: &str) -> Result<Pair, String> {
    let (name, value) = match text.trim() {
        name @ ("terminate" | "originate" | "passthrough") => (name.to_owned(), "true".to_owned()),
        field if field.contains('=') => pairs::parse(field)?,
        other => {
            return Err(format!(
                "`{other}` is none of terminate, originate, passthrough and their fields, such as terminate.min_version=1.3"
            ));
        }
    };
    match (name.as_str(), value.as_str()) {
        ("terminate" | "originate", "true") => Ok((name, "{}".to_owned())),
        ("terminate" | "originate", "false") => Err(format!("leave `{name}` out to go without it")),
        _ => Ok((name, value)),
    }
}

fn tls(parts: &[Pair], certs: &[PathBuf], keys: &[PathBuf]) -> anyhow::Result<Option<Map<String, Value>>> {
    if certs.len() != keys.len() {
        let message = format!("{} certificates are given and {} keys", certs.len(), keys.len());
        return Err(Failure::new(message, "each --tls-cert needs its --tls-key").into());
    }
    // `terminate` after one of its fields must not empty it again.
    let (bare, fields): (Vec<_>, Vec<_>) = parts.iter().cloned().partition(|(key, _)| !key.contains('.'));
    let mut map = pairs::map(&[bare, fields].concat(), Shape::of(&TlsSpec::schema()));
    if !certs.is_empty() {
        let pair =
            |(cert, key): (&PathBuf, &PathBuf)| Ok(json!({"cert": absolute(cert)?, "key": absolute(key)?}));
        let pairs = certs.iter().zip(keys).map(pair).collect::<std::io::Result<Vec<_>>>()?;
        let terminate = map.entry("terminate").or_insert_with(|| json!({}));
        // Anything else than an object is the server's to refuse.
        if let Some(terminate) = terminate.as_object_mut() {
            terminate.insert("certificates".to_owned(), pairs.into());
        }
    }
    Ok(Some(map).filter(|map| !map.is_empty()))
}

/// The server may have been started elsewhere.
fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{part, tls};

    #[test]
    fn parts_of_tls_are_read_as_its_schema_says() {
        for (parts, spec) in [
            (&["terminate"][..], json!({"terminate": {}})),
            (&["terminate=true", "originate=true"], json!({"terminate": {}, "originate": {}})),
            (&["passthrough"], json!({"passthrough": true})),
            (&["terminate.alpn=h2, http/1.1"], json!({"terminate": {"alpn": ["h2", "http/1.1"]}})),
            (&["originate.alpn=[\"h2\"]"], json!({"originate": {"alpn": ["h2"]}})),
            (&["originate.server_name=1.10"], json!({"originate": {"server_name": "1.10"}})),
            (&["originate.insecure=true"], json!({"originate": {"insecure": true}})),
            (&["terminate.min_version=1.3", "terminate"], json!({"terminate": {"min_version": 1.3}})),
        ] {
            let parts: Vec<_> = parts.iter().map(|text| part(text).unwrap()).collect();
            assert_eq!(tls(&parts, &[], &[]).unwrap().map(Value::Object), Some(spec), "{parts:?}");
        }
        assert!(part("terminate=false").unwrap_err().contains("leave `terminate` out"));
        assert!(part("terminat").unwrap_err().contains("none of terminate"));
    }
}
