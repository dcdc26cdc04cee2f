//! PostgreSQL and Redis of the system's packages, for a lab with real servers.
//!
//! All of them listen on Unix sockets in one temporary directory alone, so no port
//! is taken and nobody reaches them past Sabot by accident. They lose everything
//! with the directory: `fsync` is off, and Redis writes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::{Signal, geteuid};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio_postgres::{Client, Config, NoTls};

use super::child::Command;
use super::state::TEMPORARY;
use crate::error::LabError;

const PRIMARY: u16 = 5432;
const REPLICA: u16 = 5433;
/// A question to a server that is starting.
const PATIENCE: Duration = Duration::from_secs(5);
/// The directory of Debian's versions of PostgreSQL.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Where the programs are, and the data is to be.
#[derive(Clone)]
pub(super) struct Servers {
    postgres: PathBuf,
    redis: PathBuf,
    directory: PathBuf,
    /// Where the logs go: with those of the services.
    logs: PathBuf,
    /// PostgreSQL refuses to run as root.
    user: Option<(u32, u32)>,
}

impl Servers {
    /// Finds the programs and makes the directory, which goes with the second value.
    pub(super) fn new(logs: &Path) -> Result<(Self, TempDir), LabError> {
        let postgres = postgres_programs()?;
        let redis = on_path("redis-server").ok_or_else(|| missing("redis-server", "redis-server"))?;
        let user = if geteuid().is_root() { Some(user("postgres")?) } else { None };
        let temporary = tempfile::Builder::new().prefix(TEMPORARY).tempdir();
        let temporary = temporary.map_err(|source| failed("make", &std::env::temp_dir(), source))?;
        let directory = temporary.path().to_owned();
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(&directory, Some(user), Some(group))
                .map_err(|source| failed("give away", &directory, source))?;
        }
        Ok((Self { postgres, redis, directory, logs: logs.to_owned(), user }, temporary))
    }

    /// The links to the servers: a proxy's name, and what it leads to.
    pub(super) fn links(&self) -> [(&'static str, String); 4] {
        let socket = |port: u16| format!("unix:{}/.s.PGSQL.{port}", self.directory.display());
        [
            ("primary", socket(PRIMARY)),
            ("replica", socket(REPLICA)),
            ("replication", socket(PRIMARY)),
            ("redis", format!("unix:{}/redis.sock", self.directory.display())),
        ]
    }

    pub(super) fn initdb(&self) -> Command {
        self.command("initdb", &self.postgres.join("initdb")).arguments([
            "-N",
            "--auth=trust",
            "--username=lab",
            "--no-locale",
            "--encoding=UTF8",
            "-D",
            "primary",
        ])
    }

    pub(super) fn primary(&self) -> Command {
        self.server("primary", PRIMARY).arguments(["-c", "wal_level=replica", "-c", "max_wal_senders=8"])
    }

    /// Copies the primary, by the proxy in front of it, which the replica then follows.
    pub(super) fn base_backup(&self, replication: &str) -> Command {
        let (host, port) = replication.rsplit_once(':').unwrap_or((replication, ""));
        self.command("pg_basebackup", &self.postgres.join("pg_basebackup"))
            .arguments(["-h", host, "-p", port, "-U", "lab", "-D", "replica"])
            .arguments(["--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"])
            .arguments(["--create-slot", "--slot=replica"])
    }

    pub(super) fn replica(&self) -> Command {
        self.server("replica", REPLICA)
    }

    pub(super) fn redis(&self) -> Command {
        self.command("redis", &self.redis)
            .arguments(["--port", "0", "--unixsocket", "redis.sock", "--save", "", "--appendonly", "no"])
            .arguments(["--maxmemory", "64mb", "--maxmemory-policy", "allkeys-lru", "--daemonize", "no"])
    }

    fn server(&self, data: &str, port: u16) -> Command {
        let mut command = self
            .command(data, &self.postgres.join("postgres"))
            .arguments(["-D".to_owned(), data.to_owned(), "-p".to_owned(), port.to_string()])
            .arguments(["-h", "", "-F", "-c", "full_page_writes=off", "-c", "shared_buffers=32MB"])
            .arguments(["-c", "max_connections=64", "-c", "logging_collector=off"])
            .arguments(["-k".into(), self.directory.clone().into_os_string()]);
        // At once, connections or not; and with all its processes should the supervisor be gone.
        (command.stop, command.orphaned) = (Signal::INT, Signal::QUIT);
        command
    }

    fn command(&self, name: &str, program: &Path) -> Command {
        let mut command = Command::new(name, program, &self.logs);
        command.directory.clone_from(&self.directory);
        command.user = self.user;
        command
    }

    /// Makes the tables, with the orders that are there from the beginning.
    pub(super) async fn seed(&self, tenants: u32, orders_per_tenant: u32) -> Result<(), LabError> {
        let counts =
            format!("SET lab.tenants = '{tenants}'; SET lab.orders_per_tenant = '{orders_per_tenant}'; ");
        let script = counts + crate::store::SCHEMA;
        let client = self.connect(PRIMARY).await.map_err(|reason| unready("primary", reason))?;
        client.batch_execute(&script).await.map_err(|error| unready("primary", error.to_string()))
    }

    pub(super) async fn primary_answers(&self) -> Option<()> {
        self.ask(PRIMARY, "SELECT 1").await
    }

    /// Whether the replica has what the primary was seeded with.
    pub(super) async fn replica_answers(&self) -> Option<()> {
        self.ask(REPLICA, "SELECT 1 FROM orders LIMIT 1").await
    }

    pub(super) async fn redis_answers(&self) -> Option<()> {
        let ask = async {
            let mut stream = UnixStream::connect(self.directory.join("redis.sock")).await.ok()?;
            stream.write_all(b"PING\r\n").await.ok()?;
            let mut answer = [0; 7];
            stream.read_exact(&mut answer).await.ok()?;
            (&answer == b"+PONG\r\n").then_some(())
        };
        tokio::time::timeout(PATIENCE, ask).await.ok()?
    }

    async fn ask(&self, port: u16, question: &str) -> Option<()> {
        let ask = async { self.connect(port).await.ok()?.simple_query(question).await.ok() };
        tokio::time::timeout(PATIENCE, ask).await.ok()?.map(|_| ())
    }

    async fn connect(&self, port: u16) -> Result<Client, String> {
        let mut config = Config::new();
        config.host_path(&self.directory).port(port).user("lab").dbname("postgres").connect_timeout(PATIENCE);
        let (client, connection) = config.connect(NoTls).await.map_err(|error| error.to_string())?;
        // It ends with the client.
        tokio::spawn(connection);
        Ok(client)
    }
}

/// The directory of the newest PostgreSQL.
fn postgres_programs() -> Result<PathBuf, LabError> {
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let number = |path: &PathBuf| {
        let version = path.parent().and_then(Path::file_name).and_then(|name| name.to_str());
        version.and_then(|version| version.parse::<f64>().ok()).unwrap_or_default()
    };
    let newest = versions
        .filter(|path| path.join("initdb").exists())
        .max_by(|one, other| number(one).total_cmp(&number(other)));
    let on_path = || on_path("initdb").and_then(|program| program.parent().map(Path::to_owned));
    newest.or_else(on_path).ok_or_else(|| missing("initdb", "postgresql"))
}

fn on_path(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(program)).find(|path| path.is_file())
}

fn missing(program: &str, package: &str) -> LabError {
    LabError::Setting { field: "--real", reason: format!("{program} is missing: apt-get install {package}") }
}

/// Number and group of a user.
fn user(name: &str) -> Result<(u32, u32), LabError> {
    let path = Path::new("/etc/passwd");
    let users = fs::read_to_string(path).map_err(|source| failed("read", path, source))?;
    let found = users.lines().find_map(|line| {
        let mut fields = line.split(':');
        if fields.next() != Some(name) {
            return None;
        }
        let mut numbers = fields.skip(1).map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    });
    let reason = format!("PostgreSQL cannot run as root, and there is no user {name} to run it as");
    found.ok_or(LabError::Setting { field: "--real", reason })
}

fn failed(what: &'static str, path: &Path, source: std::io::Error) -> LabError {
    LabError::File { what, path: path.to_owned(), source }
}

fn unready(server: &str, reason: String) -> LabError {
    LabError::Process { process: server.to_owned(), reason }
}
