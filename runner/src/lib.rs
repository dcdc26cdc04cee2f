//! Experiments: drive load, break one thing, say whether it held.
//!
//! Map, in the order in which a run passes through it:
//!
//! - [`experiment`]: what people write down, and schedules of it;
//! - [`load`]: an open-model load, from its plan to its numbers;
//! - [`run`](run::run): carries an experiment out;
//! - [`outcome`]: what became of one request of the load; everything else is made of these;
//! - [`series`]: outcomes by second, endpoint and tenant;
//! - [`sli`]: numbers that the load does not know;
//! - [`slo`]: objectives as people write them, and what a series says of them;
//! - [`judge`]: whether the system held;
//! - [`baseline`]: what is steady, and which objectives its noise leaves room for;
//! - [`ramp`]: the highest rate at which objectives hold; `measure` is what these two share;
//! - [`record`]: what a run leaves behind, the source of every report;
//! - [`report`]: what people and machines read of it, of two runs, and of many;
//! - [`history`]: the runs that were, in a file;
//! - [`chaostoolkit`]: experiments of the Chaos Toolkit, which know no load and no verdict.

pub mod baseline;
pub mod chaostoolkit;
pub mod experiment;
pub mod fetch;
mod group;
pub mod history;
pub mod judge;
pub mod load;
mod measure;
pub mod outcome;
pub mod ramp;
pub mod record;
pub mod report;
pub mod run;
pub mod series;
pub mod sli;
pub mod slo;
