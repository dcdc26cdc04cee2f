//! `sabot ramp`: the highest rate at which every objective holds.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use sabot_runner::experiment::whole_seconds;
use sabot_runner::load::plan::PerSecond;
use sabot_runner::ramp::{Bounds, Ceiling, Outcome, Plan, Probe, Ramp as Found, Watch, ramp};
use sabot_runner::run::Observer;

use super::{Run, block_on};
use crate::context::Context;
use crate::failure::Failure;
use crate::interrupt;
use crate::lines::Lines;
use crate::output::Output;
use crate::subject::Subject;
use crate::table::Tone;
use crate::{share, span};

/// Find the breakpoint: the highest rate at which every objective holds
#[derive(Args)]
#[command(after_help = "\
The rate goes up until an objective breaks, then it is halved in. A rate that did not pass is tried once more before \
it counts. What this machine could not send is told apart from what the system could not bear.

  sabot ramp http://localhost:8080/orders/1 --slo 'p99 < 50ms' --slo 'error_rate < 0.1%'
  sabot ramp payments-slow.yaml --from 100/s --to 2000/s")]
pub(crate) struct Ramp {
    #[command(flatten)]
    subject: Subject,
    /// The first rate
    #[arg(long, value_name = "RATE", default_value = "50/s", value_parser = rate)]
    from: PerSecond,
    /// The highest rate
    #[arg(long, value_name = "RATE", default_value = "5000/s", value_parser = rate)]
    to: PerSecond,
    /// What each step adds; without it each doubles the rate
    #[arg(long, value_name = "RATE", value_parser = rate)]
    step: Option<PerSecond>,
    /// How exactly to find it
    #[arg(long, value_name = "SHARE", default_value = "5%", value_parser = share::parse)]
    tolerance: f64,
    /// How long each rate is tried
    #[arg(long = "for", value_name = "TIME", default_value = "10s", value_parser = span::positive)]
    span: Duration,
    /// What of it does not count, at its beginning
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = span::parse)]
    skip: Duration,
    /// How long to leave the system alone between two
    #[arg(long, value_name = "TIME", default_value = "3s", value_parser = span::parse)]
    settle: Duration,
}

impl Run for Ramp {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let plan = Plan {
            bounds: Bounds {
                from: self.from.get(),
                to: self.to.get(),
                step: self.step.map(PerSecond::get),
                tolerance: self.tolerance,
            },
            probe_s: whole_seconds(self.span),
            skip_s: whole_seconds(self.skip),
            settle: self.settle,
        };
        plan.check().map_err(|error| Failure::new(format!("--{error}"), "`sabot ramp --help`"))?;
        // Its own rate is of no account.
        let experiment = self.subject.experiment(Some(&self.from.to_string()))?;
        if experiment.objectives().steady.is_empty() {
            let help = "say what is to hold, such as --slo 'p99 < 250ms' --slo 'error_rate < 1%'";
            return Err(Failure::new("no objective was given", help).into());
        }
        block_on(async {
            let interrupt = interrupt::listen()?;
            let mut lines = Lines { silent: cx.output.is_json() };
            let found = ramp(&experiment, &plan, &interrupt, &mut lines).await;
            let found = found.map_err(|error| Failure::new(error.to_string(), "see docs/slos.md"))?;
            cx.output.answer(&found, |out| write(&cx.output, &found, out))?;
            if let Some(reason) = &found.interrupted {
                return Err(Failure::new(reason.clone(), "the search had not come to its end").into());
            }
            if found.breakpoint_per_s.is_none() {
                let help = "begin lower with --from, or ask less with --slo";
                return Err(Failure::new("the objectives did not hold at the first rate", help).into());
            }
            Ok(())
        })
    }
}

fn write(output: &Output, found: &Found, out: &mut dyn Write) -> io::Result<()> {
    let header = ["RATE", "OK/s", "p50 ms", "p99 ms", "ERRORS", "LATE ms", "", "BROKEN"];
    let mut table = output.table(&header).align_right(&[0, 1, 2, 3, 4, 5]);
    for probe in &found.probes {
        table.row(row(probe));
    }
    table.write(out)?;
    writeln!(out)?;
    for warning in &found.warnings {
        writeln!(out, "warning: {warning}")?;
    }
    let Some(breakpoint) = found.breakpoint_per_s else {
        return writeln!(out, "no rate was found at which the objectives hold");
    };
    let above = found.ceiling_per_s.unwrap_or_default();
    match found.ceiling {
        Ceiling::System => {
            writeln!(
                out,
                "breakpoint: {breakpoint:.0}/s; at {above:.0}/s the objectives do not hold any more"
            )
        }
        Ceiling::Load => writeln!(
            out,
            "the objectives hold at {breakpoint:.0}/s; at {above:.0}/s this machine could not send in time, so the \
             system may bear more"
        ),
        Ceiling::Connections => writeln!(
            out,
            "the objectives hold at {breakpoint:.0}/s; at {above:.0}/s all {} connections of the load were in use \
             while answers came as fast as before, so the system may bear more: try --connections {}",
            found.connections,
            found.connections.saturating_mul(4).min(10_000)
        ),
        Ceiling::Bound => {
            writeln!(
                out,
                "the objectives hold at {breakpoint:.0}/s, the highest rate: the system may bear more"
            )
        }
        Ceiling::Unfinished => writeln!(out, "so far the objectives hold at {breakpoint:.0}/s"),
    }?;
    let steady = found.steady_per_s.unwrap_or_default();
    writeln!(out, "proposed for steady operation: {steady:.0}/s, 65 % of that")
}

fn row(probe: &Probe) -> Vec<(String, Tone)> {
    let ms = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.1}"));
    let (word, tone) = match probe.outcome {
        Outcome::Held => ("held", Tone::Good),
        Outcome::Broke => ("broke", Tone::Bad),
        Outcome::Late => ("load late", Tone::Strong),
        Outcome::Full => ("load full", Tone::Strong),
    };
    let numbers = [
        format!("{:.0}", probe.rate_per_s),
        format!("{:.0}", probe.effective_per_s),
        ms(probe.p50_ms),
        ms(probe.p99_ms),
        format!("{:.2} %", probe.error_rate * 100.0),
        ms(Some(probe.lateness_p50_ms)),
    ];
    let mut cells: Vec<_> = numbers.into_iter().map(|number| (number, Tone::Plain)).collect();
    cells.push((word.to_owned(), tone));
    cells.push((probe.broken.join("; "), Tone::Plain));
    cells
}

/// A line for each probe as it ends.
impl Watch for Lines {
    fn probed(&mut self, probe: &Probe) {
        let how = match probe.outcome {
            Outcome::Held => "held".to_owned(),
            Outcome::Broke => probe.broken.join("; "),
            Outcome::Full => "all connections of the load were in use, answers as fast as before".to_owned(),
            Outcome::Late => format!("this machine was late by {:.1} ms", probe.lateness_p50_ms),
        };
        self.said(&format!("{:.0}/s  {how}", probe.rate_per_s));
    }
}

fn rate(text: &str) -> Result<PerSecond, String> {
    text.parse()
}
