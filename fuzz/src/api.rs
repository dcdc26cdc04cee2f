//! Arbitrary bodies on the API's routes: never a panic, never a 5xx.

use std::sync::OnceLock;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use sabot_admin_api::{ApiOptions, router};
use sabot_proxy::{Controller, Options, ProxySpec};
use tokio::runtime::Runtime;
use tower::ServiceExt;

/// Routes that read a body. None of them listens on what the body says: a proxy
/// is created disabled, or not at all.
const ROUTES: [(Method, &str); 8] = [
    (Method::POST, "/proxies/p/toxics"),
    (Method::POST, "/v1/proxies/p/toxics"),
    (Method::PATCH, "/proxies/p/toxics/t"),
    (Method::PATCH, "/v1/proxies/p/toxics/t"),
    (Method::POST, "/populate"),
    (Method::POST, "/v1/proxies"),
    (Method::POST, "/injections"),
    (Method::POST, "/chaos/inject"),
];

struct World {
    runtime: Runtime,
    router: Router,
    controller: Controller,
}

fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let options = Options { workers: Some(1), ..Options::default() };
        let controller = Controller::start(&options).expect("a worker");
        let spec = ProxySpec { enabled: false, ..ProxySpec::new("p", "127.0.0.1:1") };
        runtime.block_on(controller.create(spec)).expect("a proxy");
        let router = runtime.block_on(router(controller.clone(), ApiOptions::default()));
        World { runtime, router, controller }
    })
}

/// One input: the first byte chooses the route.
pub fn run(data: &[u8]) {
    let Some((choice, body)) = data.split_first() else { return };
    let (method, path) = &ROUTES[usize::from(*choice) % ROUTES.len()];
    let world = world();
    if matches!(*path, "/populate" | "/v1/proxies") && !is_harmless(body) {
        return;
    }
    world.runtime.block_on(async {
        let toxic = br#"{"name":"t","type":"latency"}"#;
        if path.ends_with("/t") {
            send(world, &Method::POST, "/v1/proxies/p/toxics", toxic).await;
        }
        let status = send(world, method, path, body).await;
        let shown = String::from_utf8_lossy(body);
        assert!(status < 500, "{method} {path} answered {status} to {shown}");
        for proxy in world.controller.list() {
            if proxy.name == "p" {
                for toxic in proxy.toxics {
                    let _ = world.controller.remove_toxic("p", &toxic.name);
                }
            } else {
                let _ = world.controller.delete(&proxy.name).await;
            }
        }
    });
}

async fn send(world: &World, method: &Method, path: &str, body: &[u8]) -> u16 {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .body(Body::from(body.to_vec()))
        .expect("a request");
    match world.router.clone().oneshot(request).await {
        Ok(response) => response.status().as_u16(),
        Err(never) => match never {},
    }
}

/// Whether a body can be sent to a route that creates proxies: it must not make
/// this process listen anywhere, or resolve a name.
fn is_harmless(body: &[u8]) -> bool {
    // As Toxiproxy does, the classic routes read one value, ignore what follows and
    // put up with bytes that are no UTF-8.
    let body = String::from_utf8_lossy(body);
    let mut values = serde_json::Deserializer::from_str(&body).into_iter::<serde_json::Value>();
    let Some(Ok(value)) = values.next() else { return true };
    let proxies = match &value {
        serde_json::Value::Array(proxies) => proxies.as_slice(),
        one => std::slice::from_ref(one),
    };
    let disabled = |proxy: &serde_json::Value| match proxy {
        serde_json::Value::Object(fields) => {
            fields.keys().filter(|key| key.eq_ignore_ascii_case("enabled")).count() == 1
                && fields.iter().any(|(key, value)| key.eq_ignore_ascii_case("enabled") && *value == false)
        }
        _ => true,
    };
    proxies.iter().all(disabled)
}
