//! Which services there are, and which links between them.
//!
//! ```text
//! client → [api] → api → [orders-1] → orders-1 → [payments] → payments
//!                      → [orders-2] → orders-2 → [payments] →
//! ```
//! What stands in brackets is a proxy. With real servers also `orders` → \[primary\],
//! \[replica\], \[redis\], and the replica → \[replication\] → the primary; each of the
//! replicas of `orders` is a process of its own then.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::child::{Child, Command};
use super::servers::Servers;
use super::state::{LabState, Link, PORT_FILE, PROXIES, ProcessState, ServiceState};
use super::{UpOptions, read_line};
use crate::error::LabError;

/// The services. In memory, both replicas of `orders` run in one process, with one store.
const SERVICES: [&str; 4] = ["api", "orders-1", "orders-2", "payments"];

pub(super) struct Plan {
    options: UpOptions,
    directory: PathBuf,
    secret: String,
    services: Vec<Bound>,
    links: Vec<Link>,
}

/// A service's sockets, which its process inherits.
struct Bound {
    state: ServiceState,
    sockets: Option<[TcpListener; 2]>,
}

impl Plan {
    /// Listens for all services.
    pub(super) fn bind(
        options: &UpOptions,
        directory: &Path,
        servers: Option<&Servers>,
    ) -> Result<Self, LabError> {
        let mut services = Vec::new();
        let mut links = Vec::new();
        for name in SERVICES {
            let process = if !options.real && name.starts_with("orders") { "orders" } else { name };
            let ((requests, address), (control, control_address)) = (free_port()?, free_port()?);
            let port = if name == "api" { options.api_port } else { 0 };
            links.push(Link {
                name: name.to_owned(),
                protocol: "http".to_owned(),
                listen: format!("127.0.0.1:{port}"),
                upstream: address.clone(),
                labels: labels(name),
            });
            let state = ServiceState {
                name: name.to_owned(),
                process: process.to_owned(),
                address: format!("http://{address}"),
                control: format!("http://{control_address}"),
            };
            services.push(Bound { state, sockets: Some([requests, control]) });
        }
        for (name, upstream) in servers.iter().flat_map(|servers| servers.links()) {
            let (name, protocol, listen) = (name.to_owned(), "tcp".to_owned(), "127.0.0.1:0".to_owned());
            let labels = labels(&name);
            links.push(Link { name, protocol, listen, upstream, labels });
        }
        let secret = secret()?;
        Ok(Self { options: options.clone(), directory: directory.to_owned(), secret, services, links })
    }

    pub(super) fn write_proxies(&self, path: &Path) -> Result<(), LabError> {
        let proxies: Vec<_> = self.links.iter().map(|link| json!(link)).collect();
        // What an injection may name as its steady state: orders go through, as the proxy of the shop sees it.
        let writes = json!({"proxies": {"watch": "service=api", "methods": ["POST"]}});
        let config = json!({"proxies": proxies, "injections": {"slos": {"merchant-write-success": writes}}});
        fs::write(path, config.to_string()).map_err(|source| LabError::File {
            what: "write",
            path: path.to_owned(),
            source,
        })
    }

    pub(super) fn port_file(&self) -> PathBuf {
        self.directory.join(PORT_FILE)
    }

    pub(super) fn sabot(&self) -> Command {
        let UpOptions { sabot_port, seed, .. } = &self.options;
        let config = self.directory.join(PROXIES);
        Command::new("sabot", &self.options.program, &self.directory)
            .arguments(["serve", "--host", "127.0.0.1"])
            .arguments([format!("--port={sabot_port}"), format!("--seed={seed}")])
            .arguments(["--config".into(), config.into_os_string()])
            .arguments(["--port-file".into(), self.port_file().into_os_string()])
    }

    /// Where the proxies listen, by Sabot's own answer.
    pub(super) fn learn_proxies(&mut self, answer: &Value) -> Result<(), LabError> {
        let listed = answer.get("proxies").and_then(Value::as_array);
        for link in &mut self.links {
            let named = |proxy: &&Value| proxy.get("name").and_then(Value::as_str) == Some(&link.name);
            let proxy = listed.and_then(|list| list.iter().find(named));
            let listen = proxy.and_then(|proxy| proxy.get("listen")).and_then(Value::as_str);
            let unknown = || LabError::Process {
                process: "sabot".into(),
                reason: format!("has no proxy {}", link.name),
            };
            link.listen = listen.ok_or_else(unknown)?.to_owned();
        }
        Ok(())
    }

    /// The processes of the services, those that are called first. Each takes its sockets along.
    pub(super) fn services(&mut self) -> Vec<Command> {
        let UpOptions { tenants, orders_per_tenant, real, .. } = self.options;
        let mut commands = vec![self.command("payments", "payments")];
        if real {
            let database = |link| {
                let (host, port) = self.listen(link).rsplit_once(':').unwrap_or_default();
                format!("host={host} port={port} user=lab dbname=postgres")
            };
            let servers = [
                format!("--primary={}", database("primary")),
                format!("--replica={}", database("replica")),
                format!("--redis=redis://{}", self.listen("redis")),
                format!("--payments={}", self.url("payments")),
            ];
            for replica in ["orders-1", "orders-2"] {
                commands.push(self.command(replica, "orders").arguments(&servers));
            }
        } else {
            let arguments = [
                format!("--payments={}", self.url("payments")),
                format!("--tenants={tenants}"),
                format!("--orders-per-tenant={orders_per_tenant}"),
            ];
            commands.push(self.command("orders", "orders").arguments(arguments));
        }
        let replicas = ["orders-1", "orders-2"].map(|name| format!("--orders={}", self.url(name)));
        commands.push(self.command("api", "api").arguments(replicas));
        commands
    }

    fn command(&mut self, process: &str, service: &str) -> Command {
        let mut command = Command::new(process, &self.options.program, &self.directory)
            .arguments(["lab", "service", service])
            .arguments([format!("--seed={}", self.options.seed)])
            .arguments([format!("--mitigations={}", self.options.mitigations.to_json())]);
        command.environment.push(("SABOT_LAB_SECRET", self.secret.clone()));
        for service in self.services.iter_mut().filter(|service| service.state.process == process) {
            let number = command.sockets.len();
            command = command.arguments([
                format!("--name={}", service.state.name),
                format!("--listen=fd:{number}"),
                format!("--control=fd:{}", number + 1),
            ]);
            command.sockets.extend(service.sockets.take().into_iter().flatten());
        }
        command
    }

    /// Where the proxy of a link listens.
    pub(super) fn listen(&self, link: &str) -> &str {
        self.links.iter().find(|it| it.name == link).map(|it| &*it.listen).unwrap_or_default()
    }

    fn url(&self, link: &str) -> String {
        format!("http://{}", self.listen(link))
    }

    pub(super) fn states(&self) -> Vec<ServiceState> {
        self.services.iter().map(|service| service.state.clone()).collect()
    }

    pub(super) fn state(&self, sabot: String, children: &[Child], temporary: Vec<PathBuf>) -> LabState {
        let process = |child: &Child| ProcessState {
            name: child.name.clone(),
            pid: child.pid,
            log: child.log.clone(),
            ended: None,
        };
        LabState {
            directory: self.directory.clone(),
            pid: std::process::id(),
            started_ticks: started_ticks(std::process::id()).unwrap_or_default(),
            real: self.options.real,
            sabot,
            api: self.url("api"),
            tenants: self.options.tenants,
            orders_per_tenant: self.options.orders_per_tenant,
            services: self.states(),
            links: self.links.clone(),
            processes: children.iter().map(process).collect(),
            temporary,
        }
    }
}

/// How injections find the proxy of a link.
fn labels(link: &str) -> BTreeMap<String, String> {
    let labels: &[(&str, &str)] = match link {
        "api" => &[("service", "api"), ("tier", "edge")],
        "orders-1" => &[("service", "orders"), ("shard", "south-1")],
        "orders-2" => &[("service", "orders"), ("shard", "south-2")],
        "payments" => &[("service", "payments"), ("shard", "south-1")],
        "primary" => &[("service", "postgres"), ("role", "primary")],
        "replica" => &[("service", "postgres"), ("role", "replica")],
        // What leads to itself alone is found by its name.
        _ => &[],
    };
    labels.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn free_port() -> Result<(TcpListener, String), LabError> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| {
        let address = listener.local_addr()?.to_string();
        Ok((listener, address))
    });
    bound.map_err(|source| LabError::Listen { address: "127.0.0.1".to_owned(), source })
}

/// What this lab's tokens are signed with: another for each.
fn secret() -> Result<String, LabError> {
    let failed = |source| LabError::System { what: "draw a secret", source };
    let mut bytes = [0_u8; 32];
    let mut random = fs::File::open("/dev/urandom").map_err(failed)?;
    std::io::Read::read_exact(&mut random, &mut bytes).map_err(failed)?;
    Ok(blake3::Hash::from(bytes).to_hex().to_string())
}

/// When a process started, in the kernel's ticks since boot; nothing if there is none.
pub(super) fn started_ticks(pid: u32) -> Option<u64> {
    let line = read_line(Path::new(&format!("/proc/{pid}/stat")))?;
    // The program's name, in parentheses, may hold spaces and parentheses.
    let (_, fields) = line.rsplit_once(')')?;
    fields.split_whitespace().nth(19)?.parse().ok()
}
