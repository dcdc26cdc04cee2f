//! What fills in `${NAME}` in the files of experiments.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Args;

use crate::commands::run::NOTHING_RUN;
use crate::failure::Failure;

/// Values by name.
#[derive(Args)]
pub(crate) struct Values {
    /// Fill in ${NAME} in the file; the environment fills in what is not set
    #[arg(long = "set", value_name = "NAME=VALUE", value_parser = assignment)]
    pub(crate) set: Vec<(String, String)>,
    /// Take more values from a file of NAME=VALUE lines, such as `sabot lab env` prints
    #[arg(long, value_name = "FILE")]
    pub(crate) env_file: Option<PathBuf>,
}

impl Values {
    /// Whether there are any.
    pub(crate) fn are_given(&self) -> bool {
        !self.set.is_empty() || self.env_file.is_some()
    }

    /// What was set: by `--set`, by `--env-file`, by `more`, in this order.
    pub(crate) fn read(&self, more: Vec<(String, String)>) -> anyhow::Result<BTreeMap<String, String>> {
        let mut values: BTreeMap<String, String> = self.set.iter().cloned().collect();
        let of_file = self.env_file.as_deref().map(env_file).transpose()?;
        for (name, value) in of_file.into_iter().flatten().chain(more) {
            values.entry(name).or_insert(value);
        }
        Ok(values)
    }
}

/// The NAME=VALUE lines of a file; `export` before a name, single quotes around a value, blank lines
/// and comments are taken as a shell would.
fn env_file(file: &Path) -> anyhow::Result<Vec<(String, String)>> {
    let told = |reason: String| {
        Failure::new(format!("{}: {reason}", file.display()), "give a file of NAME=VALUE lines")
            .with_code(NOTHING_RUN)
    };
    let text = std::fs::read_to_string(file).map_err(|error| told(format!("failed to read it: {error}")))?;
    let mut values = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let line = line.strip_prefix("export ").unwrap_or(line);
        let (name, value) =
            line.split_once('=').ok_or_else(|| told(format!("line {}: no NAME=VALUE", at + 1)))?;
        let bare = value.strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).unwrap_or(value);
        values.push((name.trim().to_owned(), bare.to_owned()));
    }
    Ok(values)
}

fn assignment(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write it as NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}
