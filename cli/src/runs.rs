//! Runs as commands name them, and reports as they write them.

use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;
use sabot_runner::record::Record;

use crate::failure::Failure;
use crate::output::Output;
use crate::state_dir::StateDir;

/// The record of a run: a file if the name could only be one or there is one, else the history's.
pub(crate) fn find(name: &str, state: &StateDir) -> anyhow::Result<Record> {
    let path = Path::new(name);
    let is_file = path.is_file()
        || path.components().count() > 1
        || path.extension().is_some_and(|ending| ending == "json");
    if is_file { read(path) } else { Ok(state.history()?.find(name)?) }
}

fn read(path: &Path) -> anyhow::Result<Record> {
    let name = path.display();
    let json = std::fs::read_to_string(path).map_err(|error| {
        Failure::new(
            format!("failed to read {name}: {error}"),
            "name a file that `sabot report -o json` wrote, or a run of `sabot history`",
        )
    })?;
    Record::read(&json).with_context(|| format!("failed to read {name}"))
}

/// Writes a report where it was asked for, `-` being stdout, and says so.
pub(crate) fn write(what: &str, path: &Path, text: &str, output: &Output) -> anyhow::Result<()> {
    if path == Path::new("-") {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        return Ok(out.flush()?);
    }
    std::fs::write(path, text).map_err(|error| {
        Failure::new(
            format!("failed to write {}: {error}", path.display()),
            "does its directory exist, and is it writable?",
        )
    })?;
    if !output.is_json() {
        writeln!(anstream::stderr().lock(), "wrote {what} to {}", path.display())?;
    }
    Ok(())
}
