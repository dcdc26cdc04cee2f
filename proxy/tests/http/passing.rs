//! A proxy without faults changes no byte of meaning.

use http::{Method, Response, StatusCode, Version};
use http_body_util::BodyExt;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::*;

#[tokio::test]
async fn methods_paths_and_bodies_pass() {
    let upstream = Upstream::echo().await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    for version in BOTH {
        let mut client = Client::new(&proxy, version).await;
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "PURGE"] {
            let method: Method = method.parse().unwrap();
            let request =
                client.request(method.clone(), "/a%2Fb/./c?x=1&y=%20&&").body(full("body")).unwrap();
            let (head, body) = whole(client.send(request).await.unwrap()).await;
            assert_eq!((head.status(), &body[..]), (StatusCode::OK, &b"body"[..]), "{version:?} {method}");
            let seen = upstream.last();
            assert_eq!((seen.method, seen.uri.to_string()), (method, "/a%2Fb/./c?x=1&y=%20&&".to_owned()));
            assert_eq!(values(&seen.headers, "host"), ["test.example"]);
            assert_eq!(seen.version, Version::HTTP_11);
        }
    }
}

#[tokio::test]
async fn a_body_of_unknown_length_passes_with_every_method() {
    let upstream = Upstream::echo().await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    for (version, method) in
        BOTH.into_iter().flat_map(|version| [(version, Method::GET), (version, Method::POST)])
    {
        let mut client = Client::new(&proxy, version).await;
        let (feed, body) = fed();
        tokio::spawn(async move {
            for part in ["one ", "two"] {
                feed.send(data(part)).await.unwrap();
            }
        });
        let mut request = client.request(method.clone(), "/").body(body).unwrap();
        if version == Version::HTTP_11 {
            request.headers_mut().insert("transfer-encoding", "chunked".parse().unwrap());
        }
        let (_, body) = whole(client.send(request).await.unwrap()).await;
        assert_eq!(&body[..], b"one two", "{version:?} {method}");
    }
}

#[tokio::test]
async fn heads_keep_their_case_order_and_repetition() {
    let (addr, mut connections) = manual().await;
    let (_controller, proxy) = http_proxy(addr).await;
    let sent = "GET /p?q HTTP/1.1\r\nX-Mixed-CASE: a\r\nhOsT: Name:80\r\nCookie: a=1\r\nx-list: 1\r\n\
                X-List: 2\r\nuser-AGENT: x\r\nX-Latin: \u{e9}\r\n\r\n";
    let mut client = raw(&proxy, sent).await;
    let mut server = within(connections.recv()).await.unwrap();
    let mut seen = vec![0; sent.len()];
    within(server.read_exact(&mut seen)).await.unwrap();
    assert_eq!(String::from_utf8(seen).unwrap(), sent);
    let answer = "HTTP/1.1 200 OK\r\nSERVER: x\r\nSet-Cookie: b=1\r\nset-COOKIE: c=2\r\nx-A: 1\r\n\
                  Content-LENGTH: 2\r\n\r\n";
    within(server.write_all(format!("{answer}ok").as_bytes())).await.unwrap();
    // Nothing is added either: no date, no connection, no via.
    assert_eq!(head(&mut client).await, answer);
    assert_eq!(bytes(&mut client, 2).await, b"ok");
}

#[tokio::test]
async fn a_hundred_headers_pass_both_ways() {
    let (addr, mut connections) = manual().await;
    let (_controller, proxy) = http_proxy(addr).await;
    let lines: String = (0..98).map(|number| format!("X-{number}: {number}\r\n")).collect();
    let sent = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
    let mut client = raw(&proxy, &sent).await;
    let mut server = within(connections.recv()).await.unwrap();
    assert_eq!(head(&mut server).await, sent);
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n{lines}\r\n");
    within(server.write_all(answer.as_bytes())).await.unwrap();
    assert_eq!(head(&mut client).await, answer);
}

#[tokio::test]
async fn what_belongs_to_a_hop_stays_there() {
    let upstream = Upstream::new(|_| async {
        Response::builder()
            .header("connection", "x-mine")
            .header("x-mine", "1")
            .header("keep-alive", "timeout=9")
            .header("x-yours", "2")
            .body(full("ok"))
            .unwrap()
    })
    .await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    let mut client = raw(
        &proxy,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, X-One\r\nX-One: 1\r\nKeep-Alive: 5\r\n\
         TE: trailers, gzip\r\nProxy-Connection: x\r\nX-Two: 2\r\n\r\n",
    )
    .await;
    let answer = head(&mut client).await.to_ascii_lowercase();
    assert!(answer.contains("x-yours: 2"), "{answer}");
    assert!(!answer.contains("x-mine") && !answer.contains("timeout=9"), "{answer}");
    let seen = upstream.last().headers;
    for gone in ["x-one", "keep-alive", "proxy-connection", "connection"] {
        assert!(!seen.contains_key(gone), "{gone}");
    }
    assert_eq!(
        (values(&seen, "te"), values(&seen, "x-two")),
        (vec!["trailers".to_owned()], vec!["2".to_owned()])
    );
}

#[tokio::test]
async fn answers_without_a_body_have_none() {
    let upstream = Upstream::new(|request| async move {
        let status: u16 = request.uri().path()[1..].parse().unwrap();
        let response = Response::builder().status(status).header("etag", "x");
        let response = if status == 204 { response } else { response.header("content-length", "12345") };
        response.body(empty()).unwrap()
    })
    .await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    for version in BOTH {
        let mut client = Client::new(&proxy, version).await;
        for (method, status) in
            [(Method::HEAD, 200), (Method::GET, 204), (Method::GET, 304), (Method::HEAD, 404)]
        {
            let request = client.request(method.clone(), &format!("/{status}")).body(empty()).unwrap();
            let (head, body) = whole(client.send(request).await.unwrap()).await;
            assert_eq!((head.status().as_u16(), body.len()), (status, 0));
            assert_eq!(values(head.headers(), "etag"), ["x"]);
            // A 304 may say how long the answer would be; hyper, on either side, does not.
            let length = values(head.headers(), "content-length");
            let expected = if method == Method::HEAD { vec!["12345".to_owned()] } else { vec![] };
            assert_eq!(length, expected, "{version:?} {status}");
        }
    }
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn large_bodies_pass_both_ways() {
    let upstream = Upstream::echo().await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    let sent: Vec<u8> = (0..20_000_000_u32).map(|n| (n % 251) as u8).collect();
    for version in BOTH {
        let mut client = Client::new(&proxy, version).await;
        let request = client.request(Method::POST, "/").body(full(sent.clone())).unwrap();
        let (_, body) = whole(client.send(request).await.unwrap()).await;
        assert!(body == sent, "{version:?}");
    }
}

#[tokio::test]
async fn trailers_pass_both_ways() {
    let upstream = Upstream::new(|request| async {
        let mut response = Response::new(back(request));
        response.headers_mut().insert("trailer", "x-sum".parse().unwrap());
        response
    })
    .await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    for version in BOTH {
        let mut client = Client::new(&proxy, version).await;
        let (feed, body) = fed();
        tokio::spawn(async move {
            feed.send(data("x")).await.unwrap();
            feed.send(trailers("x-sum", "7")).await.unwrap();
        });
        let request = client.request(Method::POST, "/").header("te", "trailers").header("trailer", "x-sum");
        let response = client.send(request.body(body).unwrap()).await.unwrap();
        let all = within(response.into_body().collect()).await.unwrap();
        assert_eq!(values(all.trailers().unwrap(), "x-sum"), ["7"], "{version:?}");
    }
}

#[tokio::test]
async fn cookies_that_http2_split_are_joined() {
    let upstream = Upstream::echo().await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    let request = client.request(Method::GET, "/").header("cookie", "a=1").header("cookie", "b=2");
    client.send(request.body(empty()).unwrap()).await.unwrap();
    assert_eq!(values(&upstream.last().headers, "cookie"), ["a=1; b=2"]);
}

#[tokio::test]
async fn grpc_reaches_its_upstream_over_http2() {
    let upstream = Upstream::new(|request| async move {
        assert_eq!(request.version(), Version::HTTP_2);
        let (feed, body) = fed();
        let mut incoming = request.into_body();
        tokio::spawn(async move {
            // As a call of many messages: each is answered before the next is sent.
            while let Some(Ok(frame)) = incoming.frame().await {
                feed.send(data(frame.into_data().unwrap())).await.unwrap();
            }
            feed.send(trailers("grpc-status", "5")).await.unwrap();
        });
        Response::builder().header("content-type", "application/grpc").body(body).unwrap()
    })
    .await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    let mut client = Client::new(&proxy, Version::HTTP_2).await;
    for _ in 0..3 {
        let (feed, body) = fed();
        let request = client
            .request(Method::POST, "/s/m")
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let response = client.send(request.body(body).unwrap()).await.unwrap();
        let mut answers = response.into_body();
        for message in ["one", "two"] {
            feed.send(data(message)).await.unwrap();
            let frame = within(answers.frame()).await.unwrap().unwrap();
            assert_eq!(&frame.into_data().unwrap()[..], message.as_bytes());
        }
        drop(feed);
        let last = within(answers.frame()).await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(values(&last, "grpc-status"), ["5"]);
    }
    let seen = upstream.last();
    assert_eq!(seen.uri.to_string(), "http://test.example/s/m");
    assert_eq!(values(&seen.headers, "te"), ["trailers"]);
    assert_eq!(upstream.accepted(), 1);
}

#[tokio::test]
async fn an_early_answer_does_not_wait_for_the_request() {
    let upstream =
        Upstream::new(|_| async { Response::builder().status(413).body(full("too large")).unwrap() }).await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    for version in BOTH {
        let mut client = Client::new(&proxy, version).await;
        let (feed, body) = fed();
        feed.send(data("begun")).await.unwrap();
        let request = client.request(Method::POST, "/").body(body).unwrap();
        let (head, body) = whole(client.send(request).await.unwrap()).await;
        assert_eq!((head.status().as_u16(), &body[..]), (413, &b"too large"[..]), "{version:?}");
    }
}

#[tokio::test]
async fn a_slow_body_is_passed_on_as_it_comes() {
    let (feed, body) = fed();
    let body = std::sync::Arc::new(std::sync::Mutex::new(Some(body)));
    let upstream = Upstream::new(move |_| {
        let body = body.lock().unwrap().take().unwrap();
        async { Response::new(body) }
    })
    .await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    let mut client = Client::new(&proxy, Version::HTTP_11).await;
    let request = client.request(Method::GET, "/").body(empty()).unwrap();
    let mut body = client.send(request).await.unwrap().into_body();
    for part in ["a", "b", "c"] {
        feed.send(data(part)).await.unwrap();
        let frame = within(body.frame()).await.unwrap().unwrap();
        assert_eq!(&frame.into_data().unwrap()[..], part.as_bytes());
    }
    drop(feed);
    assert!(within(body.frame()).await.is_none());
}

#[tokio::test]
async fn a_body_that_nobody_reads_is_not_read_either() {
    // How much of an endless body the proxy takes for a client that reads nothing.
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let count = std::sync::Arc::clone(&taken);
    let upstream = Upstream::new(move |_| {
        let (feed, body) = fed();
        let count = std::sync::Arc::clone(&count);
        tokio::spawn(async move {
            while feed.send(data(vec![0; 1 << 16])).await.is_ok() {
                count.fetch_add(1 << 16, std::sync::atomic::Ordering::SeqCst);
            }
        });
        async { Response::new(body) }
    })
    .await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    for version in BOTH {
        let before = taken.load(std::sync::atomic::Ordering::SeqCst);
        let mut client = Client::new(&proxy, version).await;
        let request = client.request(Method::GET, "/").body(empty()).unwrap();
        let _answer = client.send(request).await.unwrap();
        let settled = settle(&taken).await - before;
        assert!(settled < 40 << 20, "{version:?}: {settled}");
    }
}

/// The number once it has stood still for a while.
async fn settle(number: &std::sync::atomic::AtomicUsize) -> usize {
    within(async {
        loop {
            let before = number.load(std::sync::atomic::Ordering::SeqCst);
            let mut ticks = tokio::time::interval(std::time::Duration::from_millis(100));
            ticks.tick().await;
            ticks.tick().await;
            if before > 0 && number.load(std::sync::atomic::Ordering::SeqCst) == before {
                return before;
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_client_of_http_1_0_gets_an_answer_that_ends_with_the_connection() {
    let upstream = Upstream::new(|_| async {
        let (feed, body) = fed();
        tokio::spawn(async move {
            feed.send(data("un")).await.unwrap();
            feed.send(data("known")).await.unwrap();
        });
        Response::new(body)
    })
    .await;
    let (_controller, proxy) = http_proxy(upstream.addr).await;
    let mut client = raw(&proxy, "GET / HTTP/1.0\r\nHost: a\r\n\r\n").await;
    let answer = String::from_utf8(rest(&mut client).await.unwrap()).unwrap();
    assert!(answer.starts_with("HTTP/1.0 200") && answer.ends_with("\r\n\r\nunknown"), "{answer}");
}
