//! What can go wrong before a service serves, and while the lab comes up.

use std::io;
use std::path::PathBuf;

/// An error of the lab.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LabError {
    /// An address that cannot be one.
    #[error("`{address}` is no address: {reason}")]
    Address {
        /// As it was given.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A socket that cannot be listened on.
    #[error("failed to listen on {address}: {source}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// A setting that is missing or out of range.
    #[error("{field}: {reason}")]
    Setting {
        /// Which.
        field: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file or directory of the lab.
    #[error("failed to {what} {}: {source}", path.display())]
    File {
        /// What was tried.
        what: &'static str,
        /// With which file.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A process that did not start, or did not become ready.
    #[error("{process}: {reason}")]
    Process {
        /// Which.
        process: String,
        /// What became of it.
        reason: String,
    },
    /// A lab is up in this directory already.
    #[error("a lab is up in {} already (process {pid})", directory.display())]
    Up {
        /// Where.
        directory: PathBuf,
        /// Its supervisor.
        pid: u32,
    },
    /// No lab is up in this directory.
    #[error("no lab is up in {}", directory.display())]
    Down {
        /// Where.
        directory: PathBuf,
    },
    /// A call of a service's control address, or of Sabot's API.
    #[error("failed to ask {url}: {reason}")]
    Ask {
        /// Whom.
        url: String,
        /// What came instead of an answer.
        reason: String,
    },
    /// Something of the system that should not fail.
    #[error("failed to {what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}
