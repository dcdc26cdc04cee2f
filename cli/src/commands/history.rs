use clap::{Args, Subcommand};
use sabot_runner::history::{KEPT, Run as Past};
use sabot_runner::report;
use serde_json::json;

use super::Run;
use crate::context::Context;
use crate::state_dir::StateDir;
use crate::table::Tone;

/// List the runs that were, show one, or remove one
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "The newest 1000 runs are kept, in one file of the state directory. A run is named by its id, by letters that \
                  only its id begins with, or as `last`."
)]
pub(crate) struct History {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    list: List,
}

#[derive(Subcommand)]
enum Verb {
    /// List the newest runs, the newest first
    List(List),
    /// Show what a run came to; with `--output json` its whole record
    Show(Named),
    /// Forget a run
    Remove(Named),
}

#[derive(Args)]
struct List {
    /// How many at most
    #[arg(short = 'n', long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=i64::from(KEPT)))]
    limit: u32,
    #[command(flatten)]
    state: StateDir,
}

#[derive(Args)]
struct Named {
    /// The run
    #[arg(value_name = "RUN")]
    run: String,
    #[command(flatten)]
    state: StateDir,
}

impl Run for History {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        match self.verb.unwrap_or(Verb::List(self.list)) {
            Verb::List(list) => list.run(cx),
            Verb::Show(named) => {
                let record = named.state.history()?.find(&named.run)?;
                cx.output.answer(&record, |out| {
                    write!(out, "{}", report::terminal(&record, cx.output.width(), cx.output.has_colours()))
                })
            }
            Verb::Remove(named) => {
                let run = named.state.history()?.remove(&named.run)?;
                cx.output.answer(&run, |out| writeln!(out, "removed {}: {}", run.id, title(&run)))
            }
        }
    }
}

impl Run for List {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let runs = self.state.history()?.list(self.limit)?;
        cx.output.answer(&json!({"runs": runs}), |out| {
            if runs.is_empty() {
                return writeln!(out, "no runs yet");
            }
            let mut table = cx.output.table(&["RUN", "BEGAN", "VERDICT", "EXPERIMENT"]);
            for run in &runs {
                table.row([
                    (run.id.clone(), Tone::Strong),
                    (run.started_at.clone(), Tone::Plain),
                    (run.verdict.clone(), tone(run)),
                    (title(run), Tone::Plain),
                ]);
            }
            table.write(out)
        })
    }
}

fn tone(run: &Past) -> Tone {
    match run.verdict().map(sabot_runner::judge::Verdict::badness) {
        Some(0) => Tone::Good,
        Some(1) => Tone::Active,
        _ => Tone::Bad,
    }
}

/// On one line, whatever somebody named an experiment.
fn title(run: &Past) -> String {
    let title = match &run.variant {
        Some(variant) => format!("{} ({variant})", run.title),
        None => run.title.clone(),
    };
    title.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}
