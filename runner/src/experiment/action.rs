//! What is done before and after a run: a request, or a command.

use std::collections::BTreeMap;
use std::process::Stdio;
use std::time::Duration;

use sabot_toxics::Invalid;
use sabot_toxics::units::Millis;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fetch::{self, Fetch, http_url};
use crate::group::Group;

/// One of `http` and `command`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// A request; any status from 200 to 299 is a success.
    Http(HttpAction),
    /// A program; it succeeds with exit code 0.
    Command(CommandAction),
}

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpAction {
    /// GET unless given.
    #[serde(default = "get")]
    pub method: String,
    /// Where to.
    pub url: String,
    /// Headers.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// Text, or anything else as JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<Value>,
    /// The time limit.
    #[serde(default = "limit")]
    pub timeout: Millis,
}

/// A program and its arguments; no shell reads them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CommandAction {
    /// The program, then its arguments.
    pub argv: Vec<String>,
    /// The time limit; the program is killed at its end.
    #[serde(default = "limit")]
    pub timeout: Millis,
}

fn get() -> String {
    "GET".to_owned()
}

fn limit() -> Millis {
    Millis::new(10_000)
}

impl Action {
    /// What it does, for people.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Self::Http(http) => format!("{} {}", http.method, http.url),
            Self::Command(command) => format!("run {}", command.argv.join(" ")),
        }
    }

    /// Refuses what cannot be done.
    ///
    /// # Errors
    /// The field, and what is wrong with it.
    pub fn check(&self) -> Result<(), Invalid> {
        match self {
            Self::Http(http) => http_url("http.url", &http.url),
            Self::Command(command) if command.argv.is_empty() => {
                let message = "names no program; write it as [program, argument, …]";
                Err(Invalid::new("command.argv", message))
            }
            Self::Command(_) => Ok(()),
        }
    }

    /// Does it. Not cancel safe: a request that was sent may have been carried out.
    ///
    /// # Errors
    /// It failed, or took too long; a sentence that names it.
    pub async fn run(&self) -> Result<(), String> {
        let outcome = match self {
            Self::Http(http) => http.run().await,
            Self::Command(command) => output(&command.argv, command.timeout.get()).await.map(drop),
        };
        outcome.map_err(|reason| format!("failed to {}: {reason}", self.label()))
    }
}

impl HttpAction {
    async fn run(&self) -> Result<(), String> {
        let fetch = Fetch {
            method: &self.method,
            url: &self.url,
            headers: &self.headers,
            body: self.body.as_ref(),
            limit: self.timeout.get(),
        };
        let answer = fetch::fetch(&fetch).await?;
        if (200..300).contains(&answer.status) {
            return Ok(());
        }
        let told: String = answer.text().chars().take(200).collect();
        Err(format!("it answered {}: {}", answer.status, told.trim()))
    }
}

/// Runs a program and gives what it printed. If it is not waited for to its end, all that it has started ends too.
///
/// # Errors
/// It cannot be started, does not end in time, or ends with another code than 0.
pub async fn output(argv: &[String], limit: Duration) -> Result<String, String> {
    let (program, arguments) = argv.split_first().ok_or("`argv` names no program")?;
    let child = tokio::process::Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|error| format!("failed to start {program}: {error}"))?;
    let group = Group::of(&child);
    let output = tokio::time::timeout(limit, child.wait_with_output())
        .await
        .map_err(|_| format!("it did not end within {} s", limit.as_secs_f64()))?
        .map_err(|error| error.to_string())?;
    group.has_ended();
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said: String = said.lines().last().unwrap_or_default().chars().take(200).collect();
    let said = if said.is_empty() { " and said nothing".to_owned() } else { format!(": {said}") };
    Err(format!("it ended with {}{said}", output.status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_takes_too_long_ends_with_all_that_it_has_started() {
        let folder = tempfile::tempdir().unwrap();
        let child = folder.path().join("child");
        let script = format!("sleep 1000 & echo $! >{0}.new; mv {0}.new {0}; wait", child.display());
        let argv = ["sh", "-c", &script].map(str::to_owned);
        let late = tokio::select! {
            output = output(&argv, Duration::from_secs(60)) => Some(output),
            () = async { while !child.exists() { tokio::task::yield_now().await } } => None,
        };
        assert_eq!(late, None);
        let started = std::fs::read_to_string(child).unwrap();
        let runs = || {
            // One that is killed may stay until somebody has asked for it.
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", started.trim())).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
        };
        let before = std::time::Instant::now();
        while runs() {
            assert!(before.elapsed() < Duration::from_secs(20), "{started} goes on");
            std::thread::yield_now();
        }
    }
}
