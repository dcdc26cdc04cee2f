//! `sabot serve`: what the server needs around the controller and the API.
//!
//! | module | what is in it |
//! |---|---|
//! | `logging` | logs to stderr |
//! | `listen` | the API's socket |
//! | `proxies` | what to start with, from config and state; reloads |
//! | `state` | the state directory |
//! | `keeper` | writes the state after each change |
//! | `signals` | when to reload, drain and stop |
//! | `injections` | injections, and whom they tell |
//! | `experiments` | the committed schedule, and what came of it |
//! | `access` | the tokens that the API asks for |
//! | `files` | files that are whole or not there |

mod access;
mod experiments;
mod files;
mod injections;
mod keeper;
mod listen;
mod logging;
mod proxies;
mod signals;
mod state;

use std::hash::{BuildHasher, Hasher, RandomState};

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use sabot_admin_api::ApiOptions;
use sabot_proxy::tls::{self, ServerConfig};
use sabot_proxy::{Controller, Options};
use tokio::sync::oneshot;

use crate::ca_dir;
use crate::commands::serve::Serve;
use crate::failure::Failure;
use injections::Injecting;
use keeper::Keeper;
pub(crate) use logging::{LogFormat, start as start_logging};
use proxies::Proxies;
use signals::{Ask, Signals};
use state::StateDir;

/// The API is idle most of the time; connections have workers of their own.
const API_THREADS: usize = 1;

/// Runs the server until a signal ends it.
pub(crate) fn run(options: Serve) -> anyhow::Result<()> {
    logging::start(options.log_format, &options.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(API_THREADS)
        .thread_name("sabot-api")
        .enable_all()
        .build()
        .context("failed to start the API's thread")?;
    let outcome = runtime.block_on(serve(options));
    // What still blocks (a name that does not resolve) must not hold up the end.
    runtime.shutdown_background();
    outcome
}

/// Everything that can be wrong is found before the API answers: who sees it
/// answer sees all proxies.
async fn serve(options: Serve) -> anyhow::Result<()> {
    // From here on a signal is an order, no matter how far the start has come.
    let mut signals = Signals::new().context("failed to listen for signals")?;
    let state = options.state_dir.as_deref().map(StateDir::open).transpose()?;
    let mut proxies = Proxies::plan(options.config_path(), state.as_ref())?;
    let experiments = experiments::shown(proxies.experiments(), options.state_dir.as_deref())?;
    let host = options.host.clone().unwrap_or_else(|| "localhost".to_owned());
    let listener = listen::bind(&host, options.port).await?;
    let address = listener.local_addr().context("failed to ask for the API's address")?;

    sabot_admin_api::metrics::install();
    let controller = start(&options, address)?;
    let tls = api_tls(&options, &controller, address)?;
    proxies.start(&controller).await?;
    let state_dir = options.state_dir.as_deref();
    let mut injecting =
        Injecting::start(controller.clone(), &proxies.injections(), state_dir, options.on_restart).await;
    let keeper = state.map(|state| Keeper::start(state, controller.clone(), proxies.origin()));

    let (stop, stopped) = oneshot::channel::<()>();
    let secure = tls.is_some();
    let api_options = ApiOptions {
        allowed_hosts: allowed_hosts(&options, host),
        tls,
        engine: Some(injecting.engine.clone()),
        access: options.auth.then(|| access::open(&options, address)).transpose()?,
        experiments,
        ..ApiOptions::default()
    };
    let api = sabot_admin_api::serve(listener, controller.clone(), api_options, async {
        // A sender that is dropped means the same.
        let _ = stopped.await;
    });
    let api = tokio::spawn(api);
    if let Some(path) = &options.port_file {
        files::replace(path, format!("{address}\n").as_bytes())
            .with_context(|| format!("failed to write the port file {}", path.display()))?;
    }
    if secure {
        tracing::info!("the API speaks TLS: https://{address}");
    }
    tracing::info!(%address, seed = controller.seed(), proxies = controller.list().len(), "listening");
    if options.state_dir.is_none() {
        // Not a warning: who drops it in for Toxiproxy wants neither.
        tracing::info!(
            "no --state-dir: injections and the audit are kept in memory, and gone with the server"
        );
    }

    loop {
        match signals.next().await {
            Ask::Reload => {
                let outcome = proxies.reload(&controller).await;
                if outcome.is_ok() {
                    injecting.configure(&proxies.injections());
                }
                injecting.reloaded(outcome.as_deref().unwrap_or_else(|reason| reason));
                if let Some(keeper) = &keeper {
                    keeper.config_is(proxies.origin());
                }
            }
            Ask::Stop(signal) => {
                tracing::info!(
                    signal,
                    drain_s = options.drain.as_secs_f64(),
                    "stopping; another signal ends the wait for connections"
                );
                break;
            }
        }
    }
    // What was last asked for is kept, not the emptiness of a stopped server.
    if let Some(keeper) = keeper {
        keeper.finish().await;
    }
    injecting.stop().await;
    tokio::select! {
        () = controller.shutdown(options.drain) => {}
        () = signals.stop() => tracing::warn!("closing at once"),
    }
    drop(stop);
    tokio::select! {
        _ = api => {}
        () = signals.stop() => {}
    }
    tracing::info!("stopped");
    Ok(())
}

/// The API's TLS, if it is to have any.
fn api_tls(
    options: &Serve,
    controller: &Controller,
    address: SocketAddr,
) -> anyhow::Result<Option<Arc<ServerConfig>>> {
    if !options.has_api_tls() {
        return Ok(None);
    }
    let files = options.api_tls_cert.as_deref().zip(options.api_tls_key.as_deref());
    let refused = |reason: String, help: &str| {
        Failure::new(format!("failed to serve the API over TLS: {reason}"), help)
    };
    let config = match files {
        Some(files) => tls::given(files),
        None => {
            let authority = controller.authority();
            let authority = authority
                .map_err(|error| refused(error.to_string(), "name another directory with --ca-dir"))?;
            tls::minted(authority, address.ip())
        }
    };
    let help = "give --api-tls-cert and --api-tls-key PEM files, or --api-tls alone";
    Ok(Some(config.map_err(|error| refused(error.to_string(), help))?))
}

/// Where clients on this machine, or at the address that it listens on, reach the API.
fn api_url(options: &Serve, address: SocketAddr) -> String {
    let scheme = if options.has_api_tls() { "https" } else { "http" };
    if address.ip().is_unspecified() {
        format!("{scheme}://localhost:{}", address.port())
    } else {
        format!("{scheme}://{address}")
    }
}

fn start(options: &Serve, address: SocketAddr) -> anyhow::Result<Controller> {
    let ca_dir = ca_dir::of_server(options.ca_dir.as_deref(), options.state_dir.as_deref());
    let defaults = Options::default();
    let options = Options {
        // Short enough to be typed again.
        seed: options.seed.unwrap_or_else(|| RandomState::new().build_hasher().finish() >> 32),
        workers: options.workers.map(usize::from),
        dial_timeout: options.dial_timeout,
        ca_dir,
        api_url: Some(api_url(options, address)),
        ..defaults
    };
    Controller::start(&options).context("failed to start the proxy's workers")
}

/// The name that the API was bound to is one that it is served under.
fn allowed_hosts(options: &Serve, host: String) -> Vec<String> {
    let mut hosts = options.allowed_host.clone();
    // A local name or an address passes anyway; listed, it would also let pages of every
    // other server on it send requests.
    if host.contains('.') && host.parse::<std::net::IpAddr>().is_err() {
        hosts.push(host);
    }
    hosts
}

fn refused(error: &sabot_document::DocumentError) -> Failure {
    Failure::in_file(error, "nothing was started; correct the file and start again")
}
