//! Faults of TLS: when they act, when they end, and how they are counted.

use std::time::{Duration, Instant};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::base::{connect, controller, echo, next_of, rest, serve, simple, toxic, until, within};
use crate::support::{handshake, ping, proxy, secure, trusting};

/// Accepts whatever it is shown.
#[derive(Debug)]
pub(crate) struct Anybody;

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

fn applied(controller: &sabot_proxy::Controller, name: &str) -> u64 {
    controller.toxic("p", name).unwrap().applied
}

#[tokio::test(flavor = "multi_thread")]
async fn each_certificate_problem_is_the_one_that_rustls_finds() {
    let controller = controller();
    let near = proxy(&controller, echo().await, json!({"terminate": {}})).await;
    for (problem, said) in [
        ("expired", "expired"),
        ("not_yet_valid", "not valid yet"),
        ("wrong_host", "not valid for name"),
        ("self_signed", "UnknownIssuer"),
        ("unknown_ca", "UnknownIssuer"),
    ] {
        controller.add_toxic("p", simple("tls_certificate", json!({"problem": problem}))).unwrap();
        let error = secure(&controller, &near).await.unwrap_err().to_string();
        assert!(error.contains(said), "{problem}: {error}");
        assert_eq!(applied(&controller, "tls_certificate_downstream"), 1);
        controller.remove_toxic("p", "tls_certificate_downstream").unwrap();
        assert!(secure(&controller, &near).await.is_ok(), "after {problem}");
    }
    until(|| controller.totals()[0].failed.get("client_tls").copied() == Some(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_from_before_does_not_hide_a_certificate() {
    let controller = controller();
    let near = proxy(&controller, echo().await, json!({"terminate": {}})).await;
    let config = trusting(&controller, &[]);
    let mut first = handshake(&near, config.clone(), "localhost").await.unwrap();
    // The ticket comes with the answer.
    ping(&mut first, b"a").await.unwrap();
    drop(first);
    let again = handshake(&near, config.clone(), "localhost").await.unwrap();
    assert_eq!(again.get_ref().1.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
    controller.add_toxic("p", simple("tls_certificate", json!({}))).unwrap();
    assert!(handshake(&near, config, "localhost").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn waits_are_as_long_as_asked_and_end_with_the_toxic() {
    let controller = controller();
    let near = proxy(&controller, echo().await, json!({"terminate": {}})).await;
    controller.add_toxic("p", simple("tls_delay", json!({"delay": 80}))).unwrap();
    let began = Instant::now();
    secure(&controller, &near).await.unwrap();
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(80), "{took:?}");
    controller.remove_toxic("p", "tls_delay_downstream").unwrap();

    let mut events = controller.events("p").unwrap();
    controller.add_toxic("p", simple("tls_hang", json!({}))).unwrap();
    let (handle, view) = (controller.clone(), near.clone());
    let hanging = tokio::spawn(async move { secure(&handle, &view).await });
    assert_eq!(next_of(&mut events, "toxic_applied").await["kind"], "tls_hang");
    assert!(!hanging.is_finished());
    controller.remove_toxic("p", "tls_hang_downstream").unwrap();
    within(hanging).await.unwrap().unwrap();

    // Who gives up is let go, though the toxic stays.
    controller.add_toxic("p", simple("tls_hang", json!({}))).unwrap();
    until(|| controller.connections(Some("p")).unwrap().is_empty()).await;
    let mut events = controller.events("p").unwrap();
    let (handle, view) = (controller.clone(), near.clone());
    let quick = tokio::spawn(async move { secure(&handle, &view).await });
    next_of(&mut events, "toxic_applied").await;
    quick.abort();
    until(|| controller.connections(Some("p")).unwrap().is_empty()).await;
    assert_eq!(applied(&controller, "tls_hang_downstream"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_refused_hangs_on_the_seed_and_on_when() {
    let mut drawn = Vec::new();
    for _ in 0..2 {
        let controller = controller();
        let near = proxy(&controller, echo().await, json!({"terminate": {}})).await;
        controller.add_toxic("p", toxic(json!({"type": "tls_alert", "toxicity": 0.5}))).unwrap();
        let mut refused = Vec::new();
        for _ in 0..16 {
            refused.push(secure(&controller, &near).await.is_err());
        }
        assert_eq!(
            applied(&controller, "tls_alert_downstream"),
            refused.iter().filter(|it| **it).count() as u64
        );
        drawn.push(refused);
    }
    assert_eq!(drawn[0], drawn[1]);
    assert!(drawn[0].contains(&true) && drawn[0].contains(&false));

    let controller = controller();
    let near = proxy(&controller, echo().await, json!({"passthrough": true})).await;
    controller.add_toxic("p", toxic(json!({"type": "tls_alert", "when": {"first": 2}}))).unwrap();
    for fails in [true, true, false] {
        let mut client = connect(&near).await;
        client.write_all(&hello()).await.unwrap();
        let mut first = [0; 1];
        within(client.read_exact(&mut first)).await.unwrap();
        // An alert, or the ClientHello back from the echo server.
        assert_eq!(first[0] == 21, fails);
    }
}

/// A `ClientHello` as rustls writes it.
fn hello() -> Vec<u8> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let mut client =
        rustls::ClientConnection::new(config.into(), ServerName::try_from("x.example").unwrap()).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn ends_without_close_notify_and_torn_records() {
    let controller = controller();
    let text = serve(|mut stream| async move {
        let _ = stream.write_all(&[7; 5000]).await;
    })
    .await;
    let near = proxy(&controller, text, json!({"terminate": {}})).await;
    let whole = async || {
        let mut client = secure(&controller, &near).await.unwrap();
        let mut all = Vec::new();
        let end = within(client.read_to_end(&mut all)).await.map_err(|error| error.kind());
        (all.len(), end.map(drop))
    };
    assert_eq!(whole().await, (5000, Ok(())));
    controller.add_toxic("p", simple("tls_no_close_notify", json!({}))).unwrap();
    assert_eq!(whole().await, (5000, Err(std::io::ErrorKind::UnexpectedEof)));
    assert_eq!(applied(&controller, "tls_no_close_notify_downstream"), 1);
    controller.add_toxic("p", simple("tls_truncate", json!({"bytes": 1234}))).unwrap();
    until(|| controller.connections(Some("p")).unwrap().is_empty()).await;
    let mut events = controller.events("p").unwrap();
    assert_eq!(whole().await, (1234, Err(std::io::ErrorKind::UnexpectedEof)));
    assert_eq!(applied(&controller, "tls_truncate_downstream"), 1);
    assert_eq!(next_of(&mut events, "connection_closed").await["reason"], "toxic_closed");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_tls_is_turned_away_and_counted() {
    let controller = controller();
    let near = proxy(&controller, echo().await, json!({"terminate": {}})).await;
    let mut client = connect(&near).await;
    client.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    // An alert comes before the end.
    let said = rest(&mut client).await.unwrap();
    assert_eq!(said.first(), Some(&21), "{said:?}");
    until(|| controller.totals()[0].failed.get("client_tls").copied() == Some(1)).await;
    drop(client);
    drop(connect(&near).await);
    until(|| controller.totals()[0].failed.get("client_gone").copied() == Some(1)).await;
    until(|| controller.connections(Some("p")).unwrap().is_empty()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kills_and_disabling_end_a_connection_under_tls() {
    let controller = controller();
    let near =
        proxy(&controller, echo().await, json!({"terminate": {}, "originate": {"insecure": true}})).await;
    // The echo server speaks no TLS: the handshake with it fails and the client's side ends.
    let mut client = secure(&controller, &near).await.unwrap();
    assert!(ping(&mut client, b"a").await.is_err());
    until(|| controller.totals()[0].failed.get("upstream_tls").copied() == Some(1)).await;
    controller.delete("p").await.unwrap();

    let near = proxy(&controller, echo().await, json!({"terminate": {}})).await;
    let mut client = secure(&controller, &near).await.unwrap();
    ping(&mut client, b"a").await.unwrap();
    let id = controller.connections(Some("p")).unwrap()[0].id;
    controller.close_connection("p", id).unwrap();
    let error = within(client.read_u8()).await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let mut client = secure(&controller, &near).await.unwrap();
    ping(&mut client, b"a").await.unwrap();
    controller.delete("p").await.unwrap();
    assert!(within(client.read_u8()).await.is_err());
}
