//! The schemas of the files that people write and keep, for editors and for checks.

use schemars::{JsonSchema, schema_for};

use sabot_runner::experiment::Experiment;
use sabot_runner::experiment::schedule::Schedule;
use sabot_runner::load::Plan;
use sabot_runner::record::Record;

use super::Page;

pub(super) fn pages() -> Vec<Page> {
    vec![
        page::<Experiment>("experiment"),
        page::<Plan>("load"),
        page::<Record>("record"),
        page::<Schedule>("schedule"),
    ]
}

fn page<T: JsonSchema>(name: &str) -> Page {
    let schema = schema_for!(T).to_value();
    Page { path: format!("reference/{name}.schema.json"), text: format!("{schema:#}\n") }
}
