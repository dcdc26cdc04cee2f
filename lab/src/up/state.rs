//! What is written about a lab that is up, for `status`, `down` and scripts.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::process::geteuid;
use serde::{Deserialize, Serialize};

use crate::error::LabError;

const STATE: &str = "lab.json";
const LOCK: &str = "lock";

/// A lab that is up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LabState {
    /// Its directory, with the logs.
    pub directory: PathBuf,
    /// The supervisor's process.
    pub pid: u32,
    /// When that process started, in the kernel's ticks: tells it from a later one of the same number.
    pub started_ticks: u64,
    /// Orders in PostgreSQL and Redis instead of in memory.
    pub real: bool,
    /// Sabot's API.
    pub sabot: String,
    /// Where clients reach the shop: the proxy in front of `api`.
    pub api: String,
    /// Tenants `t1` to `tN` have orders from the beginning.
    pub tenants: u32,
    /// Each has `tN-1` to `tN-COUNT`.
    pub orders_per_tenant: u32,
    /// The services.
    pub services: Vec<ServiceState>,
    /// The links, each a proxy.
    pub links: Vec<Link>,
    /// The processes below the supervisor.
    pub processes: Vec<ProcessState>,
    /// Directories outside of `directory` that go at the end.
    pub temporary: Vec<PathBuf>,
}

/// One service instance.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ServiceState {
    /// Such as `orders-1`.
    pub name: String,
    /// The process that runs it.
    pub process: String,
    /// Where it answers by itself, past its proxy.
    pub address: String,
    /// Where it tells health and metrics and takes switches.
    pub control: String,
}

/// One link between two services: a proxy of Sabot's.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Link {
    /// The proxy's name.
    pub name: String,
    /// `http` or `tcp`.
    pub protocol: String,
    /// Where it listens.
    pub listen: String,
    /// What it leads to.
    pub upstream: String,
    /// How injections find it: the `service` that it leads to, and which of several it is.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// One process.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ProcessState {
    /// Such as `sabot` or `payments`.
    pub name: String,
    /// Its number, as long as it runs.
    pub pid: u32,
    /// Where its output goes.
    pub log: PathBuf,
    /// How it ended, if it has.
    pub ended: Option<String>,
}

/// A directory that holds one lab at most.
pub(super) struct Directory {
    pub path: PathBuf,
    /// Made by us, so it goes at the end.
    made: bool,
    /// Held as long as the supervisor lives, and let go by the kernel when it dies.
    _lock: File,
}

impl Directory {
    /// Takes the directory for this process.
    pub(super) fn take(path: &Path) -> Result<Self, LabError> {
        let made = !path.exists();
        let make = fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
        make.map_err(|source| LabError::File { what: "make", path: path.to_owned(), source })?;
        let path = path.canonicalize().map_err(|source| LabError::File {
            what: "find",
            path: path.to_owned(),
            source,
        })?;
        trust(&path)?;
        let lock = open_lock(&path, true)?;
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            let pid = read(&path).ok().flatten().map_or(0, |state| state.pid);
            return Err(LabError::Up { directory: path, pid });
        }
        // What a lab left behind whose supervisor was killed.
        let left = read(&path).ok().flatten();
        if let Some(state) = &left {
            remove_temporary(state);
            remove_files(&path, state);
        }
        Ok(Self { path, made: made || left.is_some(), _lock: lock })
    }

    pub(super) fn write(&self, state: &LabState) -> Result<(), LabError> {
        let (file, neighbour) = (self.path.join(STATE), self.path.join("lab.json.tmp"));
        let failed = |source| LabError::File { what: "write", path: file.clone(), source };
        let json = serde_json::to_vec_pretty(state).map_err(|error| failed(error.into()))?;
        let written = File::create(&neighbour).and_then(|mut to| to.write_all(&json));
        // Renamed, so that a reader sees the old state or the new one.
        written.and_then(|()| fs::rename(&neighbour, &file)).map_err(failed)
    }

    /// Removes what the lab wrote, and the directory if it made it.
    pub(super) fn clear(self, logs: &[PathBuf]) {
        let others = FILES.map(|name| self.path.join(name)).into_iter().chain([self.path.join(LOCK)]);
        for file in logs.iter().cloned().chain(others) {
            // Best effort: it may never have been written.
            let _ = fs::remove_file(file);
        }
        if self.made {
            let _ = fs::remove_dir(&self.path);
        }
    }
}

/// What stands in the directory says whom to end and what to remove: nobody else may have written it.
fn trust(path: &Path) -> Result<(), LabError> {
    let failed = |source| LabError::File { what: "use", path: path.to_owned(), source };
    let owner = fs::metadata(path).map_err(failed)?.uid();
    if owner == geteuid().as_raw() {
        return Ok(());
    }
    Err(failed(io::Error::new(io::ErrorKind::PermissionDenied, "it belongs to another user")))
}

fn open_lock(path: &Path, create: bool) -> Result<File, LabError> {
    let file = path.join(LOCK);
    let opened = File::options().create(create).truncate(false).write(true).open(&file);
    opened.map_err(|source| LabError::File { what: "open", path: file, source })
}

/// The lab of a directory, and whether its supervisor lives.
pub(super) fn look(path: &Path) -> Result<Option<(LabState, bool)>, LabError> {
    let Some(state) = read(path)? else { return Ok(None) };
    trust(path)?;
    let alive = match open_lock(path, false) {
        Ok(lock) => flock(&lock, FlockOperation::NonBlockingLockShared).is_err(),
        Err(_) => false,
    };
    Ok(Some((state, alive)))
}

fn read(path: &Path) -> Result<Option<LabState>, LabError> {
    let file = path.join(STATE);
    let failed = |source| LabError::File { what: "read", path: file.clone(), source };
    match fs::read(&file) {
        Ok(json) => serde_json::from_slice(&json).map(Some).map_err(|error| failed(error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// What a supervisor that was killed could not remove itself.
pub(super) fn remove_leftovers(path: &Path, state: &LabState) {
    remove_temporary(state);
    remove_files(path, state);
    let _ = fs::remove_file(path.join(LOCK));
    // It stays if something of somebody else's is in it.
    let _ = fs::remove_dir(path);
}

fn remove_files(path: &Path, state: &LabState) {
    let logs = state.processes.iter().map(|process| process.log.clone());
    // Nothing outside of the directory, whatever the file says.
    let logs = logs.filter(|log| log.parent() == Some(path) && log.extension().is_some_and(|it| it == "log"));
    for file in logs.chain(FILES.map(|name| path.join(name))) {
        // Best effort: not every lab has each of them.
        let _ = fs::remove_file(file);
    }
}

fn remove_temporary(state: &LabState) {
    for directory in &state.temporary {
        let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if name.starts_with(TEMPORARY) && directory.parent() == Some(&std::env::temp_dir()) {
            let _ = fs::remove_dir_all(directory);
        }
    }
}

/// How temporary directories of a lab begin.
pub(super) const TEMPORARY: &str = "sabot-lab-";
/// The config of the proxies.
pub(super) const PROXIES: &str = "proxies.json";
/// Where Sabot says where its API is.
pub(super) const PORT_FILE: &str = "sabot.port";
/// What is written beside logs and lock. The last two are of programs that only prepare.
const FILES: [&str; 6] = [STATE, "lab.json.tmp", PROXIES, PORT_FILE, "initdb.log", "pg_basebackup.log"];

#[cfg(test)]
mod tests {
    use super::*;

    fn state(directory: &Path, temporary: Vec<PathBuf>) -> LabState {
        LabState {
            directory: directory.to_owned(),
            pid: 0,
            started_ticks: 0,
            real: false,
            sabot: String::new(),
            api: String::new(),
            tenants: 1,
            orders_per_tenant: 1,
            services: Vec::new(),
            links: Vec::new(),
            processes: vec![ProcessState {
                name: "x".into(),
                pid: 0,
                log: directory.join("../victim.log"),
                ended: None,
            }],
            temporary,
        }
    }

    #[test]
    fn one_supervisor_holds_a_directory_and_its_end_lets_go_of_it() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("lab");
        let held = Directory::take(&path).unwrap();
        held.write(&state(&path, Vec::new())).unwrap();
        assert!(look(&path).unwrap().unwrap().1);
        assert!(matches!(Directory::take(&path), Err(LabError::Up { .. })));
        // As a killed supervisor: nothing is removed, the lock is let go.
        drop(held);
        assert!(!look(&path).unwrap().unwrap().1);
        let again = Directory::take(&path).unwrap();
        assert!(look(&path).unwrap().is_none(), "what the one before left is gone");
        again.clear(&[]);
        assert!(!path.exists());
    }

    #[test]
    fn leftovers_are_removed_and_nothing_else() {
        let parent = tempfile::tempdir().unwrap();
        let path = parent.path().join("lab");
        let elsewhere = parent.path().join("sabot-lab-not-in-tmp");
        let data = tempfile::Builder::new().prefix(TEMPORARY).tempdir().unwrap().keep();
        fs::create_dir(&elsewhere).unwrap();
        fs::write(parent.path().join("victim.log"), "").unwrap();
        let state = state(&path, vec![elsewhere.clone(), data.clone(), parent.path().to_owned()]);
        Directory::take(&path).unwrap().write(&state).unwrap();
        fs::write(path.join("mine"), "").unwrap();
        remove_leftovers(&path, &state);
        assert!(!data.exists() && elsewhere.exists() && parent.path().join("victim.log").exists());
        let left: Vec<_> = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["mine"]);
    }

    #[test]
    fn a_directory_of_somebody_else_is_not_used() {
        // The root of the file system is root's; who is root finds none that is not theirs so easily.
        if !geteuid().is_root() {
            assert!(trust(Path::new("/")).is_err());
        }
        assert!(trust(tempfile::tempdir().unwrap().path()).is_ok());
    }
}
