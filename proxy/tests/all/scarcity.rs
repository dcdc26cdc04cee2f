//! A process that has run out of descriptors goes on when it gets some back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sabot_proxy::{Controller, Options, ProxySpec};

/// Set in the child: the limit is one of the process, which other tests share.
const CHILD: &str = "SABOT_TEST_SCARCITY";

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn accepting_survives_a_lack_of_descriptors() {
    if std::env::var_os(CHILD).is_some() {
        return run_out_of_descriptors();
    }
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "scarcity::accepting_survives_a_lack_of_descriptors", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
}

fn run_out_of_descriptors() {
    let server = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = server.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in server.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut &stream, &mut &stream);
            });
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = Options { workers: Some(2), ..Options::default() };
    let controller = Controller::start(&options).unwrap();
    let proxy = runtime.block_on(controller.create(ProxySpec::new("p", target.to_string()))).unwrap();
    let before = open_descriptors();

    // Room for a few: the rest of the clients finds none left.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(before + 40), ..limit }).unwrap();
    let mut clients = Vec::new();
    while let Ok(client) = TcpStream::connect(&proxy.listen) {
        clients.push(client);
    }
    assert!(clients.len() >= 8, "{}", clients.len());
    // With the clients gone there is room again, and whoever waited is served.
    drop(clients);
    for _ in 0..30 {
        let mut client = TcpStream::connect(&proxy.listen).unwrap();
        client.set_read_timeout(Some(LIMIT)).unwrap();
        client.write_all(b"alive").unwrap();
        let mut back = [0; 5];
        client.read_exact(&mut back).unwrap();
        assert_eq!(&back, b"alive");
    }
}

fn open_descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").unwrap().count() as u64
}
