//! What is done with a lab that is up, by what is written about it.

use std::path::Path;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::Serialize;
use serde_json::{Map, Value};

use super::ask::Ask;
use super::plan::started_ticks;
use super::state::{LabState, look, remove_leftovers};
use crate::error::LabError;

/// The supervisor gives each process 5 s.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a lab is.
#[derive(Debug, Serialize)]
pub struct Status {
    /// What is written about it.
    pub lab: LabState,
    /// Whether its supervisor lives.
    pub supervised: bool,
    /// Each service.
    pub services: Vec<ServiceStatus>,
    /// Whether the supervisor lives, no process has ended and all services are ready.
    pub well: bool,
}

/// How a service is.
#[derive(Debug, Serialize)]
pub struct ServiceStatus {
    /// Its name.
    pub name: String,
    /// How it is.
    pub health: Health,
    /// Why, if it is not ready.
    pub reason: Option<String>,
    /// Its mitigations, as they stand.
    pub mitigations: Option<Value>,
}

/// Whether a service works.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// It can do its work.
    Ready,
    /// It answers, but something it needs is missing; or it does not answer.
    Unready,
    /// Its process has ended.
    Ended,
}

/// How the lab in `directory` is.
///
/// # Errors
/// When there is none.
pub async fn status(directory: &Path) -> Result<Status, LabError> {
    let (lab, supervised) = written(directory)?;
    let ask = Ask::new();
    let mut services = Vec::new();
    for service in &lab.services {
        let process = lab.processes.iter().find(|process| process.name == service.process);
        let ended = match process.and_then(|process| process.ended.clone()) {
            None if !supervised => Some("ended with its supervisor".to_owned()),
            ended => ended,
        };
        let mut status = ServiceStatus {
            name: service.name.clone(),
            health: Health::Ended,
            reason: ended,
            mitigations: None,
        };
        if status.reason.is_none() {
            let ready = ask.get(&format!("{}/ready", service.control)).await;
            status.health = if ready.is_ok() { Health::Ready } else { Health::Unready };
            status.reason = ready.err().map(|error| error.to_string());
            status.mitigations = ask.get(&format!("{}/mitigations", service.control)).await.ok();
        }
        services.push(status);
    }
    let all_run = lab.processes.iter().all(|process| process.ended.is_none());
    let well = supervised && all_run && services.iter().all(|service| service.health == Health::Ready);
    Ok(Status { lab, supervised, services, well })
}

/// Ends the lab in `directory` and removes what it wrote; whether there was one.
///
/// # Errors
/// When it does not end.
pub fn down(directory: &Path) -> Result<bool, LabError> {
    let Some((lab, supervised)) = look(directory)? else { return Ok(false) };
    if supervised {
        end_supervisor(&lab)?;
    }
    // It removes its files itself, unless it was killed.
    if let Some((left, _)) = look(directory)? {
        remove_leftovers(directory, &left);
    }
    Ok(true)
}

fn end_supervisor(lab: &LabState) -> Result<(), LabError> {
    let failed =
        |source: rustix::io::Errno| LabError::System { what: "end the supervisor", source: source.into() };
    let Some(pid) = Pid::from_raw(lab.pid.cast_signed()) else { return Ok(()) };
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return Ok(()) };
    // The handle is of whoever has the number now, and stays so: is it the supervisor?
    if started_ticks(lab.pid) != Some(lab.started_ticks) {
        return Ok(());
    }
    for signal in [Signal::TERM, Signal::KILL] {
        pidfd_send_signal(&process, signal).map_err(failed)?;
        let limit = Timespec { tv_sec: PATIENCE.as_secs().cast_signed(), tv_nsec: 0 };
        if poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&limit)).map_err(failed)? > 0 {
            return Ok(());
        }
    }
    let reason = "does not end, though it was killed".to_owned();
    Err(LabError::Process { process: "the supervisor".to_owned(), reason })
}

/// The mitigations of every service.
///
/// # Errors
/// When there is no lab, or a service does not answer.
pub async fn mitigations(directory: &Path) -> Result<Vec<(String, Value)>, LabError> {
    let ask = Ask::new();
    let mut all = Vec::new();
    for service in written(directory)?.0.services {
        all.push((service.name, ask.get(&format!("{}/mitigations", service.control)).await?));
    }
    Ok(all)
}

/// Changes the mitigations of every service; how they stand then.
///
/// # Errors
/// When there is no lab, or a service does not answer: those before it are changed then.
pub async fn change_mitigations(
    directory: &Path,
    change: &Map<String, Value>,
) -> Result<Vec<(String, Value)>, LabError> {
    let ask = Ask::new();
    let change = Value::Object(change.clone());
    let mut all = Vec::new();
    for service in written(directory)?.0.services {
        all.push((service.name, ask.put(&format!("{}/mitigations", service.control), &change).await?));
    }
    Ok(all)
}

/// Whether a control address answers well: for health checks.
///
/// # Errors
/// When it does not.
pub async fn check(url: &str) -> Result<Value, LabError> {
    Ask::new().get(url).await
}

fn written(directory: &Path) -> Result<(LabState, bool), LabError> {
    look(directory)?.ok_or_else(|| LabError::Down { directory: directory.to_owned() })
}
