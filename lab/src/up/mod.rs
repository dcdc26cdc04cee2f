//! Bringing the lab up, and down again.
//!
//! | module | what is in it |
//! |---|---|
//! | `plan` | which services there are and which links between them |
//! | `servers` | PostgreSQL and Redis, where they are wanted |
//! | `child`, `child_unsafe` | processes that do not outlive the supervisor |
//! | `state` | what is written for who comes later |
//! | `later` | status, down, switches: by what is written |
//! | `ask` | questions to control addresses and Sabot's API |
//!
//! The supervisor listens on the services' addresses before it starts anything and
//! hands the sockets down. So every address is known at once, no port is guessed,
//! and no call is refused because a service is not there yet.

mod ask;
mod child;
mod child_unsafe;
mod later;
mod plan;
mod servers;
mod state;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::Mode;
use tempfile::TempDir;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::error::LabError;
use crate::mitigation::Mitigations;
use ask::Ask;
use child::Child;
pub use later::{Health, ServiceStatus, Status, change_mitigations, check, down, mitigations, status};
use plan::Plan;
use servers::Servers;
use state::{Directory, PROXIES};
pub use state::{LabState, Link, ProcessState, ServiceState};

/// Starting takes a second or two; a machine that is busy with other things gets this.
const READY: Duration = Duration::from_secs(60);
/// Between two looks at what is not ready yet.
const LOOK: Duration = Duration::from_millis(20);

/// How the lab is to be.
#[derive(Clone, Debug)]
pub struct UpOptions {
    /// The program `sabot`, which is every process of the lab.
    pub program: PathBuf,
    /// Where state and logs go.
    pub directory: PathBuf,
    /// Port of the proxy in front of `api`; 0 is a free one.
    pub api_port: u16,
    /// Port of Sabot's API; 0 is a free one.
    pub sabot_port: u16,
    /// The mitigations to begin with.
    pub mitigations: Mitigations,
    /// For the proxies' draws and the services'.
    pub seed: u64,
    /// Tenants with orders.
    pub tenants: u32,
    /// Orders of each.
    pub orders_per_tenant: u32,
    /// Orders in PostgreSQL (a primary and a streaming replica) and Redis.
    pub real: bool,
}

/// A lab on its way up, up, or on its way down.
pub struct Lab {
    options: UpOptions,
    directory: Directory,
    children: Vec<Child>,
    state: Option<LabState>,
    ask: Ask,
    /// The servers' data; it goes when this does.
    data: Option<TempDir>,
}

impl Lab {
    /// Takes the directory; nothing is started yet.
    ///
    /// # Errors
    /// When a lab is up there, or the directory cannot be used.
    pub fn new(options: UpOptions) -> Result<Self, LabError> {
        // Logs and state are nobody else's business.
        rustix::process::umask(Mode::from_raw_mode(0o077));
        let directory = Directory::take(&options.directory)?;
        Ok(Self { options, directory, children: Vec::new(), state: None, ask: Ask::new(), data: None })
    }

    /// Starts everything and waits until it is ready. To be called on the main
    /// thread, with which the processes end. If it fails or is dropped,
    /// [`take_down`](Self::take_down) removes what there is.
    ///
    /// # Errors
    /// When something does not start, with the end of its log.
    pub async fn bring_up(&mut self) -> Result<&LabState, LabError> {
        let mut servers = None;
        if self.options.real {
            let (found, data) = Servers::new(&self.directory.path)?;
            (servers, self.data) = (Some(found), Some(data));
        }
        let mut plan = Plan::bind(&self.options, &self.directory.path, servers.as_ref())?;
        // Before anything is there that would have to be removed by somebody else.
        self.note(&plan, String::new())?;
        plan.write_proxies(&self.directory.path.join(PROXIES))?;
        self.children.push(plan.sabot().start()?);
        let port_file = plan.port_file();
        self.until("Sabot's API", async |_| read_line(&port_file)).await?;
        let sabot = format!("http://{}", read_line(&port_file).unwrap_or_default());
        let proxies = self.ask.get(&format!("{sabot}/v1/proxies")).await?;
        plan.learn_proxies(&proxies)?;
        if let Some(servers) = servers {
            self.start_servers(&servers, plan.listen("replication")).await?;
        }
        for service in plan.services() {
            self.children.push(service.start()?);
        }
        for service in plan.states() {
            let (ask, url) = (self.ask.clone(), format!("{}/ready", service.control));
            self.until(&service.name, async |()| ask.get(&url).await.ok()).await?;
        }
        self.note(&plan, sabot)
    }

    fn note(&mut self, plan: &Plan, sabot: String) -> Result<&LabState, LabError> {
        let temporary = self.data.iter().map(|data| data.path().to_owned()).collect();
        let state = plan.state(sabot, &self.children, temporary);
        self.directory.write(&state)?;
        Ok(self.state.insert(state))
    }

    async fn start_servers(&mut self, servers: &Servers, replication: &str) -> Result<(), LabError> {
        let UpOptions { tenants, orders_per_tenant, .. } = self.options;
        prepare(servers.initdb()).await?;
        self.children.push(servers.primary().start()?);
        self.until("primary", async |()| servers.primary_answers().await).await?;
        servers.seed(tenants, orders_per_tenant).await?;
        prepare(servers.base_backup(replication)).await?;
        self.children.push(servers.replica().start()?);
        self.until("replica", async |()| servers.replica_answers().await).await?;
        self.children.push(servers.redis().start()?);
        self.until("redis", async |()| servers.redis_answers().await).await
    }

    /// Waits until `look` finds something, or a child ends, or the patience does.
    async fn until<T>(&mut self, what: &str, look: impl AsyncFn(()) -> Option<T>) -> Result<T, LabError> {
        let began = Instant::now();
        loop {
            if let Some(found) = look(()).await {
                return Ok(found);
            }
            for child in &mut self.children {
                if let Some(end) = child.end() {
                    return Err(child.failure(&end));
                }
            }
            if began.elapsed() > READY {
                let reason = format!("is not ready after {} s", READY.as_secs());
                return Err(LabError::Process { process: what.to_owned(), reason });
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Watches the processes until it is told to stop; `report` hears of each that ends.
    ///
    /// # Errors
    /// When signals cannot be listened for, or the state cannot be written.
    pub async fn watch(
        &mut self,
        stop: &mut Stop,
        mut report: impl FnMut(&str, &str),
    ) -> Result<(), LabError> {
        let mut children = listen(SignalKind::child())?;
        loop {
            self.note_ends(&mut report)?;
            tokio::select! {
                _ = children.recv() => {}
                () = stop.asked() => return Ok(()),
            }
        }
    }

    fn note_ends(&mut self, report: &mut impl FnMut(&str, &str)) -> Result<(), LabError> {
        let Some(state) = &mut self.state else { return Ok(()) };
        let mut news = false;
        for (child, process) in self.children.iter_mut().zip(&mut state.processes) {
            if process.ended.is_none()
                && let Some(end) = child.end()
            {
                report(&child.name, &end);
                process.ended = Some(end);
                news = true;
            }
        }
        if news { self.directory.write(state) } else { Ok(()) }
    }

    /// Ends the processes, last started first, and removes what the lab wrote.
    pub async fn take_down(mut self) {
        let mut logs = Vec::new();
        while let Some(child) = self.children.pop() {
            logs.push(child.log.clone());
            child.stop().await;
        }
        drop(self.data.take());
        self.directory.clear(&logs);
    }
}

/// Runs what comes to an end by itself.
async fn prepare(command: child::Command) -> Result<(), LabError> {
    let name = command.name.clone();
    let mut child = command.start()?;
    let slow =
        |_| LabError::Process { process: name, reason: format!("did not end in {} s", READY.as_secs()) };
    tokio::time::timeout(READY, child.finish()).await.map_err(slow)?
}

/// The signals that end a supervisor.
pub struct Stop {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Stop {
    /// From now on these signals are an order and no sudden end.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn new() -> Result<Self, LabError> {
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
        })
    }

    /// Waits for the order. Cancel safe.
    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}

fn listen(kind: SignalKind) -> Result<Signal, LabError> {
    signal(kind).map_err(|source| LabError::System { what: "listen for signals", source })
}

/// The first line of a file that is there whole.
fn read_line(path: &Path) -> Option<String> {
    let text = std::fs::read_to_string(path).ok()?;
    text.strip_suffix('\n').map(str::to_owned)
}

/// Where a lab's state and logs go unless told: one lab per user.
pub fn default_directory() -> PathBuf {
    match std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty()) {
        Some(runtime) => Path::new(&runtime).join("sabot-lab"),
        None => std::env::temp_dir().join(format!("sabot-lab-{}", rustix::process::getuid().as_raw())),
    }
}
