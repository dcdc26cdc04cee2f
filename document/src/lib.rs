//! Files that people write, in JSON, YAML or TOML: read once, with the place of every part, so that
//! what is wrong with a field – also what only shows later – can be shown where it stands.
//!
//! Map: [`Document`] is a file that was read; [`DocumentError`] says what is wrong and where. The
//! formats are `json` and `spanned` (YAML, TOML); `tree` is what they make; `typed` reads a tree
//! into a type.
//!
//! Not here: what the fields mean, and watching files.

mod document;
mod error;
mod json;
mod spanned;
mod tree;
mod typed;

pub use document::Document;
pub use error::DocumentError;
pub use tree::Position;
