//! A process that runs services: a thread and a runtime for each, until a signal.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc;
use std::thread;

use listenfd::ListenFd;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

use crate::error::LabError;
use crate::service::{Listeners, Service};

/// A service instance of this process.
pub struct Instance {
    /// Its name.
    pub name: String,
    /// Makes it, on the runtime that it is served by.
    pub make: Box<dyn FnOnce() -> Result<Service, LabError> + Send>,
    /// Its sockets.
    pub listeners: Listeners,
}

/// Serves each of them on a thread of its own until SIGTERM or SIGINT, or until one fails.
///
/// # Errors
/// When one cannot be made or served.
pub fn run(instances: Vec<Instance>) -> Result<(), LabError> {
    let system = |what| move |source| LabError::System { what, source };
    let runtime = current_thread()?;
    let (stop, stopping) = watch::channel(false);
    let ended = std::sync::Arc::new(Notify::new());
    let (sender, results) = mpsc::channel();
    let mut threads = Vec::new();
    for Instance { name, make, listeners } in instances {
        let (stopping, ended, sender) = (stopping.clone(), std::sync::Arc::clone(&ended), sender.clone());
        let serve = move || {
            let result = current_thread()
                .and_then(|runtime| runtime.block_on(async { make()?.serve(listeners, stopping).await }));
            // The main thread takes it, unless it is gone already.
            let _ = sender.send(result);
            ended.notify_one();
        };
        threads.push(thread::Builder::new().name(name).spawn(serve).map_err(system("start a thread"))?);
    }
    drop(sender);
    runtime.block_on(async {
        let mut terminate = signal(SignalKind::terminate()).map_err(system("listen for signals"))?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(system("listen for signals"))?;
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
            () = ended.notified() => {}
        }
        Ok::<_, LabError>(())
    })?;
    stop.send_replace(true);
    let outcome = results.into_iter().find(Result::is_err).unwrap_or(Ok(()));
    for thread in threads {
        if thread.join().is_err() {
            let reason = "a service's thread panicked".to_owned();
            return Err(LabError::Process { process: "lab service".to_owned(), reason });
        }
    }
    outcome
}

fn current_thread() -> Result<tokio::runtime::Runtime, LabError> {
    let built = tokio::runtime::Builder::new_current_thread().enable_all().build();
    built.map_err(|source| LabError::System { what: "start a runtime", source })
}

/// Where a service listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Listen {
    /// An address; port 0 is a free one.
    Address(SocketAddr),
    /// The socket with that number of those that the process inherited.
    Inherited(usize),
}

impl std::str::FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = match text.strip_prefix("fd:") {
            Some(number) => number.parse().map(Self::Inherited).ok(),
            None => text.parse().map(Self::Address).ok(),
        };
        parsed.ok_or_else(|| "write it as ADDRESS:PORT, such as 127.0.0.1:8080".to_owned())
    }
}

/// The sockets of this process.
pub struct Sockets(ListenFd);

impl Sockets {
    /// Those that it inherited, by the convention of systemd (LISTEN_FDS).
    pub fn inherited() -> Self {
        Self(ListenFd::from_env())
    }

    /// A socket that listens there.
    ///
    /// # Errors
    /// When the address is in use, or no such socket was inherited.
    pub fn listen(&mut self, on: &Listen) -> Result<TcpListener, LabError> {
        match on {
            Listen::Address(address) => TcpListener::bind(address)
                .map_err(|source| LabError::Listen { address: address.to_string(), source }),
            Listen::Inherited(number) => {
                let refused = |source| LabError::Listen { address: format!("fd:{number}"), source };
                let none = || refused(std::io::Error::other("no such socket was inherited"));
                self.0.take_tcp_listener(*number).map_err(refused)?.ok_or_else(none)
            }
        }
    }
}
