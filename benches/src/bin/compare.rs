//! What Sabot costs, next to no proxy and to others, in one run.
//!
//! Not here: exactness of faults (see `fidelity`).

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use sabot_benches::figures::{Contender, Stand, WORKLOADS, Workload};
use sabot_benches::machine::Machine;
use sabot_benches::peers::{DIRECT, PEERS};
use sabot_benches::quiet::Quiet;
use sabot_benches::report::{self, Comparison};
use sabot_benches::services::Services;
use sabot_benches::{server, site};

/// Compare the cost of Sabot with no proxy, HAProxy, nginx and Envoy
///
/// Everything runs on loopback, on free ports, in a temporary directory, and ends with this program.
/// benches/setup.sh installs the others.
#[derive(Parser)]
struct Options {
    /// How often each measurement is made
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Seconds that one measurement takes
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=30))]
    seconds: u32,
    /// One round of one second
    #[arg(long)]
    quick: bool,
    /// Only these measurements: bulk-1, bulk-8, redis, connections, ping, memory, clients, bulk-latency, http1, h2,
    /// grpc, https
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Only these contenders: direct, haproxy, haproxy-splice, nginx, envoy, sabot
    #[arg(long, value_delimiter = ',')]
    contenders: Vec<String>,
    /// Sabot's binary [default: the release build]
    #[arg(long, env = "SABOT")]
    sabot: Option<PathBuf>,
    /// Seconds that may be spent on waiting until other programs are quiet, and on repeating what they disturbed
    #[arg(long, value_name = "SECONDS", default_value_t = 180)]
    patience: u64,
    /// Where the result goes
    #[arg(long, value_name = "FILE", default_value = "target/bench/compare.json")]
    json: PathBuf,
    /// Write the table into this page, between `<!-- compare -->` and `<!-- end of compare -->`
    #[arg(long, value_name = "PAGE")]
    markdown: Option<PathBuf>,
    /// Measure nothing: show this result
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    from: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let comparison = match &options.from {
        Some(file) => read(file)?,
        None => measure(&options)?,
    };
    let text = comparison.text();
    io::stdout().write_all(text.as_bytes())?;
    if let Some(page) = &options.markdown {
        report::update_page(page, "compare", &text)?;
    }
    ensure!(comparison.failures.is_empty(), "{} measurements failed", comparison.failures.len());
    Ok(())
}

fn read(file: &PathBuf) -> Result<Comparison> {
    let text = fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("failed to understand {}", file.display()))
}

fn measure(options: &Options) -> Result<Comparison> {
    let (rounds, seconds) = if options.quick { (1, 1) } else { (options.rounds, options.seconds) };
    let workloads = chosen(&options.only, &WORKLOADS, |workload| workload.id)?;
    let names: Vec<&str> = [DIRECT].into_iter().chain(PEERS.iter().map(|peer| peer.name)).collect();
    let names = chosen(&options.contenders, &names, |name| name)?;
    let machine = Machine::this();
    let site = site::Site::new()?;
    let services = Services::start(&site)?;
    let stand = Stand {
        site,
        services,
        seconds,
        sabot: options.sabot.clone(),
        threads: machine.cores,
        descriptors: site::raise_descriptors(),
    };
    let mut versions = BTreeMap::new();
    let mut contenders = Vec::new();
    if names.contains(&&DIRECT) {
        contenders.push(Contender::direct());
    }
    for peer in PEERS.iter().filter(|peer| names.contains(&&peer.name)) {
        versions.insert(peer.name.to_owned(), stand.version(peer)?);
        contenders.push(Contender::start(&stand, peer)?);
    }
    let day = server::run(&site::program("date")?, &["-u", "+%F"], Duration::from_secs(5))?.trim().to_owned();
    let quiet = Quiet::new(Duration::from_secs(options.patience));
    let mut comparison = Comparison {
        machine,
        day,
        rounds,
        seconds,
        versions,
        samples: BTreeMap::new(),
        quiet: String::new(),
        failures: Vec::new(),
    };
    for round in 0..rounds {
        for workload in &workloads {
            run_round(&stand, workload, &mut contenders, &mut comparison, round, &quiet)?;
        }
    }
    comparison.quiet = quiet.sentence();
    comparison.write(&options.json)?;
    Ok(comparison)
}

/// One measurement of every contender. Each round begins with another one, so
/// that none always follows the same neighbour.
fn run_round(
    stand: &Stand,
    workload: &Workload,
    contenders: &mut [Contender],
    comparison: &mut Comparison,
    round: u32,
    quiet: &Quiet,
) -> Result<()> {
    contenders.rotate_left(usize::from(round > 0 && workload.id == WORKLOADS[0].id));
    for contender in contenders.iter().filter(|contender| (workload.applies)(contender.name)) {
        let mut progress = io::stderr();
        write!(progress, "round {}: {} {}:", round + 1, workload.id, contender.name)?;
        match quiet.measure(|| (workload.run)(stand, contender)) {
            Ok(values) => {
                for (id, value) in values {
                    write!(progress, " {id} {value:.3}")?;
                    let row = comparison.samples.entry(id.to_owned()).or_default();
                    row.entry(contender.name.to_owned()).or_default().push(value);
                }
            }
            Err(error) => {
                write!(progress, " {error:#}")?;
                comparison.failures.push(format!("{} {}: {error:#}", workload.id, contender.name));
            }
        }
        writeln!(progress)?;
    }
    Ok(())
}

fn chosen<'a, T>(wanted: &[String], all: &'a [T], name: impl Fn(&T) -> &str) -> Result<Vec<&'a T>> {
    for each in wanted {
        let known: Vec<&str> = all.iter().map(&name).collect();
        ensure!(known.contains(&each.as_str()), "{each:?} is none of {}", known.join(", "));
    }
    Ok(all.iter().filter(|it| wanted.is_empty() || wanted.iter().any(|each| each == name(it))).collect())
}
