//! What the tests say things with: servers, clients, and a limit on every wait.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use sabot_proxy::{Controller, Event, Options, ProxySpec, ProxyView};
use sabot_toxics::ToxicSpec;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::Receiver;
use tokio::sync::mpsc;

/// Nothing here takes this long unless it is broken.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// What comes of `future`, which must come.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("it hangs")
}

pub(crate) fn controller() -> Controller {
    controller_with(|_| {})
}

pub(crate) fn controller_with(change: impl FnOnce(&mut Options)) -> Controller {
    let mut options = Options { seed: 7, workers: Some(2), ..Options::default() };
    change(&mut options);
    Controller::start(&options).unwrap()
}

/// A controller with a proxy `p` in front of an echo server.
pub(crate) async fn echo_proxy() -> (Controller, ProxyView) {
    let controller = controller();
    let proxy = controller.create(ProxySpec::new("p", echo().await.to_string())).await.unwrap();
    (controller, proxy)
}

pub(crate) fn toxic(value: Value) -> ToxicSpec {
    serde_json::from_value(value).unwrap()
}

/// A toxic of that kind, downstream, under its default name.
pub(crate) fn simple(kind: &str, attributes: Value) -> ToxicSpec {
    toxic(json!({"type": kind, "attributes": attributes}))
}

/// Where a client reaches a listener: a wildcard address by loopback.
pub(crate) fn reach(listen: &str) -> SocketAddr {
    let mut addr: SocketAddr = listen.parse().unwrap();
    if addr.ip().is_unspecified() {
        addr.set_ip([127, 0, 0, 1].into());
    }
    addr
}

pub(crate) async fn connect(proxy: &ProxyView) -> TcpStream {
    within(TcpStream::connect(reach(&proxy.listen))).await.unwrap()
}

/// A connection through which a byte has gone and come back: it is open.
pub(crate) async fn open(proxy: &ProxyView) -> TcpStream {
    let mut client = connect(proxy).await;
    assert_eq!(ping(&mut client, b"?").await.unwrap(), b"?");
    client
}

/// Sends `bytes` and reads as many.
pub(crate) async fn ping(client: &mut TcpStream, bytes: &[u8]) -> io::Result<Vec<u8>> {
    client.write_all(bytes).await?;
    let mut back = vec![0; bytes.len()];
    within(client.read_exact(&mut back)).await?;
    Ok(back)
}

/// Connects to a proxy that resets: while the client still connects, or after.
pub(crate) async fn is_reset(proxy: &ProxyView) -> bool {
    match within(TcpStream::connect(reach(&proxy.listen))).await {
        Ok(mut client) => was_reset(&mut client).await,
        Err(error) => error.kind() == io::ErrorKind::ConnectionReset,
    }
}

pub(crate) async fn is_refused(listen: &str) -> bool {
    let error = within(TcpStream::connect(reach(listen))).await.err();
    error.is_some_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

/// How the peer ended the stream: what it still sent, or the error.
pub(crate) async fn rest(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut rest = Vec::new();
    within(stream.read_to_end(&mut rest)).await.map(|_| rest)
}

pub(crate) async fn was_reset(stream: &mut TcpStream) -> bool {
    rest(stream).await.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionReset)
}

/// Closes with RST.
pub(crate) fn reset(stream: TcpStream) {
    stream.set_zero_linger().unwrap();
    drop(stream);
}

/// A server that sends back what it gets, FIN included.
pub(crate) async fn echo() -> SocketAddr {
    serve(|mut stream| async move {
        let (mut read, mut write) = stream.split();
        let _ = tokio::io::copy(&mut read, &mut write).await;
    })
    .await
}

/// A server that does `each` with every connection.
pub(crate) async fn serve<F>(each: impl Fn(TcpStream) -> F + Send + 'static) -> SocketAddr
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(each(stream));
        }
    });
    addr
}

/// A server that hands its connections to the test.
pub(crate) async fn manual() -> (SocketAddr, mpsc::UnboundedReceiver<TcpStream>) {
    let (give, take) = mpsc::unbounded_channel();
    let addr = serve(move |stream| {
        let give = give.clone();
        async move { drop(give.send(stream)) }
    })
    .await;
    (addr, take)
}

/// A server that never answers a SYN: a backlog that is full.
pub(crate) struct Swallowing {
    pub(crate) addr: SocketAddr,
    _listener: socket2::Socket,
    _backlog: Vec<socket2::Socket>,
}

impl Swallowing {
    pub(crate) fn new() -> Self {
        use socket2::{Domain, Socket, Type};
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        listener.listen(0).unwrap();
        let addr = listener.local_addr().unwrap();
        let fill = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM.nonblocking(), None).unwrap();
            // In progress, or done: either fills the queue.
            let _ = socket.connect(&addr);
            socket
        };
        let backlog = (0..4).map(|_| fill()).collect();
        Self { addr: addr.as_socket().unwrap(), _listener: listener, _backlog: backlog }
    }
}

/// Waits for something that follows a moment after what can be seen on a socket.
pub(crate) async fn until(mut done: impl FnMut() -> bool) {
    within(async {
        while !done() {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The next event for which `pick` has an answer.
pub(crate) async fn next<T>(events: &mut Receiver<Event>, pick: impl Fn(&Value) -> Option<T>) -> T {
    within(async {
        loop {
            let event = serde_json::to_value(events.recv().await.unwrap()).unwrap();
            if let Some(found) = pick(&event) {
                return found;
            }
        }
    })
    .await
}

/// The next event of that type.
pub(crate) async fn next_of(events: &mut Receiver<Event>, kind: &str) -> Value {
    next(events, |event| (event["type"] == kind).then(|| event.clone())).await
}

/// Names of a proxy's toxics, in the order of the listing.
pub(crate) fn names(controller: &Controller, proxy: &str) -> Vec<String> {
    let proxy = controller.proxy(proxy).unwrap();
    proxy.toxics.into_iter().map(|toxic| toxic.name).collect()
}
