//! What passes: bytes, ends, requests, names.

use std::sync::Arc;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsAcceptor;

use crate::base::{controller, echo, serve, simple, toxic, until, within};
use crate::support::{handshake, http_proxy, ping, proxy, secure, spec, trusting};

/// More than any buffer between the two holds.
const BULK: usize = 8 << 20;

fn bulk() -> Vec<u8> {
    (0..BULK).map(|index| (index * 31 + index / 251) as u8).collect()
}

/// Sends a lot both ways at once and compares.
async fn exchange(client: crate::support::Secure) {
    let (mut read, mut write) = tokio::io::split(client);
    let sent = bulk();
    let expected = sent.clone();
    let sending = tokio::spawn(async move {
        write.write_all(&sent).await.unwrap();
        write.shutdown().await.unwrap();
        write
    });
    let mut back = Vec::with_capacity(BULK);
    within(read.read_to_end(&mut back)).await.unwrap();
    assert!(back == expected, "{} of {} bytes", back.len(), expected.len());
    drop(sending.await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn bulk_passes_both_ways_and_ends_in_order() {
    let controller = controller();
    let near = proxy(&controller, echo().await, json!({"terminate": {}})).await;
    exchange(secure(&controller, &near).await.unwrap()).await;
    // Under stream toxics too, which come while it is open.
    let mut client = secure(&controller, &near).await.unwrap();
    assert_eq!(ping(&mut client, b"a").await.unwrap(), b"a");
    controller.add_toxic("p", simple("latency", json!({"latency": 1}))).unwrap();
    controller
        .add_toxic(
            "p",
            toxic(json!({"type": "slicer", "stream": "upstream", "attributes": {"average_size": 4096}})),
        )
        .unwrap();
    exchange(client).await;
    until(|| controller.connections(Some("p")).unwrap().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_proxies_in_a_row_carry_it_re_encrypted() {
    let controller = controller();
    // The second trusts the CA, though it was made before there was any.
    let far_tls = json!({"originate": {"server_name": "inner.example"}});
    let far = spec("far", "127.0.0.1:1", far_tls);
    let far = controller.create(far).await.unwrap();
    let near = proxy(&controller, echo().await, json!({"terminate": {}})).await;
    let patch = sabot_proxy::ProxyPatch { upstream: Some(near.listen.clone()), ..Default::default() };
    controller.update("far", patch).await.unwrap();
    let mut client = crate::base::open(&far).await;
    assert_eq!(crate::base::ping(&mut client, b"plain").await.unwrap(), b"plain");
    let seen = controller.connections(Some("p")).unwrap();
    assert_eq!(seen[0].sni.as_deref(), Some("inner.example"));
    // A FIN is a close_notify, comes back as one, and is a FIN again.
    client.shutdown().await.unwrap();
    assert_eq!(crate::base::rest(&mut client).await.unwrap(), b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tls_client_passes_through_to_its_own_server() {
    let controller = controller();
    let certified = rcgen::generate_simple_self_signed(["behind.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let behind = serve(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            let (mut read, mut write) = tokio::io::split(acceptor.accept(stream).await.unwrap());
            let _ = tokio::io::copy(&mut read, &mut write).await;
            let _ = write.shutdown().await;
        }
    })
    .await;
    let through = proxy(&controller, behind, json!({"passthrough": true})).await;
    let mut trusted = trusting(&controller, &[]);
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certified.cert.der().clone()).unwrap();
    let verifier = rustls::client::WebPkiServerVerifier::builder_with_provider(
        Arc::new(roots),
        Arc::new(rustls::crypto::aws_lc_rs::default_provider()),
    );
    trusted.dangerous().set_certificate_verifier(verifier.build().unwrap());
    let client = handshake(&through, trusted, "behind.example").await.unwrap();
    assert_eq!(controller.connections(Some("p")).unwrap()[0].sni.as_deref(), Some("behind.example"));
    exchange(client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_come_over_http2_by_alpn() {
    let controller = controller();
    let web = serve(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine").await;
    })
    .await;
    let near = http_proxy(&controller, web, json!({"terminate": {}})).await;
    let client = handshake(&near, trusting(&controller, &["h2", "http/1.1"]), "localhost").await.unwrap();
    assert_eq!(client.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    let request = || Request::get("https://localhost/").body(Empty::<Bytes>::new()).unwrap();
    let answer = within(sender.send_request(request())).await.unwrap();
    assert_eq!(within(answer.into_body().collect()).await.unwrap().to_bytes(), "fine");
    controller.add_toxic("h", simple("http_abort", json!({"status": 418}))).unwrap();
    assert_eq!(within(sender.send_request(request())).await.unwrap().status(), 418);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_client_is_told_of_the_end_of_the_server() {
    let controller = controller();
    let web = serve(|mut stream| async move {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let Ok(byte) = stream.read_u8().await else { return };
            head.push(byte);
        }
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfine").await;
    })
    .await;
    let near = http_proxy(&controller, web, json!({"terminate": {}})).await;
    let mut client = secure(&controller, &near).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"fine") {
        answer.push(within(client.read_u8()).await.unwrap());
    }
    let stopping = controller.clone();
    let stopping = tokio::spawn(async move { stopping.shutdown(std::time::Duration::from_secs(3600)).await });
    // With `close_notify`: without it this is an error.
    assert_eq!(within(client.read(&mut [0; 1])).await.unwrap(), 0);
    drop(client);
    within(stopping).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_applied_again_reads_its_files_again() {
    let controller = controller();
    let place = tempfile::tempdir().unwrap();
    let (cert, key) = (place.path().join("cert.pem"), place.path().join("key.pem"));
    let write = |name: &str| {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        made.cert.der().to_vec()
    };
    let tls = json!({"terminate": {"certificates": [{"cert": cert, "key": key}]}});
    let wanted = spec("p", echo().await, tls);
    let shown = async |wanted: &sabot_proxy::ProxyView| {
        let mut config = trusting(&controller, &[]);
        config.dangerous().set_certificate_verifier(Arc::new(crate::faults::Anybody));
        let client = handshake(wanted, config, "localhost").await.unwrap();
        client.get_ref().1.peer_certificates().unwrap()[0].to_vec()
    };
    let first = write("first");
    controller.apply(vec![wanted.clone()]).await.unwrap();
    let view = controller.proxy("p").unwrap();
    assert_eq!(shown(&view).await, first);
    let second = write("second");
    assert_eq!(shown(&view).await, first, "only a reload reads them");
    let listen = Some(view.listen.clone());
    controller.apply(vec![sabot_proxy::ProxySpec { listen, ..wanted }]).await.unwrap();
    assert_eq!(shown(&view).await, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_sent_last_arrives_though_the_answer_has_ended_before() {
    let controller = controller();
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let mut told = told;
    // It says that it is done, and reads on slowly.
    let upstream = serve(move |mut stream| {
        let tell = tell.clone();
        async move {
            stream.shutdown().await.unwrap();
            let (mut all, mut part) = (0, vec![0; 16 * 1024]);
            while let Ok(read @ 1..) = stream.read(&mut part).await {
                all += read;
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            let _ = tell.send(all);
        }
    })
    .await;
    let near = proxy(&controller, upstream, json!({"terminate": {}})).await;
    controller.add_toxic("p", simple("latency", json!({"latency": 1}))).unwrap();
    let mut client = secure(&controller, &near).await.unwrap();
    assert_eq!(within(client.read(&mut [0; 1])).await.unwrap(), 0);
    const SENT: usize = 1 << 20;
    client.write_all(&vec![1; SENT]).await.unwrap();
    client.shutdown().await.unwrap();
    drop(client);
    assert_eq!(within(told.recv()).await.unwrap(), SENT);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_asks_for_nothing_is_let_go() {
    let controller = crate::base::controller_with(|options| {
        options.head_timeout = std::time::Duration::from_millis(100);
    });
    let near = http_proxy(&controller, echo().await, json!({"terminate": {}})).await;
    // A handshake that a toxic holds up is not what the limit is for.
    controller.add_toxic("h", simple("tls_delay", json!({"delay": 300}))).unwrap();
    for alpn in [&[][..], &["h2"]] {
        let mut client = handshake(&near, trusting(&controller, alpn), "localhost").await.unwrap();
        let mut all = Vec::new();
        let _ = within(client.read_to_end(&mut all)).await;
    }
    until(|| controller.connections(Some("h")).unwrap().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_before_a_reset_arrives_and_a_client_is_told_what_it_broke() {
    let controller = controller();
    // It answers, leaves the rest of the upload unread and closes: that says RST.
    let upstream = serve(|mut stream| async move {
        let _ = stream.read(&mut [0; 1]).await;
        let _ = stream.write_all(b"too much").await;
    })
    .await;
    let near = proxy(&controller, upstream, json!({"terminate": {}})).await;
    let mut client = secure(&controller, &near).await.unwrap();
    let _ = client.write_all(&vec![1; 1 << 20]).await;
    let mut answer = [0; 8];
    within(client.read_exact(&mut answer)).await.unwrap();
    assert_eq!(&answer, b"too much");
    controller.delete("p").await.unwrap();

    let near = proxy(&controller, echo().await, json!({"terminate": {}})).await;
    let mut client = secure(&controller, &near).await.unwrap();
    ping(&mut client, b"a").await.unwrap();
    let mut bare = client.into_inner().0;
    // A record that nobody has sealed.
    bare.write_all(&[23, 3, 3, 0, 32]).await.unwrap();
    bare.write_all(&[9; 32]).await.unwrap();
    let mut said = Vec::new();
    within(bare.read_to_end(&mut said)).await.unwrap();
    // Whatever tickets came before, the last record is as long as a sealed alert.
    assert_eq!(said[said.len() - 24..][..5], [23, 3, 3, 0, 19], "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upstream_that_misses_a_client_certificate_fails_by_tls() {
    let controller = controller();
    let files = tempfile::tempdir().unwrap();
    let ca = files.path().join("ca.pem");
    let stranger = rcgen::generate_simple_self_signed(["stranger.example".to_owned()]).unwrap();
    std::fs::write(&ca, stranger.cert.pem()).unwrap();
    let asks = json!({"terminate": {"client_ca": ca, "alpn": ["h2", "http/1.1"]}});
    let far = proxy(&controller, echo().await, asks).await;
    let near = http_proxy(&controller, far.listen, json!({"originate": {"insecure": true}})).await;
    let mut client = crate::base::connect(&near).await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
    let answer = String::from_utf8(crate::base::rest(&mut client).await.unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    assert!(answer.contains("x-sabot-error: upstream_tls\r\n"), "{answer}");
    assert!(answer.contains("CertificateRequired"), "{answer}");

    let client = crate::base::connect(&near).await;
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(client)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("http://localhost/").body(Empty::<Bytes>::new()).unwrap();
    let answer = within(sender.send_request(request)).await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["x-sabot-error"]),
        (502, &"upstream_tls".parse().unwrap())
    );
}
