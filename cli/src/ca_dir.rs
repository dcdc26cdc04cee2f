//! Where Sabot's CA is kept.

use std::path::{Path, PathBuf};

/// The directory that was asked for, else one of the state directory's, else the user's.
/// None if the user has no home.
pub(crate) fn of_server(given: Option<&Path>, state: Option<&Path>) -> Option<PathBuf> {
    given.map(Path::to_owned).or_else(|| state.map(|state| state.join("ca"))).or_else(of_user)
}

/// The user's own.
pub(crate) fn of_user() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| set("HOME").map(|home| home.join(".local/share")))?;
    Some(data.join("sabot/ca"))
}
