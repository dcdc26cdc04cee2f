//! Drives a load from Rust: the plan as JSON, its numbers as JSON.
//!
//! `cargo run --example load -- '{"target": "http://localhost:8080", "rate": "100/s", "duration": "5s"}'`

use std::error::Error;
use std::io::Write;
use std::sync::Arc;

use sabot_runner::load::{Load, Plan, Recorder, Running};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let plan = std::env::args().nth(1).ok_or("give a plan as JSON")?;
    let load = Arc::new(Load::new(Plan::read(serde_json::from_str(&plan)?)?)?);
    let mut recorder = Recorder::new(&load);
    let ended = Running::start(&load).await?.drive(&mut recorder).await?;
    let (summary, _) = recorder.finish(&load, ended);
    serde_json::to_writer_pretty(std::io::stdout(), &summary)?;
    Ok(writeln!(std::io::stdout())?)
}
