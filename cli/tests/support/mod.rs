//! A real `sabot serve` on a free port, and the command line against it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]
#![allow(dead_code, reason = "each test file uses its share")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

/// Far longer than anything here takes: a hang becomes a failure.
const PATIENCE: Duration = Duration::from_secs(20);

/// A server that ends with the test.
pub(crate) struct Server {
    child: Child,
    pub(crate) url: String,
    logs: mpsc::Receiver<Value>,
}

impl Server {
    /// Starts one on a free port; the API answers once this returns.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::run(&[&["serve", "--port=0", "--log-format=json"], args].concat())
    }

    pub(crate) fn run(args: &[&str]) -> Self {
        let mut child = bare().args(args).stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, logs) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        let mut server = Self { child, url: String::new(), logs };
        let listening = server.log("listening");
        server.url = format!("http://{}", listening["address"].as_str().unwrap());
        server
    }

    /// The next log line that says so.
    pub(crate) fn log(&self, message: &str) -> Value {
        let mut seen = Vec::new();
        loop {
            match self.logs.recv_timeout(PATIENCE) {
                Ok(line) if line["message"].as_str().is_some_and(|text| text.starts_with(message)) => {
                    return line;
                }
                Ok(line) => seen.push(line),
                Err(error) => panic!("no log `{message}` ({error}), but {seen:#?}"),
            }
        }
    }

    /// The command line against this server.
    pub(crate) fn sabot(&self, args: &[&str]) -> assert_cmd::Command {
        let mut command = sabot();
        command.env("SABOT_URL", &self.url).args(args);
        command
    }

    /// A command that goes on, its stdout to be read.
    pub(crate) fn spawn(&self, args: &[&str]) -> Child {
        bare().env("SABOT_URL", &self.url).args(args).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// The same, its stderr to be read as well.
    pub(crate) fn spawn_piped(&self, args: &[&str]) -> Child {
        let mut command = bare();
        command.env("SABOT_URL", &self.url).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    /// What a command that succeeds says.
    pub(crate) fn says(&self, args: &[&str]) -> String {
        let output = self.sabot(args).assert().success().get_output().stdout.clone();
        String::from_utf8(output).unwrap()
    }

    pub(crate) fn json(&self, args: &[&str]) -> Value {
        serde_json::from_str(&self.says(&[args, &["--output=json"]].concat())).unwrap()
    }

    /// What a command that fails says.
    pub(crate) fn refuses(&self, args: &[&str]) -> String {
        let assert = self.sabot(args).assert().code(1).stdout("");
        String::from_utf8(assert.get_output().stderr.clone()).unwrap()
    }

    pub(crate) fn signal(&self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
    }

    /// Stops it in good order.
    pub(crate) fn stop(mut self) -> ExitStatus {
        self.signal("-TERM");
        self.log("stopped");
        self.child.wait().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command line without the environment of whoever runs the tests.
pub(crate) fn sabot() -> assert_cmd::Command {
    let mut command = assert_cmd::Command::from_std(bare());
    command.timeout(PATIENCE);
    command
}

fn bare() -> Command {
    let mut command = Command::new(assert_cmd::cargo::cargo_bin!("sabot"));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// A server that sends back what it gets; its address.
pub(crate) fn echo() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let (mut stream, mut buffer) = (stream, [0; 4096]);
                while let Ok(read @ 1..) = stream.read(&mut buffer) {
                    if stream.write_all(&buffer[..read]).is_err() {
                        break;
                    }
                }
            });
        }
    });
    address
}
