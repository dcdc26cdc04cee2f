//! Upstreams that are not there, or break off.

use std::time::Duration;

use http::{Method, Response, Version};
use http_body_util::BodyExt;
use tokio::io::AsyncWriteExt;

use crate::support::*;

#[tokio::test]
async fn an_upstream_that_refuses_is_a_502_with_a_name() {
    let gone = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (controller, proxy) = http_proxy(gone).await;
    for version in BOTH {
        let (answer, body) = Client::new(&proxy, version).await.get("/").await;
        assert_eq!(answer.status().as_u16(), 502);
        assert_eq!(values(answer.headers(), "x-sabot-error"), ["refused"]);
        assert!(body.starts_with(b"sabot: refused: "), "{body:?}");
    }
    assert_eq!(controller.totals()[0].failed["refused"], 2);
}

#[tokio::test]
async fn an_upstream_that_does_not_accept_is_a_504() {
    let swallowing = Swallowing::new();
    let controller = one_worker(|options| options.dial_timeout = Duration::from_millis(50));
    let proxy = add_proxy(&controller, swallowing.addr).await;
    let (answer, _) = Client::new(&proxy, Version::HTTP_11).await.get("/").await;
    assert_eq!(answer.status().as_u16(), 504);
    assert_eq!(values(answer.headers(), "x-sabot-error"), ["timeout"]);
}

#[tokio::test]
async fn an_upstream_that_answers_no_http_is_a_502() {
    for (reply, reason) in
        [("SSH-2.0-OpenSSH_9\r\n\r\n", "response"), ("", "reset"), ("HTTP/1.1 20", "reset")]
    {
        let addr = serve(move |mut stream| async move {
            head(&mut stream).await;
            stream.write_all(reply.as_bytes()).await.unwrap();
        })
        .await;
        let (_controller, proxy) = http_proxy(addr).await;
        let (answer, body) = Client::new(&proxy, Version::HTTP_11).await.get("/").await;
        assert_eq!(answer.status().as_u16(), 502);
        assert_eq!(values(answer.headers(), "x-sabot-error"), [reason], "{body:?}");
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_breaks_off_for_the_client() {
    for lengthy in ["content-length: 100", "transfer-encoding: chunked"] {
        let addr = serve(move |mut stream| async move {
            head(&mut stream).await;
            let answer = format!("HTTP/1.1 200 OK\r\n{lengthy}\r\n\r\n5\r\nbegun\r\n");
            stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await;
        let (_controller, proxy) = http_proxy(addr).await;
        for version in BOTH {
            let mut client = Client::new(&proxy, version).await;
            let request = client.request(Method::GET, "/").body(empty()).unwrap();
            let mut body = client.send(request).await.unwrap().into_body();
            let mut got = Vec::new();
            let error = loop {
                match within(body.frame()).await.expect("it was not complete") {
                    Ok(frame) => got.extend_from_slice(&frame.into_data().unwrap()),
                    Err(error) => break error,
                }
            };
            // What was there has come.
            assert!(String::from_utf8(got).unwrap().contains("begun"), "{version:?} {lengthy}");
            assert_eq!(code(&error), (version == Version::HTTP_2).then_some(2));
        }
    }
}

#[tokio::test]
async fn a_length_beside_a_transfer_coding_is_not_believed() {
    let addr = serve(|mut stream| async move {
        head(&mut stream).await;
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n\
                      5\r\nwhole\r\n0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    })
    .await;
    let (_controller, proxy) = http_proxy(addr).await;
    for version in BOTH {
        let (answer, body) = Client::new(&proxy, version).await.get("/").await;
        assert_eq!((values(answer.headers(), "content-length").len(), &body[..]), (0, &b"whole"[..]));
    }
}

#[tokio::test]
async fn a_reset_of_an_upstream_stream_has_the_same_code_for_the_client() {
    let upstream = Upstream::new(|_| async {
        let (feed, body) = fed();
        tokio::spawn(async move {
            feed.send(data("begun")).await.unwrap();
            feed.send(Err(h2::Reason::ENHANCE_YOUR_CALM.into())).await.unwrap();
        });
        Response::new(body)
    })
    .await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    let request = client.request(Method::POST, "/s/m").header("content-type", "application/grpc");
    let answer = client.send(request.body(empty()).unwrap()).await;
    let error = match answer {
        Err(error) => error,
        Ok(answer) => within(answer.into_body().collect()).await.unwrap_err(),
    };
    assert_eq!(code(&error), Some(h2::Reason::ENHANCE_YOUR_CALM.into()));
}

#[tokio::test]
async fn a_request_that_breaks_off_breaks_off_for_the_upstream() {
    let (addr, mut connections) = manual().await;
    let (_controller, proxy) = http_proxy(addr).await;
    for lengthy in ["Content-Length: 100", "Transfer-Encoding: chunked"] {
        let client =
            raw(&proxy, format!("POST / HTTP/1.1\r\nHost: a\r\n{lengthy}\r\n\r\n5\r\nbegun\r\n")).await;
        let mut server = within(connections.recv()).await.unwrap();
        head(&mut server).await;
        drop(client);
        let rest = leftover(&mut server).await;
        assert!(!rest.contains("\r\n0\r\n"), "{rest:?}");
    }
}

/// Whatever comes before the answer, in one piece with it or not.
#[tokio::test]
async fn interim_answers_end_at_the_proxy() {
    for between in [false, true] {
        let addr = serve(move |mut stream| async move {
            let interim = "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nA";
            while !head(&mut stream).await.is_empty() {
                if between {
                    stream.write_all(interim.as_bytes()).await.unwrap();
                    stream.write_all(answer.as_bytes()).await.unwrap();
                } else {
                    stream.write_all(format!("{interim}{answer}").as_bytes()).await.unwrap();
                }
            }
        })
        .await;
        let (_controller, proxy) = http_proxy(addr).await;
        for version in BOTH {
            let mut client = Client::new(&proxy, version).await;
            for _ in 0..3 {
                let (answer, body) = within(client.get("/")).await;
                assert_eq!((answer.status().as_u16(), &body[..]), (200, &b"A"[..]), "{version:?}");
            }
        }
    }
}
