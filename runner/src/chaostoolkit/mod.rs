//! Experiments of the Chaos Toolkit, carried out without it.
//!
//! The format is the Open Chaos one (<https://chaostoolkit.org/reference/api/experiment/>); where it is
//! silent, what `chaostoolkit-lib` 1.44 does is what is meant. `docs/chaostoolkit.md` says where this
//! departs from it.
//!
//! Map, in the order in which an experiment passes through it:
//!
//! - [`Experiment`] is the file; `read` and `activity` take it from a document and refuse what could not
//!   be carried out, `check` has their helpers;
//! - [`Settings`]: what is chosen for one run rather than written in the file;
//! - `configuration`: the values behind `${name}`; `scope` fills them in;
//! - `provider`: how an activity is done; `tolerance`: whether what it gave is fine;
//! - [`run`](run()): the order of things; `execute` is one activity in it, `hypothesis` a round of the probes;
//! - [`Journal`]: what a run leaves behind.
//!
//! Not here: Python. Functions that many files use are done natively (`provider::python`), all others
//! are refused.

mod activity;
mod check;
mod configuration;
mod execute;
mod hypothesis;
mod journal;
mod provider;
mod read;
mod run;
mod scope;
mod settings;
mod tolerance;

pub use journal::{Entry, Journal, State, Status, SteadyStates};
pub use read::Experiment;
pub use run::run;
pub use settings::{Dry, HypothesisStrategy, RollbackStrategy, Said, Settings};
