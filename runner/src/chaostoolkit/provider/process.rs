//! A program.
//!
//! It ends well whatever its exit code: that is for a tolerance to judge. It runs in a process group of
//! its own, which is killed as a whole when the time is up or the run is interrupted.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use sabot_toxics::Invalid;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Command;

use super::Around;
use crate::chaostoolkit::check::{Object, given, seconds, text, wrong};
use crate::chaostoolkit::scope::{Scope, to_text};
use crate::group::Group;

/// The Chaos Toolkit waits for ever; no activity of a method should take longer than this.
const LONGEST: Duration = Duration::from_secs(3_600);

/// What of each stream goes into the journal; what comes after it is read and let go.
const MOST: u64 = 16 << 20;

/// A program and its arguments.
#[derive(Clone, Debug)]
pub(in crate::chaostoolkit) struct Process {
    program: PathBuf,
    /// A list, or names and values, for the program; a text for a shell.
    pub(super) arguments: Value,
    timeout: Option<Value>,
}

impl Process {
    pub(super) fn read(provider: &Object) -> Result<Self, Invalid> {
        let path = text(provider, "path")?;
        let program = find(path).ok_or_else(|| {
            Invalid::new("path", format!("there is no program `{path}`: install it, or write its whole path"))
        })?;
        let arguments = given(provider, "arguments").cloned().unwrap_or_default();
        if !matches!(arguments, Value::Null | Value::String(_) | Value::Array(_) | Value::Object(_)) {
            return Err(wrong("arguments", "a list, an object, or text for a shell", &arguments));
        }
        Ok(Self { program, arguments, timeout: seconds(provider, "timeout")? })
    }

    pub(super) async fn run(&self, around: &Around) -> Result<Value, String> {
        let scope = around.scope();
        let limit = match &self.timeout {
            Some(timeout) => Duration::try_from_secs_f64(scope.seconds(timeout)?).unwrap_or(LONGEST),
            None => LONGEST,
        };
        let mut child = self
            .command(&scope)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("failed to start {}: {error}", self.program.display()))?;
        let group = Group::of(&child);
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let whole = async {
            let (stdout, stderr) = tokio::join!(read(stdout), read(stderr));
            (child.wait().await, stdout, stderr)
        };
        let (status, stdout, stderr) = tokio::time::timeout(limit, whole)
            .await
            .map_err(|_| "process activity took too long to complete".to_owned())?;
        group.has_ended();
        let status = status.map_err(|error| error.to_string())?;
        Ok(json!({"status": code(status), "stdout": stdout, "stderr": stderr}))
    }

    fn command(&self, scope: &Scope) -> Command {
        let arguments = scope.fill_arguments(&self.arguments);
        let mut command = match &arguments {
            Value::String(text) if !text.is_empty() => {
                let mut command = Command::new("/bin/sh");
                command.arg("-c").arg(format!("{} {text}", self.program.display()));
                command
            }
            other => {
                let mut command = Command::new(&self.program);
                command.args(words(other));
                command
            }
        };
        command.envs(&scope.environment);
        command
    }
}

/// The arguments of a list or an object; empty ones are left out, as the Chaos Toolkit does.
fn words(arguments: &Value) -> Vec<String> {
    let all: Vec<Value> = match arguments {
        Value::Array(list) => list.clone(),
        Value::Object(map) => {
            map.iter().flat_map(|(name, value)| [Value::String(name.clone()), value.clone()]).collect()
        }
        _ => Vec::new(),
    };
    all.iter().filter(|value| !value.is_null() && value.as_str() != Some("")).map(to_text).collect()
}

/// As Python tells it: the exit code, or the signal with a minus.
fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().or_else(|| status.signal().map(|signal| -signal)).unwrap_or(-1)
}

async fn read(stream: Option<impl AsyncRead + Unpin>) -> String {
    let Some(mut stream) = stream else { return String::new() };
    let mut bytes = Vec::new();
    // What breaks off is told as far as it came.
    let _ = (&mut stream).take(MOST).read_to_end(&mut bytes).await;
    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The program of that name or path, if it can be run.
fn find(path: &str) -> Option<PathBuf> {
    use std::os::unix::fs::PermissionsExt;
    let path = match path.strip_prefix("~/") {
        Some(rest) => PathBuf::from(std::env::var_os("HOME")?).join(rest),
        None => PathBuf::from(path),
    };
    let can_be_run = |path: &Path| {
        std::fs::metadata(path).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    if path.components().count() > 1 || path.is_absolute() {
        return can_be_run(&path).then_some(path);
    }
    let all = std::env::var_os("PATH")?;
    std::env::split_paths(&all).map(|folder| folder.join(&path)).find(|path| can_be_run(path))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    async fn run(provider: Value) -> Result<Value, String> {
        let configuration = json!({"word": "hello", "count": 2});
        let configuration = configuration.as_object().cloned().unwrap();
        let environment = [("PORT".to_owned(), "80".to_owned())].into();
        let scope = Scope { configuration, environment, ..Scope::default() };
        let nobody = crate::chaostoolkit::provider::Server { url: String::new(), token: None };
        let around = Around::new(scope, nobody, Arc::new(|_: &str| {}));
        Process::read(provider.as_object().unwrap()).unwrap().run(&around).await
    }

    #[tokio::test]
    async fn arguments_are_a_list_names_and_values_or_a_shells_text() {
        for (path, arguments, printed) in [
            ("echo", json!(["a b", "", null, 1, "${word}", "${count}"]), "a b 1 hello 2\n"),
            ("echo", json!({"-n": "${word}", "x": true}), "hello x True"),
            ("echo", json!("$$((1 + 1)); echo $${PORT} >&2; exit 3"), "2\n"),
            ("echo", json!(null), "\n"),
        ] {
            let output = run(json!({"path": path, "arguments": arguments})).await.unwrap();
            assert_eq!(output["stdout"], printed, "{arguments}");
        }
        let shell = run(json!({"path": "echo", "arguments": "; echo $${PORT} >&2; exit 3"})).await.unwrap();
        assert_eq!(shell, json!({"status": 3, "stdout": "\n", "stderr": "80\n"}));
        let killed = run(json!({"path": "sh", "arguments": ["-c", "kill -9 $$$$"]})).await.unwrap();
        assert_eq!(killed["status"], -9);
    }

    #[tokio::test]
    async fn what_takes_too_long_fails() {
        let error = run(json!({"path": "sleep", "arguments": [1000], "timeout": 0.1})).await.unwrap_err();
        assert!(error.contains("too long"), "{error}");
    }

    #[tokio::test]
    async fn an_interrupt_kills_the_children_too() {
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        assert!(std::process::Command::new("mkfifo").arg(&fifo).status().unwrap().success());
        let script = format!("sleep 1000 > {} & wait", fifo.display());
        let running = tokio::spawn(run(json!({"path": "sh", "arguments": ["-c", script]})));
        // Opened once the child has opened it; at its end once the child is dead.
        let mut end = tokio::fs::File::open(&fifo).await.unwrap();
        running.abort();
        let mut all = Vec::new();
        let dead = tokio::time::timeout(Duration::from_secs(30), end.read_to_end(&mut all)).await;
        assert_eq!(dead.unwrap().unwrap(), 0);
    }

    #[test]
    fn what_is_no_program_is_refused() {
        for (provider, field) in [
            (json!({}), "path"),
            (json!({"path": "no-program-of-this-name"}), "path"),
            (json!({"path": "/etc/passwd"}), "path"),
            (json!({"path": "echo", "arguments": 1}), "arguments"),
            (json!({"path": "echo", "timeout": "soon"}), "timeout"),
        ] {
            assert_eq!(Process::read(provider.as_object().unwrap()).unwrap_err().field, field);
        }
    }
}
