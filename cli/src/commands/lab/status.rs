use clap::Args;
use sabot_lab::up::{self as lab, Health};

use super::mitigations::words;
use super::{Place, Run, block_on};
use crate::context::Context;
use crate::failure::Failure;
use crate::table::Tone;

/// Show how the lab is; exit code 1 unless all is well
#[derive(Args)]
pub(super) struct Status {
    #[command(flatten)]
    place: Place,
}

impl Run for Status {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        block_on(async {
            let status = lab::status(&self.place.directory()).await.map_err(Failure::from)?;
            cx.output.answer(&status, |out| {
                let mut table = cx.output.table(&["NAME", "STATE", "MITIGATIONS", "CONTROL"]);
                for (service, known) in status.services.iter().zip(&status.lab.services) {
                    let (state, tone) = match service.health {
                        Health::Ready => ("ready", Tone::Good),
                        Health::Unready => ("unready", Tone::Bad),
                        Health::Ended => ("ended", Tone::Bad),
                    };
                    table.row([
                        (service.name.clone(), Tone::Strong),
                        (state.to_owned(), tone),
                        (service.mitigations.as_ref().map(words).unwrap_or_default(), Tone::Plain),
                        (known.control.clone(), Tone::Plain),
                    ]);
                }
                table.write(out)?;
                writeln!(out, "\nthe shop   {}", status.lab.api)?;
                writeln!(out, "Sabot      {}", status.lab.sabot)?;
                writeln!(out, "directory  {}", status.lab.directory.display())
            })?;
            if status.well {
                return Ok(());
            }
            Err(Failure::new(format!("the lab is not well: {}", trouble(&status)), help(&status)).into())
        })
    }
}

/// Each thing that is wrong.
fn trouble(status: &lab::Status) -> String {
    let mut said = Vec::new();
    if !status.supervised {
        said.push("its supervisor was killed, and everything ended with it".to_owned());
    }
    let processes = status.lab.processes.iter();
    said.extend(processes.filter_map(|it| Some(format!("process {} {}", it.name, it.ended.as_deref()?))));
    let unready = status.services.iter().filter(|service| service.health == Health::Unready);
    said.extend(unready.map(|it| format!("{}: {}", it.name, it.reason.as_deref().unwrap_or("is not ready"))));
    said.join("; ")
}

fn help(status: &lab::Status) -> String {
    format!(
        "logs are in {}; `sabot lab down`, then `sabot lab up` starts anew",
        status.lab.directory.display()
    )
}
