//! Instructions that the pure core executes, against committed limits.
//!
//! Times on small machines are noisy; callgrind counts the same twice. Each
//! scenario runs with two numbers of steps, and the difference is what a step
//! costs: what starting up costs falls out.
//!
//! Not here: times (criterion), and anything with a socket (`compare`).

use std::collections::BTreeMap;
use std::fs;
use std::hint::black_box;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use sabot_benches::scenarios::{SCENARIOS, Scenario};
use sabot_benches::site::{self, Site};
use sabot_benches::{report, server, table};

const STEPS: [u32; 2] = [2_000, 6_000];
/// How much more than its limit a scenario may cost: another libc or compiler moves counts a little.
const TOLERANCE: f64 = 0.05;
/// Below this a change is worth setting the limit anew, so that it guards the gain.
const GAIN: f64 = 0.10;

/// Count the instructions of the pure core, and fail above the limits
#[derive(Parser)]
struct Options {
    /// The limits: scenario → instructions a step
    #[arg(long, value_name = "FILE", default_value = "benches/limits.json")]
    limits: PathBuf,
    /// Write what is counted as the new limits
    #[arg(long)]
    bless: bool,
    /// Run one scenario with so many steps, uncounted: what callgrind is given
    #[arg(long, num_args = 2, value_names = ["SCENARIO", "STEPS"], hide = true)]
    run: Option<Vec<String>>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    if let Some([name, steps]) = options.run.as_deref() {
        return run(name, steps.parse()?);
    }
    let place = Site::new()?;
    let counted = SCENARIOS
        .iter()
        .map(|scenario| Ok((scenario.name.to_owned(), per_step(scenario, &place)?)))
        .collect::<Result<BTreeMap<String, u64>>>()?;
    if options.bless {
        return report::write_json(&options.limits, &counted);
    }
    judge(&counted, &read(&options.limits)?)
}

fn run(name: &str, steps: u32) -> Result<()> {
    let scenario = SCENARIOS.iter().find(|scenario| scenario.name == name);
    let mut prepared = scenario.with_context(|| format!("no scenario {name}"))?.prepare()?;
    for _ in 0..steps {
        black_box(prepared.step());
    }
    Ok(())
}

fn per_step(scenario: &Scenario, place: &Site) -> Result<u64> {
    let [few, many] = STEPS;
    let more = count(scenario, many, place)?.saturating_sub(count(scenario, few, place)?);
    Ok(more / u64::from(many - few))
}

fn count(scenario: &Scenario, steps: u32, place: &Site) -> Result<u64> {
    let out = place.directory("callgrind")?.join("out");
    let own = std::env::current_exe()?;
    let (file, own) = (format!("--callgrind-out-file={}", out.display()), own.display().to_string());
    let steps = steps.to_string();
    let args = ["--quiet", "--tool=callgrind", &file, &own, "--run", scenario.name, &steps];
    server::run(&site::program("valgrind")?, &args, Duration::from_secs(120))?;
    let text = fs::read_to_string(&out)?;
    let total = text.lines().find_map(|line| line.strip_prefix("totals:").or(line.strip_prefix("summary:")));
    total.and_then(|total| total.trim().parse().ok()).context("failed to find callgrind's total")
}

fn read(file: &Path) -> Result<BTreeMap<String, u64>> {
    let text = fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("failed to understand {}", file.display()))
}

fn judge(counted: &BTreeMap<String, u64>, limits: &BTreeMap<String, u64>) -> Result<()> {
    let (mut rows, mut above, mut below) = (Vec::new(), Vec::new(), Vec::new());
    for (name, count) in counted {
        let limit = limits.get(name).copied().with_context(|| format!("no limit for {name}: use --bless"))?;
        let change = *count as f64 / limit as f64 - 1.0;
        if change > TOLERANCE {
            above.push(name.as_str());
        } else if change < -GAIN {
            below.push(name.as_str());
        }
        rows.push(vec![
            name.clone(),
            count.to_string(),
            limit.to_string(),
            format!("{:+.1} %", change * 100.0),
        ]);
    }
    let mut text = table::render(&["instructions a step", "counted", "limit", "change"], &rows);
    if !below.is_empty() {
        text.push_str(&format!(
            "\nCheaper by more than 10 %: {}. Keep the gain with --bless.\n",
            below.join(", ")
        ));
    }
    io::stdout().write_all(text.as_bytes())?;
    ensure!(above.is_empty(), "more than 5 % above the limit: {}", above.join(", "));
    Ok(())
}
