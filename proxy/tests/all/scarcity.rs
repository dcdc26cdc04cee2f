//! A process that has run out of descriptors goes on when it gets some back.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
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
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let options = Options { workers: Some(1), ..Options::default() };
    let controller = Controller::start(&options).unwrap();
    let spec = ProxySpec::new("p", server.local_addr().unwrap().to_string());
    let proxy = runtime.block_on(controller.create(spec)).unwrap();
    // Once something has passed, nothing takes or gives back a descriptor by itself any more: the
    // only worker is at its listener, and this thread is the server.
    let first = pass(TcpStream::connect(&proxy.listen).unwrap(), &server);
    // Every descriptor is taken but the one that the client needs.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(open_descriptors() + 64), ..limit }).unwrap();
    let mut taken = Vec::new();
    taken.extend(std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()));
    assert!(taken.pop().is_some());
    let client = TcpStream::connect(&proxy.listen).unwrap();
    let refused = || controller.totals()[0].accept_errors.get("descriptors").copied().unwrap_or(0);
    let before = Instant::now();
    while refused() < 3 {
        assert!(before.elapsed() < LIMIT, "the proxy still accepts: {:?}", controller.totals());
        std::thread::yield_now();
    }
    assert_eq!(controller.totals()[0].total_connections, 1);

    drop(taken);
    let second = pass(client, &server);
    assert_eq!(controller.totals()[0].total_connections, 2);
    drop((first, second));
}

/// Sends something from the client to the server; both ends.
fn pass(mut client: TcpStream, server: &TcpListener) -> (TcpStream, TcpStream) {
    client.write_all(b"served after all").unwrap();
    let (mut accepted, _) = server.accept().unwrap();
    accepted.set_read_timeout(Some(LIMIT)).unwrap();
    let mut came = [0; 16];
    accepted.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"served after all");
    (client, accepted)
}

fn open_descriptors() -> u64 {
    std::fs::read_dir("/proc/self/fd").unwrap().count() as u64
}
