use std::io::Write;

use clap::Args;
use sabot_lab::up as lab;
use serde_json::{Map, Value};

use super::{Place, Run, block_on};
use crate::context::Context;
use crate::failure::Failure;

/// Print the lab's addresses as NAME=value lines, for scripts
#[derive(Args)]
#[command(after_help = "\
SABOT_URL is Sabot's API, as every command of it reads it, and SABOT_API the same; LAB_API is the shop. For each \
service there are LAB_NAME_CONTROL (health, metrics, mitigations) and LAB_NAME_DIRECT (past its proxy); for each \
link LAB_NAME_LINK, the proxy's address.")]
pub(super) struct Env {
    #[command(flatten)]
    place: Place,
    /// Write `export` before each, for a shell's eval
    #[arg(long)]
    export: bool,
}

impl Run for Env {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        block_on(async {
            let status = lab::status(&self.place.directory()).await.map_err(Failure::from)?;
            let variables = variables(&status.lab);
            let export = if self.export { "export " } else { "" };
            cx.output.answer(&variables, |out| write(out, &variables, export))
        })
    }
}

fn write(out: &mut dyn Write, variables: &Map<String, Value>, export: &str) -> std::io::Result<()> {
    for (name, value) in variables {
        let value = value.as_str().unwrap_or_default();
        // What a shell would read otherwise is quoted; only the directory can be such.
        let plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/:._-".contains(&byte));
        if plain {
            writeln!(out, "{export}{name}={value}")?;
        } else {
            writeln!(out, "{export}{name}='{}'", value.replace('\'', r"'\''"))?;
        }
    }
    Ok(())
}

pub(super) fn variables(state: &lab::LabState) -> Map<String, Value> {
    let mut all = vec![
        ("SABOT_URL".to_owned(), state.sabot.clone()),
        ("SABOT_API".to_owned(), state.sabot.clone()),
        ("LAB_API".to_owned(), state.api.clone()),
    ];
    for service in &state.services {
        all.push((name(&service.name, "CONTROL"), service.control.clone()));
        all.push((name(&service.name, "DIRECT"), service.address.clone()));
    }
    for link in &state.links {
        let scheme = if link.protocol == "http" { "http://" } else { "" };
        all.push((name(&link.name, "LINK"), format!("{scheme}{}", link.listen)));
    }
    all.extend([
        ("LAB_TENANTS".to_owned(), state.tenants.to_string()),
        ("LAB_ORDERS_PER_TENANT".to_owned(), state.orders_per_tenant.to_string()),
        ("LAB_STATE_DIR".to_owned(), state.directory.display().to_string()),
    ]);
    all.into_iter().map(|(name, value)| (name, Value::String(value))).collect()
}

fn name(service: &str, what: &str) -> String {
    format!("LAB_{}_{what}", service.to_ascii_uppercase().replace('-', "_"))
}
