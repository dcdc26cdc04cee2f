//! Runs as commands name them, and reports as they write them.

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

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
    replace(path, text).map_err(|error| unwritable(path, &error))?;
    if !output.is_json() {
        // Nothing is left to do should stderr be gone.
        let _ = writeln!(anstream::stderr().lock(), "wrote {what} to {}", path.display());
    }
    Ok(())
}

/// Refuses a path that nothing could be written to. Nothing is left behind.
pub(crate) fn check_writable(path: &Path) -> Result<(), Failure> {
    let tried = match std::fs::metadata(path) {
        _ if path == Path::new("-") => Ok(()),
        Ok(there) if there.is_file() => {
            std::fs::OpenOptions::new().append(true).open(path).and_then(|_| try_beside(path))
        }
        Ok(there) if there.is_dir() => Err(ErrorKind::IsADirectory.into()),
        // A pipe or a device is opened once.
        Ok(_) => Ok(()),
        Err(_) => try_beside(path),
    };
    tried.map_err(|error| unwritable(path, &error))
}

fn unwritable(path: &Path, error: &std::io::Error) -> Failure {
    Failure::new(
        format!("failed to write {}: {error}", path.display()),
        "does its directory exist, is it writable, and has it room?",
    )
}

fn try_beside(path: &Path) -> std::io::Result<()> {
    let part = part(path);
    std::fs::write(&part, " ").and(std::fs::remove_file(&part))
}

/// All of it or nothing: what is half written is never found under its final name.
fn replace(path: &Path, text: &str) -> std::io::Result<()> {
    // A link stays one.
    let path = &std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let there = std::fs::metadata(path);
    if there.as_ref().is_ok_and(|there| !there.is_file()) {
        return std::fs::write(path, text);
    }
    let part = part(path);
    let written = std::fs::write(&part, text)
        .and_then(|()| there.map_or(Ok(()), |there| std::fs::set_permissions(&part, there.permissions())))
        .and_then(|()| std::fs::rename(&part, path));
    if written.is_err() {
        // What is left of it is of no use; that it cannot be removed is no news.
        let _ = std::fs::remove_file(&part);
    }
    written
}

/// Where a file is written before it has its name.
fn part(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.part", std::process::id()));
    name.into()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn a_report_takes_the_place_of_the_one_before() {
        let folder = tempfile::tempdir().unwrap();
        let (file, link) = (folder.path().join("a.html"), folder.path().join("latest.html"));
        std::fs::write(&file, "old").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        symlink(&file, &link).unwrap();
        check_writable(&link).unwrap();
        replace(&link, "new").unwrap();
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "new");
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o640);
        assert!(std::fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "nothing else is left");
    }

    #[test]
    fn what_cannot_be_written_is_refused_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let nowhere = folder.path().join("nowhere/a.html");
        assert!(check_writable(&nowhere).is_err() && replace(&nowhere, "x").is_err());
        assert!(check_writable(folder.path()).is_err(), "a folder is no file");
        check_writable(&folder.path().join("new.html")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(replace(Path::new("/dev/full"), "x").is_err());
        assert!(Path::new("/dev/full").exists(), "a device stays one");
    }
}
