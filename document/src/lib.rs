//! Files that people write, in JSON, YAML or TOML: read once, with the place of every part, so that
//! what is wrong with a field – also what only shows later – can be shown where it stands.
//!
//! Map: [`Document`] is a file that was read; [`DocumentError`] says what is wrong and where. The
//! formats are `json` and `spanned` (YAML, TOML); `tree` is what they make.
//!
//! Not here: what the fields mean, how a refusal is worded (`sabot-invalid`), and watching files.

mod document;
mod error;
mod json;
mod spanned;
mod tree;

pub use document::Document;
pub use error::DocumentError;
pub use tree::Position;
