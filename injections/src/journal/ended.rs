//! What has ended and could not be journalled: in a file beside the journal, so that a restart does not
//! bring it back.

use std::fs::File;
use std::io::{Result, Write as _};
use std::path::{Path, PathBuf};

/// The file's name in the state directory.
const FILE: &str = "journal.ended";

/// The ids in the file; none if there is no file, or it cannot be read.
pub(super) fn read(journal: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(beside(journal)).unwrap_or_default();
    text.lines().map(str::trim).filter(|id| !id.is_empty()).map(str::to_owned).collect()
}

/// These ids and no others, whole or not at all.
pub(super) fn write<'a>(journal: &Path, ids: impl Iterator<Item = &'a str>) -> Result<()> {
    let file = beside(journal);
    let new = file.with_extension("ended.new");
    let mut written = File::create(&new)?;
    for id in ids {
        writeln!(written, "{id}")?;
    }
    written.sync_all()?;
    std::fs::rename(new, file)
}

/// All of them are in the journal.
pub(super) fn remove(journal: &Path) {
    if let Err(error) = std::fs::remove_file(beside(journal)) {
        // What is in it is over, whoever reads it again.
        tracing::debug!(%error, "what has ended is noted still");
    }
}

fn beside(journal: &Path) -> PathBuf {
    journal.with_file_name(FILE)
}
