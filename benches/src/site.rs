//! Where a run takes place: a temporary directory, free ports, found programs.

use std::env;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// Directories that hold servers but are not in everybody's PATH.
const ELSEWHERE: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// The place of a run; gone when dropped.
pub struct Site {
    directory: TempDir,
}

impl Site {
    /// A new empty place.
    ///
    /// # Errors
    /// No temporary directory can be made.
    pub fn new() -> Result<Self> {
        let directory =
            TempDir::with_prefix("sabot-bench-").context("failed to make a temporary directory")?;
        Ok(Self { directory })
    }

    /// A directory of its own for `name`, made if it is missing.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.directory.path().join(name);
        std::fs::create_dir_all(&path).with_context(|| format!("failed to make {}", path.display()))?;
        Ok(path)
    }
}

/// As many loopback addresses with free ports. They are held until all are
/// chosen, so that they differ.
///
/// # Errors
/// No port is free.
pub fn free_addresses(count: usize) -> Result<Vec<SocketAddr>> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let held = (0..count).map(|_| bind()).collect::<Result<Vec<_>, _>>()?;
    held.iter().map(|listener| Ok(listener.local_addr()?)).collect()
}

/// The program of that name.
///
/// # Errors
/// It is not installed; the error names the script that installs it.
pub fn program(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let places = env::split_paths(&path).chain(ELSEWHERE.iter().map(PathBuf::from));
    match places.map(|place| place.join(name)).find(|file| file.is_file()) {
        Some(file) => Ok(file),
        None => bail!("failed to find {name}: run benches/setup.sh"),
    }
}

/// The first of these that is a file.
///
/// # Errors
/// None is; the error says what to do.
pub fn first_file(candidates: &[Option<PathBuf>], advice: &str) -> Result<PathBuf> {
    let found = candidates.iter().flatten().find(|file| file.is_file());
    found.map(|file| absolute(file)).unwrap_or_else(|| bail!("{advice}"))
}

fn absolute(file: &Path) -> Result<PathBuf> {
    file.canonicalize().with_context(|| format!("failed to resolve {}", file.display()))
}

/// The build directory that this program was started from, `target` by default.
#[must_use]
pub fn target() -> PathBuf {
    let own = env::current_exe().ok();
    let profile = own.as_deref().and_then(Path::parent).and_then(Path::parent);
    profile.map_or_else(|| PathBuf::from("target"), Path::to_owned)
}

/// Lets this process and its children have as many file descriptors as it may
/// give itself; returns how many.
#[must_use]
pub fn raise_descriptors() -> usize {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limits = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limits.maximum, maximum: limits.maximum });
    let now = if raised.is_ok() { limits.maximum } else { limits.current };
    now.and_then(|now| usize::try_from(now).ok()).unwrap_or(usize::MAX)
}
