//! Where runs are kept.

use std::path::{Path, PathBuf};

use clap::Args;
use sabot_runner::history::History;

use crate::failure::Failure;

/// Where the history of runs is.
#[derive(Args, Clone, Debug)]
pub(crate) struct StateDir {
    /// The history of runs is there [default: $XDG_STATE_HOME/sabot, else ~/.local/state/sabot]
    #[arg(long, value_name = "DIR", env = "SABOT_STATE_DIR", display_order = 800)]
    state_dir: Option<PathBuf>,
}

impl StateDir {
    /// This one, or else that of the user.
    pub(crate) fn given(directory: Option<&Path>) -> Self {
        Self { state_dir: directory.map(Path::to_owned) }
    }

    /// The history, made if it is not there yet.
    pub(crate) fn history(&self) -> anyhow::Result<History> {
        Ok(History::open(&self.directory()?)?)
    }

    fn directory(&self) -> Result<PathBuf, Failure> {
        let given = self.state_dir.clone().filter(|directory| !directory.as_os_str().is_empty());
        given.or_else(of_user).ok_or_else(|| {
            Failure::new("there is no home directory to keep runs in", "name a directory with --state-dir")
        })
    }
}

fn of_user() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let state = set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")))?;
    Some(state.join("sabot"))
}
