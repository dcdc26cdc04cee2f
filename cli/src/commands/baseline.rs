//! `sabot baseline`: what is steady, and which objectives are beyond its noise.

use std::io::{self, Write};
use std::time::Duration;

use clap::Args;
use owo_colors::OwoColorize;
use sabot_runner::baseline::{Baseline as Measured, Proposal, measure_baseline};
use sabot_runner::experiment::Windows;
use sabot_runner::slo::{Slo, format_value};
use sabot_toxics::units::Millis;

use super::{Run, block_on};
use crate::context::Context;
use crate::failure::Failure;
use crate::interrupt;
use crate::lines::Lines;
use crate::span;
use crate::subject::Subject;

/// Measure the steady state and propose objectives that its own noise does not break
#[derive(Args)]
#[command(after_help = "\
Nothing is broken. What is printed goes into an experiment as it is; what is doubtful, and which of the \
experiment's own objectives are tighter than the noise, is said on stderr.

  sabot baseline http://localhost:8080/orders/1 --rate 100/s
  sabot baseline payments-slow.yaml --for 2m > slos.yaml")]
pub(crate) struct Baseline {
    #[command(flatten)]
    subject: Subject,
    /// Requests a second in place of the file's; 50/s for a URL
    #[arg(short, long, value_name = "RATE")]
    rate: Option<String>,
    /// How long to measure
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = span::positive)]
    span: Duration,
    /// Load before that, which does not count
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = span::parse)]
    warm_up: Duration,
}

/// Six windows of two seconds are the least that can differ.
const LEAST: Duration = Duration::from_secs(12);

impl Run for Baseline {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        if self.span < LEAST {
            let help = "--for 60s is a good beginning";
            return Err(Failure::new("--for must be 12s or longer: less says nothing of noise", help).into());
        }
        let mut experiment = self.subject.experiment(self.rate.as_deref())?;
        let ms = |span: Duration| Millis::new(u64::try_from(span.as_millis()).unwrap_or(u64::MAX));
        let none = Millis::new(0);
        let windows =
            Windows { warm_up: ms(self.warm_up), baseline: ms(self.span), fault: none, recovery: none };
        let told = |error: sabot_toxics::Invalid| Failure::new(error.to_string(), "`sabot baseline --help`");
        experiment.set_windows(windows).map_err(told)?;
        block_on(async {
            let interrupt = interrupt::listen()?;
            let mut lines = Lines { silent: cx.output.is_json() };
            let measured = measure_baseline(&experiment, &interrupt, &mut lines).await;
            let measured = measured
                .map_err(|error| Failure::new(error.to_string(), "nothing was measured; see docs/slos.md"))?;
            warn(&measured);
            cx.output.answer(&measured, |out| write(&measured, out))?;
            if let Some(reason) = &measured.interrupted {
                return Err(Failure::new(reason.clone(), "it is what was measured until then").into());
            }
            if measured.load.total.latency_ms.is_none() {
                let causes = measured.load.told_causes().map(|causes| format!(": {causes}"));
                let message = format!("no request was answered as expected{}", causes.unwrap_or_default());
                return Err(
                    Failure::new(message, "there is nothing to measure before that is put right").into()
                );
            }
            Ok(())
        })
    }
}

/// YAML, ready to paste: the objectives, each with what it is made of.
fn write(measured: &Measured, out: &mut dyn Write) -> io::Result<()> {
    let total = &measured.load.total;
    let latency = match total.latency_ms {
        Some(latency) => format!("p50 {:.1} ms, p99 {:.1} ms", latency.p50, latency.p99),
        None => "nothing was answered as expected".to_owned(),
    };
    writeln!(
        out,
        "# Measured for {} s at {:.1}/s: {latency}, errors {:.2} %",
        measured.measured_s,
        total.offered_per_s,
        total.error_rate * 100.0
    )?;
    if measured.proposals.is_empty() {
        return writeln!(out, "# No objective can be proposed.");
    }
    writeln!(out, "slos:")?;
    // A quote within is written twice.
    let quoted = |proposal: &Proposal| format!("'{}'", proposal.slo.replace('\'', "''"));
    let width = measured.proposals.iter().map(|proposal| quoted(proposal).chars().count()).max().unwrap_or(0);
    for proposal in &measured.proposals {
        let spread = &proposal.spread;
        let value = |value| match proposal.slo.parse::<Slo>() {
            Ok(slo) => format_value(value, slo.indicator.unit()),
            Err(_) => value.to_string(),
        };
        writeln!(
            out,
            "  - {:<width$}  # median {}, worst {} of {} windows of {} s",
            quoted(proposal),
            value(spread.median),
            value(spread.worst),
            spread.windows,
            spread.window_s
        )?;
    }
    Ok(())
}

/// What is doubtful, on stderr: stdout holds what is pasted.
fn warn(measured: &Measured) {
    let mut out = anstream::stderr().lock();
    let of_checks = measured.checks.iter().filter_map(|check| check.warning.as_ref());
    for warning in of_checks.chain(&measured.warnings) {
        // Nothing is left to do should stderr be gone.
        let _ = writeln!(out, "{} {warning}", "warning:".yellow().bold());
    }
}
