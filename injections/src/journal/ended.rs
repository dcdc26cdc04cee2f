//! What is over and could not be journalled: in a file beside the journal, so that a restart does not
//! bring it back.

use std::fs::File;
use std::io::{ErrorKind, Result, Write as _};
use std::path::{Path, PathBuf};

use crate::book::Record;
use crate::event::Event;

/// The file's name in the state directory.
const FILE: &str = "journal.ended";

/// Stands before the name of a schedule; an injection's id has no space in it.
const SCHEDULE: &str = "schedule ";

/// Begins a line that means all, and names who ended them; no id begins so.
const ALL: &str = "* ";

/// What was over when the server died, and is not in the journal.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// Injections that had ended: their ids.
    pub injections: Vec<String>,
    /// Schedules that had been removed: their names.
    pub schedules: Vec<String>,
    /// Who halted all while the journal could not be read.
    pub halted: Option<String>,
}

impl Ended {
    /// What the file tells; nothing if there is no file, or it cannot be read.
    pub(super) fn read(journal: &Path) -> Self {
        let text = std::fs::read_to_string(beside(journal)).unwrap_or_default();
        let mut ended = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(name) = line.strip_prefix(SCHEDULE) {
                ended.schedules.push(name.to_owned());
            } else if let Some(who) = line.strip_prefix(ALL) {
                ended.halted = Some(who.to_owned());
            } else {
                ended.injections.push(line.to_owned());
            }
        }
        ended
    }

    pub(super) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Whether a restart would bring something back if this were not written.
pub(super) fn is_end(record: &Record) -> bool {
    line(record).is_some()
}

/// What is over by these and nothing else, whole or not at all.
pub(super) fn write<'a>(journal: &Path, records: impl Iterator<Item = &'a Record>) -> Result<()> {
    put(journal, records.filter_map(line).map(|(kind, name)| format!("{kind}{name}")))
}

/// All is over, beside what was noted before.
pub(super) fn halt(journal: &Path, who: &str) -> Result<()> {
    let noted = std::fs::read_to_string(beside(journal)).unwrap_or_default();
    let all = format!("{ALL}{}", who.replace(char::is_control, " "));
    put(journal, noted.lines().map(str::to_owned).chain([all]))
}

fn put(journal: &Path, lines: impl Iterator<Item = String>) -> Result<()> {
    let file = beside(journal);
    let new = file.with_extension("ended.new");
    let mut written = File::create(&new)?;
    for line in lines {
        writeln!(written, "{line}")?;
    }
    written.sync_all()?;
    std::fs::rename(new, file)
}

/// All of it is in the journal. Whether the file is gone.
pub(super) fn remove(journal: &Path) -> bool {
    match std::fs::remove_file(beside(journal)) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::debug!(%error, "what has ended is noted still");
            false
        }
        _ => true,
    }
}

fn line(record: &Record) -> Option<(&'static str, &str)> {
    match &record.event {
        Event::Ended { id, .. } => Some(("", id)),
        Event::ScheduleRemoved { name } => Some((SCHEDULE, name)),
        _ => None,
    }
}

fn beside(journal: &Path) -> PathBuf {
    journal.with_file_name(FILE)
}
