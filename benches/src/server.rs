//! Programs that are started, watched and ended by their handle.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use crate::process;

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(20);
/// How long a server may take to end by itself.
const FAREWELL: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(5);

/// A running program. Ends when dropped, and when this process dies in any way.
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts `program`, its output going to the file `log`.
    ///
    /// Must be called on the main thread: the kernel ends the program together
    /// with the thread that started it.
    ///
    /// # Errors
    /// The program or its log cannot be opened.
    pub fn start<A: AsRef<OsStr>>(program: &Path, args: &[A], log: PathBuf) -> Result<Self> {
        let out = File::create(&log).with_context(|| format!("failed to create {}", log.display()))?;
        let child = tied(program)
            .args(args)
            .stdin(Stdio::null())
            .stderr(out.try_clone()?)
            .stdout(out)
            .spawn()
            .with_context(|| format!("failed to start {}", program.display()))?;
        Ok(Self { child, log })
    }

    /// Its process number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until somebody listens on all these addresses.
    ///
    /// # Errors
    /// The program ended, or took too long; its last words are in the error.
    pub fn wait_for(&mut self, addresses: &[SocketAddr]) -> Result<()> {
        let until = Instant::now() + START;
        while !addresses.iter().all(|address| process::listens(address.port())) {
            if let Some(status) = self.child.try_wait()? {
                bail!("{} ended with {status}: {}", self.log.display(), self.last_words());
            }
            let late = Instant::now() > until;
            ensure!(!late, "{} does not listen: {}", self.log.display(), self.last_words());
            thread::sleep(POLL);
        }
        Ok(())
    }

    fn last_words(&self) -> String {
        let text = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().rev().take(5).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A child that was waited for has given back its number: it may be another's by now.
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(pid, Signal::TERM);
        }
        if !matches!(wait(&mut self.child, FAREWELL), Ok(true)) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Runs a program to its end and returns what it wrote to stdout.
///
/// # Errors
/// It cannot be started, fails, or takes longer than `limit` (then it is ended).
pub fn run<A: AsRef<OsStr>>(program: &Path, args: &[A], limit: Duration) -> Result<String> {
    let (out, errors) = (tempfile::NamedTempFile::new()?, tempfile::NamedTempFile::new()?);
    let child = tied(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(out.reopen()?)
        .stderr(errors.reopen()?)
        .spawn()
        .with_context(|| format!("failed to start {}", program.display()))?;
    // From here on every way out ends it.
    let mut tool = Server { child, log: out.path().to_owned() };
    ensure!(wait(&mut tool.child, limit)?, "{} took longer than {limit:?}", program.display());
    let status = tool.child.wait()?;
    let text = fs::read_to_string(out.path())?;
    let complaint = fs::read_to_string(errors.path())?;
    ensure!(status.success(), "{} failed with {status}: {complaint}{text}", program.display());
    Ok(text)
}

fn wait(child: &mut Child, limit: Duration) -> Result<bool> {
    let until = Instant::now() + limit;
    while child.try_wait()?.is_none() {
        if Instant::now() > until {
            return Ok(false);
        }
        thread::sleep(POLL);
    }
    Ok(true)
}

/// A command that dies with its parent: setpriv asks the kernel for it and then
/// becomes the program, so the process number is the program's.
fn tied(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}
