//! How the processes talk: a line each way, and the end of input is the end.

use std::io::{BufRead, BufReader, Write};
use std::process::{ChildStdin, ChildStdout, Command, Stdio};

use serde_json::Value;

/// Names the role of a process that was started by another.
pub(crate) const ROLE: &str = "SABOT_TEST_CHURN_ROLE";

/// What a process is told when it starts.
pub(crate) const ARGUMENT: &str = "SABOT_TEST_CHURN_ARGUMENT";

/// Sets a child's lines apart from what the test harness prints.
const MARK: &str = "@ ";

/// A number from the environment.
pub(crate) fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Says a line to the process that started this one.
pub(crate) fn say(line: impl std::fmt::Display) {
    // On a line of its own, whatever the harness has printed before.
    println!("\n{MARK}{line}");
}

/// This program in another role. Dropped, it ends and is waited for.
pub(crate) struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
    /// The first thing that it said.
    pub(crate) said: String,
}

impl Child {
    pub(crate) fn start(role: &str, argument: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "churn", "--nocapture"])
            .env(ROLE, role)
            .env(ARGUMENT, argument)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().unwrap());
        let mut child = Self { process, input, output, said: String::new() };
        child.said = child.hear();
        child
    }

    /// Asks a proxy how it stands, once it is idle.
    pub(crate) fn report(&mut self) -> Value {
        writeln!(self.input.as_mut().unwrap(), "report").unwrap();
        serde_json::from_str(&self.hear()).unwrap()
    }

    fn hear(&mut self) -> String {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.output.read_line(&mut line).unwrap(), 0, "a process has ended");
            if let Some(said) = line.strip_prefix(MARK) {
                return said.trim().to_owned();
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}
