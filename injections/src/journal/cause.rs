//! Why a journal cannot be used, as far as what to do about it differs.

use std::error::Error;
use std::io::ErrorKind;

use rusqlite::ErrorCode;

/// What keeps a journal from being used. But for the last the file is as good as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// There is no space left.
    Full,
    /// This user may not.
    Forbidden,
    /// Anything else that goes by, or that the system has to mend.
    System,
    /// What lies there is no journal, or no whole one.
    Damaged,
}

impl Cause {
    /// Of what the system or SQLite said.
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        if let Some(error) = error.downcast_ref::<std::io::Error>() {
            return match error.kind() {
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full,
                ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Self::Forbidden,
                ErrorKind::InvalidData => Self::Damaged,
                _ => Self::System,
            };
        }
        let code = error.downcast_ref::<rusqlite::Error>().and_then(rusqlite::Error::sqlite_error_code);
        match code {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::PermissionDenied | ErrorCode::ReadOnly | ErrorCode::CannotOpen) => {
                Self::Forbidden
            }
            Some(
                ErrorCode::SystemIoFailure
                | ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::FileLockingProtocolFailed
                | ErrorCode::OutOfMemory,
            ) => Self::System,
            _ => Self::Damaged,
        }
    }
}
