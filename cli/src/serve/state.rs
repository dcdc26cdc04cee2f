//! `--state-dir`: proxies and toxics as they were last changed.
//!
//! `state.json` is replaced as a whole after every change; `lock` is held while
//! a server lives. What expired meanwhile is dropped when it is read. Not kept:
//! connections, counters, and how far a toxic's `when` had come.

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sabot_proxy::{Protocol, ProxySpec, ProxyView, TlsSpec, ToxicView};
use sabot_toxics::ToxicSpec;
use sabot_toxics::units::Millis;
use serde::{Deserialize, Serialize};

use super::files;
use crate::failure::Failure;

const FORMAT: u32 = 1;

/// A directory that this server alone uses.
pub(super) struct StateDir {
    file: PathBuf,
    /// The lock ends with the process, however it ends.
    _lock: File,
}

/// What is kept.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Saved {
    format: u32,
    /// Which config the proxies were made with.
    pub config: Option<Origin>,
    proxies: Vec<SavedProxy>,
}

/// A config, as far as one has to know it again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// Hash of its content.
    pub fingerprint: String,
    /// The names of its proxies: they go when a later config has them no more.
    pub proxies: Vec<String>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SavedProxy {
    name: String,
    listen: String,
    upstream: String,
    #[serde(default)]
    protocol: Protocol,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tls: Option<TlsSpec>,
    #[serde(default)]
    max_active_faults: Option<u32>,
    #[serde(default)]
    host_rewrite: Option<String>,
    #[serde(default)]
    x_forwarded_for: bool,
    enabled: bool,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    toxics: Vec<SavedToxic>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct SavedToxic {
    /// Beside the toxic: the Toxiproxy routes take more than a config does.
    toxicity: f64,
    /// Wall-clock time in ms at which it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at_ms: Option<u64>,
    toxic: ToxicSpec,
}

impl StateDir {
    /// Takes the directory, making it if need be.
    pub(super) fn open(directory: &Path) -> Result<Self, Failure> {
        let shown = directory.display();
        let refuse = |error: std::io::Error| {
            let message = format!("failed to use the state directory {shown}: {error}");
            Failure::new(message, "give --state-dir a directory that this user can write to")
        };
        fs::create_dir_all(directory).map_err(refuse)?;
        let lock = File::create(directory.join("lock")).map_err(refuse)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(refuse(error)),
            Err(TryLockError::WouldBlock) => {
                let message = format!("another server uses the state directory {shown}");
                return Err(Failure::new(message, "stop it, or give this one a directory of its own"));
            }
        }
        Ok(Self { file: directory.join("state.json"), _lock: lock })
    }

    /// What was kept; none if nothing was yet.
    pub(super) fn load(&self) -> Result<Option<Saved>, Failure> {
        let shown = self.file.display();
        let refuse = |reason: String| {
            let message = format!("failed to restore {shown}: {reason}");
            Failure::new(message, "move the file away to start empty")
        };
        let text = match fs::read_to_string(&self.file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(refuse(error.to_string())),
        };
        let saved: Saved = serde_json::from_str(&text).map_err(|error| refuse(error.to_string()))?;
        if saved.format != FORMAT {
            return Err(refuse(format!("it has format {}, this version knows {FORMAT}", saved.format)));
        }
        Ok(Some(saved))
    }

    /// Keeps it; blocks until it is on disk.
    pub(super) fn save(&self, saved: &Saved) -> std::io::Result<()> {
        let mut content = serde_json::to_vec_pretty(saved)?;
        content.push(b'\n');
        files::replace(&self.file, &content)
    }

    pub(super) fn file(&self) -> &Path {
        &self.file
    }
}

impl Saved {
    pub(super) fn of(proxies: Vec<ProxyView>, config: Option<Origin>) -> Self {
        let now = wall_clock_ms();
        let proxies = proxies.into_iter().map(|proxy| SavedProxy {
            name: proxy.name,
            listen: proxy.listen,
            upstream: proxy.upstream,
            protocol: proxy.protocol,
            tls: proxy.tls,
            max_active_faults: proxy.max_active_faults,
            host_rewrite: proxy.host_rewrite,
            x_forwarded_for: proxy.x_forwarded_for,
            enabled: proxy.enabled,
            labels: proxy.labels,
            // Not what injections own: they are kept, and come back, by their own rules.
            toxics: proxy.toxics.into_iter().map(|toxic| SavedToxic::of(toxic, now)).collect(),
        });
        Self { format: FORMAT, config, proxies: proxies.collect() }
    }

    pub(super) fn len(&self) -> usize {
        self.proxies.len()
    }

    /// The same but for the clock: whether anything changed that is worth a write.
    pub(super) fn says_the_same(&self, other: &Self) -> bool {
        let close = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (Some(a), Some(b)) => a.abs_diff(b) < 100,
            (a, b) => a == b,
        };
        let same_toxic = |a: &SavedToxic, b: &SavedToxic| {
            a.toxicity.to_bits() == b.toxicity.to_bits()
                && a.toxic == b.toxic
                && close(a.expires_at_ms, b.expires_at_ms)
        };
        let same_proxy = |a: &SavedProxy, b: &SavedProxy| {
            (&a.name, &a.listen, &a.upstream, a.enabled) == (&b.name, &b.listen, &b.upstream, b.enabled)
                && (a.protocol, a.max_active_faults) == (b.protocol, b.max_active_faults)
                && (&a.host_rewrite, a.x_forwarded_for) == (&b.host_rewrite, b.x_forwarded_for)
                && a.tls == b.tls
                && a.labels == b.labels
                && a.toxics.len() == b.toxics.len()
                && a.toxics.iter().zip(&b.toxics).all(|(a, b)| same_toxic(a, b))
        };
        self.config == other.config
            && self.proxies.len() == other.proxies.len()
            && self.proxies.iter().zip(&other.proxies).all(|(a, b)| same_proxy(a, b))
    }

    /// The proxies to start with; toxics that are over by now are left out, the
    /// others keep what is left of their time.
    pub(super) fn into_specs(self) -> Vec<ProxySpec> {
        let now = wall_clock_ms();
        let specs = self.proxies.into_iter().map(|proxy| ProxySpec {
            name: proxy.name,
            listen: Some(proxy.listen),
            upstream: proxy.upstream,
            protocol: proxy.protocol,
            tls: proxy.tls,
            max_active_faults: proxy.max_active_faults,
            host_rewrite: proxy.host_rewrite,
            x_forwarded_for: proxy.x_forwarded_for,
            enabled: proxy.enabled,
            labels: proxy.labels,
            toxics: proxy.toxics.into_iter().filter_map(|toxic| toxic.into_spec(now)).collect(),
        });
        specs.collect()
    }
}

impl SavedToxic {
    fn of(view: ToxicView, now: u64) -> Self {
        let toxic = ToxicSpec {
            name: view.name,
            kind: view.kind,
            stream: view.stream,
            toxicity: 1.0,
            attributes: view.attributes,
            when: view.when,
        };
        let expires_at_ms = view.expires_in_ms.map(|left| now + left.max(0.0).ceil() as u64);
        Self { toxicity: view.toxicity, expires_at_ms, toxic }
    }

    fn into_spec(self, now: u64) -> Option<ToxicSpec> {
        let mut spec = ToxicSpec { toxicity: self.toxicity, ..self.toxic };
        if let Some(end) = self.expires_at_ms {
            let left = end.checked_sub(now).filter(|left| *left > 0)?;
            let left = Millis::new(left);
            // The clock may have been set back since: nothing has longer than it was given.
            spec.when.expires_after = Some(spec.when.expires_after.map_or(left, |given| given.min(left)));
        }
        Some(spec)
    }
}

/// Only the wall clock goes on while no server runs.
fn wall_clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use sabot_toxics::units::Millis;
    use serde_json::json;

    use super::{Saved, StateDir, wall_clock_ms};

    fn saved(expires_at_ms: u64) -> Saved {
        let toxic =
            json!({"name": "n", "type": "noop", "stream": "downstream", "toxicity": 1, "attributes": {}});
        let toxics = json!([{"toxicity": 80.0, "expires_at_ms": expires_at_ms, "toxic": toxic}]);
        let proxy =
            json!({"name": "p", "listen": ":1", "upstream": "a:2", "enabled": false, "toxics": toxics});
        serde_json::from_value(json!({"format": 1, "config": null, "proxies": [proxy]})).unwrap()
    }

    #[test]
    fn what_is_over_is_dropped_and_the_rest_keeps_its_time() {
        let specs = saved(wall_clock_ms() - 1).into_specs();
        assert!(specs[0].toxics.is_empty() && !specs[0].enabled);
        let specs = saved(wall_clock_ms() + 60_000).into_specs();
        let toxic = &specs[0].toxics[0];
        let left = toxic.when.expires_after.unwrap().get().as_secs_f64();
        assert!((55.0..=60.0).contains(&left), "{left}");
        // As a client of Toxiproxy set it, above what a config may say.
        assert!((toxic.toxicity - 80.0).abs() < f64::EPSILON);
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_a_toxic_no_more_time_than_it_had() {
        let mut saved = saved(wall_clock_ms() + 3_600_000);
        saved.proxies[0].toxics[0].toxic.when.expires_after = Some(Millis::new(20_000));
        let specs = saved.into_specs();
        assert_eq!(specs[0].toxics[0].when.expires_after, Some(Millis::new(20_000)));
    }

    #[test]
    fn files_are_whole_and_the_directory_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        assert_eq!(state.load().unwrap(), None);
        state.save(&saved(5)).unwrap();
        assert_eq!(state.load().unwrap(), Some(saved(5)));
        let names = std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(names, 2, "state.json and lock");
        assert!(StateDir::open(directory.path()).is_err());
        drop(state);
        assert!(StateDir::open(directory.path()).is_ok());
    }

    #[test]
    fn an_unknown_format_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let state = StateDir::open(directory.path()).unwrap();
        std::fs::write(state.file(), r#"{"format": 2, "proxies": []}"#).unwrap();
        assert!(state.load().unwrap_err().to_string().contains("format 2"));
    }
}
