//! Files that are whole or not there.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

/// Writes a file so that a reader, and whoever comes after a crash, sees the old
/// or the new content: a neighbour is written, flushed to disk and renamed.
pub(super) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut neighbour = path.as_os_str().to_owned();
    neighbour.push(".tmp");
    let written = (|| {
        let mut file = File::create(&neighbour)?;
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&neighbour, path)?;
        // The rename itself lasts only once the directory is on disk.
        let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    })();
    if written.is_err() {
        // Best effort: the neighbour is overwritten next time anyway.
        let _ = fs::remove_file(&neighbour);
    }
    written
}
