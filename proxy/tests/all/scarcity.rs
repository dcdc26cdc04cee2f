//! A process that has run out of descriptors goes on when it gets some back.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

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
    // Every descriptor is taken but the one that the client needs.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(open_descriptors() + 64), ..limit }).unwrap();
    let mut taken = Vec::new();
    taken.extend(std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()));
    let mut client = loop {
        // A thread that has only just come to a listener may take one too.
        assert!(taken.pop().is_some(), "64 descriptors were free and the client got none");
        if let Ok(client) = TcpStream::connect(&proxy.listen) {
            break client;
        }
    };
    let refused = || controller.totals()[0].accept_errors.get("descriptors").copied().unwrap_or(0);
    let before = Instant::now();
    while refused() < 3 {
        assert!(before.elapsed() < LIMIT, "the proxy still accepts: {:?}", controller.totals());
        std::thread::yield_now();
    }
    assert_eq!(controller.totals()[0].total_connections, 0);

    drop(taken);
    client.set_read_timeout(Some(LIMIT)).unwrap();
    client.write_all(b"served after all").unwrap();
    let mut back = [0; 16];
    client.read_exact(&mut back).unwrap();
    assert_eq!(&back, b"served after all");
}

fn open_descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").unwrap().count() as u64
}
