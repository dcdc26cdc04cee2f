//! What `sabot load` costs a request, next to oha and wrk, and how late it is.
//!
//! All send to the same nginx over 64 connections of HTTP/1.1, in turn. CPU is that of the generator,
//! by what the kernel says of ended children, in steps of 10 ms.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use sabot_benches::machine::Machine;
use sabot_benches::process::ended_children_cpu_seconds;
use sabot_benches::services::Services;
use sabot_benches::statistics::median;
use sabot_benches::{report, server, site};
use serde_json::Value;

const CONNECTIONS: &str = "64";

/// Compare what load generators cost, and how late Sabot's is
#[derive(Parser)]
struct Options {
    /// How often each measurement is made
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=50))]
    rounds: u32,
    /// Seconds that one measurement takes
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=60))]
    seconds: u32,
    /// Requests a second where cost is compared
    #[arg(long, default_value_t = 20_000)]
    rate: u32,
    /// Requests a second where lateness is measured
    #[arg(long, default_value_t = 5_000)]
    calm_rate: u32,
    /// Sabot's binary [default: the release build]
    #[arg(long, env = "SABOT")]
    sabot: Option<PathBuf>,
    /// oha's binary [default: that of the PATH]
    #[arg(long, env = "OHA")]
    oha: Option<PathBuf>,
    /// Write the table into this page, between `<!-- load -->` and `<!-- end of load -->`
    #[arg(long, value_name = "PAGE")]
    markdown: Option<PathBuf>,
}

/// One measurement of one generator.
struct Sample {
    requests: f64,
    cpu_us_per_request: f64,
    /// Intended to sent, in milliseconds: p50 and p99; only `sabot load` says it.
    lateness_ms: Option<(f64, f64)>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let sabot = options.sabot.clone().unwrap_or_else(|| site::target().join("release/sabot"));
    let oha =
        options.oha.clone().map_or_else(|| site::program("oha"), Ok).context("cargo install oha --locked")?;
    let wrk = site::program("wrk")?;
    let machine = Machine::this();
    let place = site::Site::new()?;
    let services = Services::start(&place)?;
    let url = format!("http://{}/", services.http);
    let mut rows: [(String, Vec<Sample>); 4] = [
        (format!("sabot load, {}/s", options.rate), Vec::new()),
        (format!("oha, {}/s", options.rate), Vec::new()),
        ("wrk, as fast as it goes".to_owned(), Vec::new()),
        (format!("sabot load, {}/s", options.calm_rate), Vec::new()),
    ];
    for _ in 0..options.rounds {
        rows[0].1.push(sabot_load(&sabot, &url, options.rate, options.seconds)?);
        rows[1].1.push(oha_load(&oha, &url, options.rate, options.seconds)?);
        rows[2].1.push(wrk_load(&wrk, &url, options.seconds)?);
        rows[3].1.push(sabot_load(&sabot, &url, options.calm_rate, options.seconds)?);
    }
    let text = table(&rows, &options, &machine)?;
    io::stdout().write_all(text.as_bytes())?;
    if let Some(page) = &options.markdown {
        report::update_page(page, "load", &text)?;
    }
    Ok(())
}

/// Runs a generator; what it said, and the CPU time it took.
fn timed(program: &Path, args: &[&str], seconds: u32) -> Result<(String, f64)> {
    let before = ended_children_cpu_seconds();
    let text = server::run(program, args, Duration::from_secs(u64::from(seconds) + 30))?;
    Ok((text, ended_children_cpu_seconds() - before))
}

fn sabot_load(program: &Path, url: &str, rate: u32, seconds: u32) -> Result<Sample> {
    let (rate, span) = (format!("{rate}/s"), format!("{seconds}s"));
    let args = ["load", url, "--rate", &rate, "--for", &span, "-c", CONNECTIONS, "-o", "json"];
    let (text, cpu) = timed(program, &args, seconds)?;
    let told: Value = serde_json::from_str(&text).context("failed to understand sabot load")?;
    let number = |pointer: &str| told.pointer(pointer).and_then(Value::as_f64).unwrap_or(0.0);
    let (offered, ok) = (number("/total/offered"), number("/total/fates/ok"));
    ensure!(ok > 0.99 * offered, "sabot load: {offered} offered, {ok} answered");
    let lateness_ms = Some((number("/lateness/p50"), number("/lateness/p99")));
    Ok(Sample { requests: offered, cpu_us_per_request: cpu * 1e6 / offered, lateness_ms })
}

fn oha_load(program: &Path, url: &str, rate: u32, seconds: u32) -> Result<Sample> {
    let (rate, span) = (rate.to_string(), format!("{seconds}s"));
    let args = ["-q", &rate, "-z", &span, "-c", CONNECTIONS, "--no-tui", "--output-format", "json", url];
    let (text, cpu) = timed(program, &args, seconds)?;
    let told: Value = serde_json::from_str(&text).context("failed to understand oha")?;
    let statuses = told["statusCodeDistribution"].as_object().context("failed to find oha's statuses")?;
    let requests: f64 = statuses.values().filter_map(Value::as_f64).sum();
    ensure!(requests > 0.0, "oha got no answer");
    Ok(Sample { requests, cpu_us_per_request: cpu * 1e6 / requests, lateness_ms: None })
}

fn wrk_load(program: &Path, url: &str, seconds: u32) -> Result<Sample> {
    let span = format!("{seconds}s");
    let (text, cpu) = timed(program, &["-t", "1", "-c", CONNECTIONS, "-d", &span, url], seconds)?;
    let requests = text.lines().find_map(|line| line.split_once(" requests in ")?.0.trim().parse().ok());
    let requests: f64 = requests.context("failed to find wrk's requests")?;
    Ok(Sample { requests, cpu_us_per_request: cpu * 1e6 / requests, lateness_ms: None })
}

fn table(rows: &[(String, Vec<Sample>)], options: &Options, machine: &Machine) -> Result<String> {
    let mid = |samples: &[Sample], of: &dyn Fn(&Sample) -> f64| {
        median(&samples.iter().map(of).collect::<Vec<f64>>())
    };
    let mut out = String::from(
        "| generator | requests/s | CPU µs per request | lateness p50, ms | lateness p99, ms |\n\
         | :-------- | ---------: | -----------------: | ---------------: | ---------------: |\n",
    );
    for (name, samples) in rows {
        let rate = mid(samples, &|sample| sample.requests) / f64::from(options.seconds);
        let cpu = mid(samples, &|sample| sample.cpu_us_per_request);
        write!(out, "| {name} | {rate:.0} | {cpu:.1} ")?;
        if samples.iter().all(|sample| sample.lateness_ms.is_some()) {
            let late = |second: bool| {
                mid(samples, &|sample| {
                    let (p50, p99) = sample.lateness_ms.unwrap_or_default();
                    if second { p99 } else { p50 }
                })
            };
            writeln!(out, "| {:.3} | {:.3} |", late(false), late(true))?;
        } else {
            out.push_str("| – | – |\n");
        }
    }
    let cost = |at: usize| mid(&rows[at].1, &|sample: &Sample| sample.cpu_us_per_request);
    writeln!(
        out,
        "\n`sabot load` takes {:.2} of oha's CPU for each request at {}/s. {} Medians of {} rounds, {} s a \
         measurement, in turn.",
        cost(0) / cost(1),
        options.rate,
        machine.sentence(),
        options.rounds,
        options.seconds
    )?;
    Ok(out)
}
