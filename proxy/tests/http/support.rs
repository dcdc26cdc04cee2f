//! An upstream that does as it is told, clients of both versions, and raw sockets.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::request::{Builder, Parts};
use http::{HeaderMap, Method, Request, Response, Version};
use http_body::Frame;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Empty, Full, StreamBody};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use sabot_proxy::{Controller, Options, Protocol, ProxySpec, ProxyView};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::mpsc;

pub(crate) use crate::base::*;

/// What ends a body early: over HTTP/2 a reset with that code.
pub(crate) type Error = h2::Error;
pub(crate) type TestBody = BoxBody<Bytes, Error>;

pub(crate) const BOTH: [Version; 2] = [Version::HTTP_11, Version::HTTP_2];

pub(crate) fn empty() -> TestBody {
    Empty::new().map_err(|never| match never {}).boxed()
}

pub(crate) fn full(data: impl Into<Bytes>) -> TestBody {
    Full::new(data.into()).map_err(|never| match never {}).boxed()
}

/// A body whose frames the test sends one by one; dropping the sender ends it.
pub(crate) fn fed() -> (mpsc::Sender<Result<Frame<Bytes>, Error>>, TestBody) {
    let (feed, mut frames) = mpsc::channel(1);
    let stream = futures(move |cx| frames.poll_recv(cx));
    (feed, BodyExt::boxed(StreamBody::new(stream)))
}

/// The body of a request, to be sent back.
pub(crate) fn back(request: Request<Incoming>) -> TestBody {
    request.into_body().map_err(|_| h2::Reason::INTERNAL_ERROR.into()).boxed()
}

/// A stream of what `poll` gives.
fn futures<T>(
    poll: impl FnMut(&mut std::task::Context<'_>) -> std::task::Poll<Option<T>>,
) -> impl futures_util::Stream<Item = T> {
    futures_util::stream::poll_fn(poll)
}

pub(crate) fn data(data: impl Into<Bytes>) -> Result<Frame<Bytes>, Error> {
    Ok(Frame::data(data.into()))
}

pub(crate) fn trailers(name: &'static str, value: &'static str) -> Result<Frame<Bytes>, Error> {
    let mut map = HeaderMap::new();
    map.insert(name, value.parse().unwrap());
    Ok(Frame::trailers(map))
}

/// A server of HTTP/1 and of HTTP/2 with prior knowledge.
pub(crate) struct Upstream {
    pub(crate) addr: SocketAddr,
    accepted: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<Parts>>>,
}

/// Counts as an open connection while it lives.
struct Open(Arc<AtomicUsize>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Upstream {
    /// Sends bodies back, trailers included.
    pub(crate) async fn echo() -> Self {
        Self::new(|request| async { Response::new(back(request)) }).await
    }

    /// Answers what `answer` says.
    pub(crate) async fn new<F>(
        answer: impl Fn(Request<Incoming>) -> F + Clone + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Response<TestBody>> + Send + 'static,
    {
        let (accepted, open, seen) =
            <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<Mutex<Vec<Parts>>>)>::default();
        let (counted, alive, noted) = (Arc::clone(&accepted), Arc::clone(&open), Arc::clone(&seen));
        let addr = serve(move |stream| {
            counted.fetch_add(1, Ordering::SeqCst);
            alive.fetch_add(1, Ordering::SeqCst);
            let (guard, noted, answer) = (Open(Arc::clone(&alive)), Arc::clone(&noted), answer.clone());
            async move {
                let _guard = guard;
                let service = service_fn(move |request: Request<Incoming>| {
                    let (head, body) = request.into_parts();
                    noted.lock().unwrap().push(head.clone());
                    let answering = answer(Request::from_parts(head, body));
                    async { Ok::<_, Error>(answering.await) }
                });
                let builder = auto::Builder::new(TokioExecutor::new());
                let _ = builder.serve_connection_with_upgrades(TokioIo::new(stream), service).await;
            }
        })
        .await;
        Self { addr, accepted, open, seen }
    }

    /// Connections so far.
    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    /// Connections alive.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    /// The heads of the requests so far.
    pub(crate) fn seen(&self) -> Vec<Parts> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn last(&self) -> Parts {
        self.seen().pop().unwrap()
    }
}

/// A controller of one worker, so that requests meet the same pool.
pub(crate) fn one_worker(change: impl FnOnce(&mut Options)) -> Controller {
    controller_with(|options| {
        options.workers = Some(1);
        change(options);
    })
}

/// A controller with an HTTP proxy `p` in front of `upstream`.
pub(crate) async fn http_proxy(upstream: impl ToString) -> (Controller, ProxyView) {
    let controller = one_worker(|_| {});
    let proxy = add_proxy(&controller, upstream).await;
    (controller, proxy)
}

pub(crate) async fn add_proxy(controller: &Controller, upstream: impl ToString) -> ProxyView {
    let spec = ProxySpec { protocol: Protocol::Http, ..ProxySpec::new("p", upstream.to_string()) };
    controller.create(spec).await.unwrap()
}

/// A client of one connection.
pub(crate) enum Client {
    One(http1::SendRequest<TestBody>),
    Two(http2::SendRequest<TestBody>),
}

impl Client {
    pub(crate) async fn new(proxy: &ProxyView, version: Version) -> Self {
        Self::at(reach(&proxy.listen), version).await
    }

    pub(crate) async fn at(addr: SocketAddr, version: Version) -> Self {
        let stream = within(TcpStream::connect(addr)).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let io = TokioIo::new(stream);
        if version == Version::HTTP_2 {
            let (sender, connection) = within(http2::handshake(TokioExecutor::new(), io)).await.unwrap();
            tokio::spawn(connection);
            return Self::Two(sender);
        }
        let (sender, connection) = within(http1::handshake(io)).await.unwrap();
        tokio::spawn(connection.with_upgrades());
        Self::One(sender)
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(
        &mut self,
        request: Request<TestBody>,
    ) -> Result<Response<Incoming>, hyper::Error> {
        within(async {
            match self {
                Self::One(sender) => {
                    sender.ready().await?;
                    sender.send_request(request).await
                }
                Self::Two(sender) => sender.send_request(request).await,
            }
        })
        .await
    }

    /// Sends a GET and reads all of the answer.
    pub(crate) async fn get(&mut self, path: &str) -> (Response<()>, Bytes) {
        let request = self.request(Method::GET, path).body(empty()).unwrap();
        whole(self.send(request).await.unwrap()).await
    }

    /// A request as this version has it.
    pub(crate) fn request(&self, method: Method, path: &str) -> Builder {
        match self {
            Self::One(_) => Request::builder().method(method).uri(path).header("host", "test.example"),
            Self::Two(_) => Request::builder()
                .method(method)
                .version(Version::HTTP_2)
                .uri(format!("http://test.example{path}")),
        }
    }
}

/// All of an answer.
pub(crate) async fn whole(response: Response<Incoming>) -> (Response<()>, Bytes) {
    let (head, body) = response.into_parts();
    let body = within(body.collect()).await.unwrap().to_bytes();
    (Response::from_parts(head, ()), body)
}

/// The values of a header, in order.
pub(crate) fn values(headers: &HeaderMap, name: &str) -> Vec<String> {
    headers.get_all(name).iter().map(|value| value.to_str().unwrap().to_owned()).collect()
}

/// Connects and sends bytes as they are.
pub(crate) async fn raw(proxy: &ProxyView, bytes: impl AsRef<[u8]>) -> TcpStream {
    let mut stream = connect(proxy).await;
    stream.set_nodelay(true).unwrap();
    within(stream.write_all(bytes.as_ref())).await.unwrap();
    stream
}

/// Reads a head, to the empty line.
pub(crate) async fn head(stream: &mut TcpStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(within(stream.read_u8()).await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

/// Reads so many bytes.
pub(crate) async fn bytes(stream: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut data = vec![0; count];
    within(stream.read_exact(&mut data)).await.unwrap();
    data
}

/// All that still comes, however it ends.
pub(crate) async fn leftover(stream: &mut TcpStream) -> String {
    let mut all = Vec::new();
    let _ = within(stream.read_to_end(&mut all)).await;
    String::from_utf8_lossy(&all).into_owned()
}

/// The HTTP/2 code of a stream that was reset.
pub(crate) fn code(error: &(dyn std::error::Error + 'static)) -> Option<u32> {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(reason) = error.downcast_ref::<h2::Error>().and_then(h2::Error::reason) {
            return Some(reason.into());
        }
        source = error.source();
    }
    None
}
