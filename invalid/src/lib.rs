//! Why a setting was refused: the field, what is wrong with it and what to do instead, in the words
//! of whoever typed it. The same for files, bodies of requests and arguments.
//!
//! Map: [`Invalid`] is a refusal; [`read`] makes a value into a type, or says why it is none,
//! [`take`] does so with one field of an object; [`suggestion`] names what may have been meant.
//!
//! Not here: what the fields mean, and where in a file they stand (`sabot-document`).

mod invalid;
mod read;

pub use invalid::{Invalid, suggestion};
pub use read::{read, take};
