//! The schemas of the files that people write and keep, for editors and for checks.

use schemars::{JsonSchema, schema_for};
use serde_json::Value;

use sabot_runner::experiment::Experiment;
use sabot_runner::experiment::schedule::Schedule;
use sabot_runner::load::Plan;
use sabot_runner::record::Record;

use super::Page;

pub(super) fn pages() -> Vec<Page> {
    vec![
        page("experiment", &with_variables(schema::<Experiment>())),
        page("load", &with_variables(schema::<Plan>())),
        page("record", &schema::<Record>()),
        page("schedule", &with_variables(schema::<Schedule>())),
    ]
}

fn schema<T: JsonSchema>() -> Value {
    schema_for!(T).to_value()
}

fn page(name: &str, schema: &Value) -> Page {
    Page { path: format!("reference/{name}.schema.json"), text: format!("{schema:#}\n") }
}

/// Lets a text hold `${NAME}` wherever it must have some form: which form it has is known once the
/// variables are filled in.
fn with_variables(mut schema: Value) -> Value {
    allow_variables(&mut schema);
    schema
}

fn allow_variables(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if let Some(Value::String(pattern)) = map.get_mut("pattern") {
                pattern.push_str(r"|\$\{");
            }
            map.values_mut().for_each(allow_variables);
        }
        Value::Array(list) => list.iter_mut().for_each(allow_variables),
        _ => {}
    }
}
