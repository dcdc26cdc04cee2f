//! How exact faults are: what was asked against what a client measures.
//!
//! Not here: what Sabot costs (see `compare`).

use std::ffi::OsStr;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use sabot_benches::api::Api;
use sabot_benches::exact::{Bench, MEASUREMENTS};
use sabot_benches::machine::Machine;
use sabot_benches::peers::sabot;
use sabot_benches::quiet::Quiet;
use sabot_benches::report::{self, Fidelity};
use sabot_benches::server::{self, Server};
use sabot_benches::site::{self, Site};

/// Measure how exact the faults of Sabot are, or of any server with Toxiproxy's API
#[derive(Parser)]
struct Options {
    /// Measure the server with this API instead of starting Sabot
    #[arg(long, value_name = "URL")]
    api: Option<String>,
    /// Sabot's binary [default: the release build]
    #[arg(long, env = "SABOT")]
    sabot: Option<PathBuf>,
    /// A quarter of the samples
    #[arg(long)]
    quick: bool,
    /// Only these measurements: latency, busy, bandwidth, slicer, closing, jitter, toxicity,
    /// http-delay, http-abort, injection-ends, injections, replay
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Seconds that may be spent on waiting until other programs are quiet, and on repeating what they disturbed
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    patience: u64,
    /// Where the result goes
    #[arg(long, value_name = "FILE", default_value = "target/bench/fidelity.json")]
    json: PathBuf,
    /// Write the table into this page, between `<!-- fidelity -->` and `<!-- end of fidelity -->`
    #[arg(long, value_name = "PAGE")]
    markdown: Option<PathBuf>,
    /// Measure nothing: show this result
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    from: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let fidelity = match &options.from {
        Some(file) => {
            let text =
                fs::read_to_string(file).with_context(|| format!("failed to read {}", file.display()))?;
            serde_json::from_str(&text).with_context(|| format!("failed to understand {}", file.display()))?
        }
        None => measure(&options)?,
    };
    let text = fidelity.text();
    io::stdout().write_all(text.as_bytes())?;
    if let Some(page) = &options.markdown {
        report::update_page(page, "fidelity", &text)?;
    }
    ensure!(fidelity.failures.is_empty(), "{} measurements failed", fidelity.failures.len());
    Ok(())
}

fn measure(options: &Options) -> Result<Fidelity> {
    for each in &options.only {
        let known: Vec<&str> = MEASUREMENTS.iter().map(|measurement| measurement.id).collect();
        ensure!(known.contains(&each.as_str()), "{each:?} is none of {}", known.join(", "));
    }
    let machine = Machine::this();
    let _ = site::raise_descriptors();
    let place = Site::new()?;
    let (api, server) = match &options.api {
        Some(url) => (Api::at(url)?, None),
        None => {
            let (api, server) = start(&place, "sabot", options)?;
            (api, Some(server))
        }
    };
    let version = api.version()?;
    let target = match version["sabot"].as_str().or(version["sabot_version"].as_str()) {
        Some(own) => format!("Sabot {own}"),
        None => format!("a server with the API of Toxiproxy {}", version["version"].as_str().unwrap_or("?")),
    };
    let day = server::run(&site::program("date")?, &["-u", "+%F"], Duration::from_secs(5))?.trim().to_owned();
    let mut fidelity =
        Fidelity { machine, day, target, rows: Vec::new(), quiet: String::new(), failures: Vec::new() };
    let quiet = Quiet::new(Duration::from_secs(options.patience));
    let again = || match &options.api {
        Some(_) => Ok(None),
        None => start(&place, "sabot-again", options).map(Some),
    };
    let pid = server.as_ref().map(Server::pid);
    let bench = Bench { api: &api, pid, quiet: &quiet, quick: options.quick, again: &again };
    let wanted = |id: &str| options.only.is_empty() || options.only.iter().any(|only| only == id);
    for measurement in MEASUREMENTS.iter().filter(|measurement| wanted(measurement.id)) {
        writeln!(io::stderr(), "{} …", measurement.id)?;
        match (measurement.run)(&bench) {
            Ok(rows) => fidelity.rows.extend(rows),
            Err(error) => {
                writeln!(io::stderr(), "{}: {error:#}", measurement.id)?;
                fidelity.failures.push(format!("{}: {error:#}", measurement.id));
            }
        }
    }
    fidelity.quiet = quiet.sentence();
    report::write_json(&options.json, &fidelity)?;
    Ok(fidelity)
}

/// With a fixed seed, so that what chance decides is decided the same way each time.
fn start(place: &Site, home: &str, options: &Options) -> Result<(Api, Server)> {
    let address = site::free_addresses(1)?[0];
    let port = address.port().to_string();
    let home = place.directory(home)?;
    // Where it keeps what it would keep elsewhere: a journal costs more on a disk.
    let state = home.join("state");
    let args = [
        "serve",
        "--host",
        "127.0.0.1",
        "--port",
        &port,
        "--seed",
        "1",
        "--log-level",
        "warn",
        "--state-dir",
    ];
    let args = args.map(OsStr::new).into_iter().chain([state.as_os_str()]).collect::<Vec<_>>();
    let binary = sabot::binary(options.sabot.as_deref())?;
    let mut server = Server::start(&binary, &args, home.join("log"))?;
    server.wait_for(&[address])?;
    Ok((Api::at(&address.to_string())?, server))
}
