//! The data path alone, for measuring: `plain LISTEN UPSTREAM [WORKERS] [MODE] [TOXICS]`.
//! MODE says who accepts: `shared` (all workers, placed by load), `local` (all, no
//! placing), `one` (a single one). TOXICS is a JSON array.
#![allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    clippy::print_stdout,
    reason = "the modules are included for a part of what they offer; the address goes to stdout"
)]

#[path = "../src/net/mod.rs"]
mod net;
#[path = "../src/relay/mod.rs"]
mod relay;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use net::{Address, Bound, Clock, Monotonic, Workers};
use relay::{ConnShared, Policy, budget::Budget};
use sabot_toxics::{ConnKey, Entry, Plan, Seed, Time, ToxicSpec};

struct App {
    workers: Workers,
    upstream: Address,
    text: Arc<str>,
    policy: Arc<Policy>,
    ids: AtomicU64,
    place: bool,
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().collect();
    let count = args.get(3).map(|n| n.parse()).transpose()?;
    let mode = args.get(4).map_or("shared", String::as_str);
    let workers = Workers::start(count)?;
    let budget = Arc::new(Budget::new(1 << 32));
    let policy = Policy::new(Arc::new(toxics(args.get(5))?), 1 << 26, budget, Box::new(|_, _| {}));
    let app = Arc::new(App {
        workers: workers.clone(),
        upstream: args[2].parse()?,
        text: args[2].as_str().into(),
        policy: Arc::new(policy),
        ids: AtomicU64::new(1),
        place: mode != "local",
    });
    let main = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let bound = Arc::new(main.block_on(Bound::bind(&args[1].parse()?))?);
    println!("{}", bound.local());
    let acceptors = if mode == "one" { 1 } else { workers.len() };
    for id in 0..acceptors {
        let (app, bound) = (Arc::clone(&app), Arc::clone(&bound));
        workers.spawn_on(id, accept(app, bound, id));
    }
    main.block_on(std::future::pending::<()>());
    Ok(())
}

fn toxics(text: Option<&String>) -> Result<Plan, Box<dyn std::error::Error>> {
    let Some(text) = text else { return Ok(Plan::empty()) };
    let specs: Vec<ToxicSpec> = serde_json::from_str(text)?;
    let entries =
        specs.into_iter().zip(1..).map(|(spec, id)| Entry::new(spec, id, Time::ZERO, 1).map(Arc::new));
    Ok(Plan::new(entries.collect::<Result<_, _>>()?))
}

async fn accept(app: Arc<App>, bound: Arc<Bound>, here: usize) {
    let Ok(listener) = bound.attach() else { return };
    loop {
        let Ok(client) = listener.accept().await else { return };
        let addr = client.peer;
        let to = if app.place { app.workers.place(here) } else { here };
        let id = app.ids.fetch_add(1, Relaxed);
        let key = ConnKey { number: id, client: addr.map(|a| a.ip()), seed: Seed::new(1) };
        let app2 = Arc::clone(&app);
        let shared = Arc::new(ConnShared::new(
            id,
            key,
            addr,
            Arc::clone(&app.text),
            Monotonic::default().now(),
            Arc::clone(&app.policy),
        ));
        app.workers.spawn_connection(to, async move {
            let Ok(Ok(upstream)) =
                tokio::time::timeout(Duration::from_secs(10), net::dial(&app2.upstream)).await
            else {
                return;
            };
            let Ok(client) = client.attach() else { return };
            relay::relay(client, upstream, shared, Monotonic::default()).await;
        });
    }
}
