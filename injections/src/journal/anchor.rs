//! How far the journal was, in a file beside it: one that was emptied, cut off or taken away is otherwise a
//! new one, as whole as any.

use std::fs::File;
use std::io::{Error, ErrorKind, Result, Write as _};
use std::path::{Path, PathBuf};

use super::chain::Hash;

/// The file's name in the state directory.
pub(super) const FILE: &str = "journal.head";

/// An event that has been there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Anchor {
    pub(super) seq: u64,
    pub(super) hash: Hash,
}

impl Anchor {
    /// That of a journal; none if none was ever written.
    pub(super) fn read(journal: &Path) -> Result<Option<Self>> {
        let file = beside(journal);
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::new(error.kind(), format!("{}: {error}", file.display()))),
        };
        // The disk was full, or its power went: as good as none.
        if text.trim().is_empty() {
            tracing::warn!(file = %file.display(), "how far the journal was is not known: the file is empty");
            return Ok(None);
        }
        let anchor = text.trim().split_once(' ').and_then(|(seq, hash)| {
            let seq = seq.parse().ok()?;
            Some(Self { seq, hash: Hash::from_hex(hash)? })
        });
        let told = || Error::new(ErrorKind::InvalidData, format!("{} cannot be read", file.display()));
        anchor.map(Some).ok_or_else(told)
    }

    /// Whole or not at all.
    pub(super) fn write(&self, journal: &Path) -> Result<()> {
        let file = beside(journal);
        let new = file.with_extension("head.new");
        let mut written = File::create(&new)?;
        writeln!(written, "{} {}", self.seq, self.hash.to_hex())?;
        // A rename may otherwise reach the disk before what it names, and leave an empty file.
        written.sync_all()?;
        std::fs::rename(new, file)
    }
}

fn beside(journal: &Path) -> PathBuf {
    journal.with_file_name(FILE)
}
