//! What the server starts with, and what a reload changes.
//!
//! The state is what was last asked for, so it wins – unless the config changed
//! since: then what the config names becomes what it says, and the rest stays.

use std::path::{Path, PathBuf};

use sabot_proxy::{ApplySummary, ControlError, Controller, ProxySpec};
use sabot_toxics::Invalid;

use super::refused;
use super::state::{Origin, StateDir};
use sabot_document::DocumentError;

use crate::config::{Config, Injections};
use crate::failure::Failure;

pub(super) struct Proxies {
    path: Option<PathBuf>,
    config: Option<Config>,
    restored: Option<Restored>,
    state_file: String,
}

/// What was kept.
struct Restored {
    specs: Vec<ProxySpec>,
    /// The config that it was made with.
    config: Option<Origin>,
}

impl Proxies {
    /// Reads all there is, and changes nothing.
    pub(super) fn plan(path: Option<PathBuf>, state: Option<&StateDir>) -> Result<Self, Failure> {
        let config = path.as_deref().map(Config::read).transpose().map_err(|error| refused(&error))?;
        let saved = state.map(StateDir::load).transpose()?.flatten();
        let restored =
            saved.map(|mut saved| Restored { config: saved.config.take(), specs: saved.into_specs() });
        let state_file = state.map(|state| state.file().display().to_string()).unwrap_or_default();
        Ok(Self { path, config, restored, state_file })
    }

    /// Starts them, or none.
    pub(super) async fn start(&mut self, controller: &Controller) -> Result<(), Failure> {
        let mut config_counts = true;
        if let Some(Restored { mut specs, config }) = self.restored.take() {
            let origin = self.origin();
            config_counts =
                config.as_ref().map(|old| &old.fingerprint) != origin.as_ref().map(|new| &new.fingerprint);
            if config_counts {
                // What the old config had goes, what the new one has is made anew.
                let names: Vec<_> =
                    config.into_iter().chain(origin).flat_map(|origin| origin.proxies).collect();
                specs.retain(|spec| !names.contains(&spec.name));
            }
            let count = specs.len();
            controller.populate(specs).await.map_err(|error| {
                let message = format!("failed to restore {}: {error}", self.state_file);
                Failure::new(message, "free the address, or move the file away to start empty")
            })?;
            tracing::info!(file = %self.state_file, proxies = count, "restored");
        }
        if let Some(config) = self.config.as_ref().filter(|_| config_counts) {
            let applied = controller.apply(config.proxies.clone()).await;
            applied.map_err(|error| refused(&located(config, &error)))?;
        }
        Ok(())
    }

    /// Reads the config again and applies it, all or nothing; says what came of it, in the log too.
    pub(super) async fn reload(&mut self, controller: &Controller) -> Result<String, String> {
        let Some(path) = &self.path else {
            tracing::warn!("SIGHUP, but there is no --config to read again");
            return Err("there is no --config to read again".to_owned());
        };
        let outcome = match Config::read(path) {
            Ok(config) => match controller.apply(config.proxies.clone()).await {
                Ok(mut summary) => {
                    summary.removed.extend(remove_gone(controller, self.config.as_ref(), &config).await);
                    let ApplySummary { created, changed, removed } = summary;
                    // Who may do what, and what guards: what an audit is for.
                    let injections = self.injections().changed(&config.injections).join(", ");
                    let file = path.display();
                    tracing::info!(%file, ?created, ?changed, ?removed, injections, "config reloaded");
                    let mut told = format!("created {created:?}, changed {changed:?}, removed {removed:?}");
                    if !injections.is_empty() {
                        told = format!("{told}; injections: {injections}");
                    }
                    self.config = Some(config);
                    Ok(told)
                }
                Err(error) => Err(located(&config, &error)),
            },
            Err(error) => Err(error),
        };
        outcome.map_err(|error| {
            let told = error.to_string();
            let (line, column) = error.position.map(|at| (at.line, at.column)).unzip();
            let DocumentError { file, field, message, .. } = error;
            tracing::error!(file, line, column, field, "config not reloaded, nothing changed: {message}");
            told
        })
    }

    /// The schedule of experiments that the config names, from where it stands.
    pub(super) fn experiments(&self) -> Option<PathBuf> {
        let named = self.injections().experiments?;
        let folder = self.path.as_deref().and_then(Path::parent).unwrap_or(Path::new(""));
        Some(folder.join(named))
    }

    /// What the config says of injections.
    pub(super) fn injections(&self) -> Injections {
        self.config.as_ref().map(|config| config.injections.clone()).unwrap_or_default()
    }

    /// Which config the proxies were last made with.
    pub(super) fn origin(&self) -> Option<Origin> {
        self.config.as_ref().map(|config| Origin {
            fingerprint: config.fingerprint.clone(),
            proxies: config.proxies.iter().map(|proxy| proxy.name.clone()).collect(),
        })
    }
}

/// Removes what the old config had and the new one has not. The controller does
/// so with what it was told to apply; what came back from the state it was not.
async fn remove_gone(controller: &Controller, old: Option<&Config>, new: &Config) -> Vec<String> {
    let mut removed = Vec::new();
    for proxy in old.into_iter().flat_map(|old| &old.proxies) {
        let gone = new.proxies.iter().all(|other| other.name != proxy.name);
        if gone && controller.delete(&proxy.name).await.is_ok() {
            removed.push(proxy.name.clone());
        }
    }
    removed
}

/// What the controller refused, where it stands in the file.
fn located(config: &Config, error: &ControlError) -> DocumentError {
    let index = |fits: &dyn Fn(&ProxySpec) -> bool| config.proxies.iter().rposition(fits);
    match error {
        ControlError::Bind { address, source } => {
            let listens = |proxy: &ProxySpec| proxy.listen.as_deref() == Some(address.as_str());
            let message = format!("failed to listen on {address}: {source}");
            config.refuse(index(&listens), Invalid::new("listen", message))
        }
        ControlError::Invalid(invalid) => {
            let named = |proxy: &ProxySpec| invalid.message.ends_with(&format!("(proxy `{}`)", proxy.name));
            let only = config.proxies.len() == 1;
            config.refuse(index(&|proxy| only || named(proxy)), invalid.clone())
        }
        other => config.refuse(None, Invalid::new("", other.to_string())),
    }
}
