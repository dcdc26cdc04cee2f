//! Child processes of the supervisor.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::net::TcpListener;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use command_fds::{CommandFdExt, FdMapping};
use rustix::process::{Pid, Signal, kill_process};
use tokio::process::Child as TokioChild;

use super::child_unsafe::die_with_parent;
use crate::error::LabError;

/// What a child gets to end in good order before it is killed.
const PATIENCE: Duration = Duration::from_secs(5);
/// How much of a log an error quotes.
const QUOTED_LINES: usize = 12;
/// What of the environment the processes get.
const KEPT: [&str; 9] =
    ["PATH", "HOME", "TMPDIR", "TZ", "LANG", "LOG_LEVEL", "RUST_BACKTRACE", "LD_LIBRARY_PATH", "LD_PRELOAD"];
/// Inherited sockets begin after stdin, stdout and stderr.
const FIRST_SOCKET: i32 = 3;

/// A process to start.
pub(super) struct Command {
    pub name: String,
    pub program: PathBuf,
    pub arguments: Vec<OsString>,
    pub environment: Vec<(&'static str, String)>,
    /// Sockets that it inherits, by number.
    pub sockets: Vec<TcpListener>,
    /// Where it runs, with its log beside.
    pub directory: PathBuf,
    pub log: PathBuf,
    /// User and group to become.
    pub user: Option<(u32, u32)>,
    /// Asks it to end.
    pub stop: Signal,
    /// What the kernel sends it when the supervisor is gone.
    pub orphaned: Signal,
}

impl Command {
    pub(super) fn new(name: impl Into<String>, program: &Path, directory: &Path) -> Self {
        let name = name.into();
        Self {
            log: directory.join(format!("{name}.log")),
            name,
            program: program.to_owned(),
            arguments: Vec::new(),
            environment: Vec::new(),
            sockets: Vec::new(),
            directory: directory.to_owned(),
            user: None,
            stop: Signal::TERM,
            orphaned: Signal::KILL,
        }
    }

    pub(super) fn arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    /// Starts it. To be called on the main thread: with that thread the children end.
    pub(super) fn start(self) -> Result<Child, LabError> {
        let failed = |source: std::io::Error| LabError::Process {
            process: self.name.clone(),
            reason: format!("{} does not start: {source}", self.program.display()),
        };
        let log = open_log(&self.log)?;
        let mut command = std::process::Command::new(&self.program);
        command
            .args(&self.arguments)
            // What is set for the user's own Sabot must not reach the lab's.
            .env_clear()
            .envs(KEPT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().map_err(failed)?)
            .stderr(log)
            // Ctrl-C in the terminal is for the supervisor, which ends the others in order.
            .process_group(0);
        if let Some((user, group)) = self.user {
            command.uid(user).gid(group);
        }
        if !self.sockets.is_empty() {
            command.env("LISTEN_FDS", self.sockets.len().to_string());
            let mappings = self.sockets.into_iter().zip(FIRST_SOCKET..);
            let mappings =
                mappings.map(|(socket, child_fd)| FdMapping { parent_fd: socket.into(), child_fd });
            command.fd_mappings(mappings.collect()).map_err(|error| failed(std::io::Error::other(error)))?;
        }
        die_with_parent(&mut command, self.orphaned);
        let process = tokio::process::Command::from(command).kill_on_drop(true).spawn().map_err(failed)?;
        let pid = process.id().unwrap_or_default();
        Ok(Child { name: self.name, pid, log: self.log, stop: self.stop, process })
    }
}

fn open_log(path: &Path) -> Result<File, LabError> {
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map_err(|source| LabError::File { what: "write", path: path.to_owned(), source })
}

/// A process that was started; it is killed when this is dropped.
pub(super) struct Child {
    pub name: String,
    pub pid: u32,
    pub log: PathBuf,
    stop: Signal,
    process: TokioChild,
}

impl Child {
    /// Waits for its end; fails unless it ended well. Cancel safe.
    pub(super) async fn finish(&mut self) -> Result<(), LabError> {
        match self.process.wait().await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(self.failure(&words(status))),
            Err(error) => Err(self.failure(&format!("is lost: {error}"))),
        }
    }

    /// How it ended, if it has.
    pub(super) fn end(&mut self) -> Option<String> {
        self.process.try_wait().ok().flatten().map(words)
    }

    /// An error that says how it ended, with the end of its log.
    pub(super) fn failure(&self, reason: &str) -> LabError {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n  ");
        let reason =
            if tail.is_empty() { reason.to_owned() } else { format!("{reason}; its log ends:\n  {tail}") };
        LabError::Process { process: self.name.clone(), reason }
    }

    /// Asks it to end, waits, kills it if need be.
    pub(super) async fn stop(mut self) {
        // Not reaped yet, so the number is still its own.
        if let Some(pid) = self.process.id().and_then(|pid| Pid::from_raw(pid.cast_signed())) {
            // It may have ended just now.
            let _ = kill_process(pid, self.stop);
        }
        if tokio::time::timeout(PATIENCE, self.process.wait()).await.is_err() {
            tracing::warn!(process = self.name, "does not end; killing it");
            let _ = self.process.kill().await;
        }
    }
}

fn words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("ended with exit code {code}"),
        (None, Some(signal)) => format!("was ended by signal {signal}"),
        (None, None) => "ended".to_owned(),
    }
}
