use super::*;

fn ask(text: &str) -> (Asked, String) {
    let mut out = Vec::new();
    let asked = request(text.as_bytes(), &mut out, &Changes::default(), |_| false);
    (asked, String::from_utf8(out).unwrap())
}

#[test]
fn a_plain_request_is_written_in_one_form() {
    let sent = "\r\nPOST /a/%7e?b=c HTTP/1.1\r\nhOST:  x \r\nX-Two:2\r\nConnection: Keep-Alive\r\nx-two: 3\nContent-Length: 3\r\n\r\nabcGET";
    let (asked, written) = ask(sent);
    let head = sent.find("abc").unwrap();
    assert_eq!(
        asked,
        Asked::Plain(Request { method: "POST", head, body: 3, is_head: false, idempotent: false })
    );
    let expected = "POST /a/%7e?b=c HTTP/1.1\r\nhOST: x\r\nX-Two: 2\r\nx-two: 3\r\nContent-Length: 3\r\n\r\n";
    assert_eq!(written, expected);
    for cut in 2..head {
        assert_eq!(ask(&sent[..cut]).0, Asked::Part, "{:?}", &sent[..cut]);
    }
    let (asked, _) = ask("FROB / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(matches!(asked, Asked::Plain(Request { method: "other", idempotent: false, .. })), "{asked:?}");
    let (asked, _) = ask("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(matches!(asked, Asked::Plain(Request { is_head: true, idempotent: true, .. })), "{asked:?}");
}

#[test]
fn what_could_be_understood_in_two_ways_is_left_to_hyper() {
    let lines = [
        "Content-Length: 3\r\nContent-Length: 3",
        "Content-Length: 3, 3",
        "Content-Length: +3",
        "Content-Length: 0x3",
        "Content-Length:",
        "Content-Length: 1234567890123456789",
        "Content-Length: 3\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked",
        "transfer-encoding: identity",
        "Host: y",
        "Connection: close",
        "Connection: keep-alive, X-Mine",
        "Connection: upgrade\r\nUpgrade: websocket",
        "Keep-Alive: timeout=5",
        "Expect: 100-continue",
        "TE: trailers",
        "Trailer: x",
        "Proxy-Connection: keep-alive",
        "folded: a\r\n b",
        "space : a",
        "nul: a\0b",
    ];
    for line in lines {
        let text = format!("POST / HTTP/1.1\r\nHost: x\r\n{line}\r\n\r\n");
        assert_eq!(ask(&text).0, Asked::Other, "{line:?}");
    }
    for first in [
        "GET / HTTP/1.0",
        "GET / HTTP/2.0",
        "PRI * HTTP/2.0",
        "GET http://y/ HTTP/1.1",
        "GET * HTTP/1.1",
        "GET y HTTP/1.1",
        "CONNECT y:1 HTTP/1.1",
        "GET /a#b HTTP/1.1",
        "GET /a|b HTTP/1.1",
        "GET /\u{e9} HTTP/1.1",
        "GET  / HTTP/1.1",
        "\x16\x03\x01\x02",
    ] {
        assert_eq!(ask(&format!("{first}\r\nHost: x\r\n\r\n")).0, Asked::Other, "{first:?}");
    }
    assert_eq!(ask("GET / HTTP/1.1\r\nX: y\r\n\r\n").0, Asked::Other, "no host");
    let many: String = (0..=HEADERS).map(|n| format!("x-{n}: 1\r\n")).collect();
    assert_eq!(ask(&format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n")).0, Asked::Other);
    assert_eq!(ask(&format!("GET / HTTP/1.1\r\nHost: {}", "x".repeat(BUFFER))).0, Asked::Other);
    let mut out = Vec::new();
    assert_eq!(
        request(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", &mut out, &Changes::default(), |_| true),
        Asked::Other
    );
}

fn told(text: &str, to_head: bool) -> (Answer, String) {
    let mut out = Vec::new();
    let answer = answer(text.as_bytes(), to_head, false, &mut out).unwrap().unwrap();
    (answer, String::from_utf8(out).unwrap())
}

#[test]
fn an_answer_ends_where_its_head_says() {
    let chunked = || Framing::Chunked(Chunks::default());
    let cases: [(&str, bool, Framing, bool); 10] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, Framing::Length(5), true),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\n",
            false,
            Framing::Length(5),
            true,
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", true, Framing::Length(0), true),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\nContent-Length: 5\r\n\r\n",
            false,
            chunked(),
            true,
        ),
        ("HTTP/1.1 200 OK\r\n\r\n", false, Framing::Close, false),
        ("HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n", false, Framing::Length(0), true),
        ("HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", false, Framing::Length(0), true),
        (
            "HTTP/1.1 200 OK\r\nConnection: x, Close\r\nContent-Length: 5\r\n\r\n",
            false,
            Framing::Length(5),
            false,
        ),
        ("HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n", false, Framing::Length(5), false),
        ("HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n", false, Framing::Length(0), true),
    ];
    for (text, to_head, framing, keep) in cases {
        let (answer, written) = told(text, to_head);
        assert_eq!((&answer.framing, answer.keep, answer.head), (&framing, keep, text.len()), "{text:?}");
        let in_chunks = matches!(framing, Framing::Chunked(_) | Framing::Close);
        assert_eq!(written.contains("Transfer-Encoding: chunked\r\n"), in_chunks, "{written:?}");
        assert!(!(in_chunks && written.contains("Content-Length")), "{written:?}");
        assert_eq!(answer.is_interim(), text.contains("103"));
    }
}

#[test]
fn an_answer_loses_what_belongs_to_its_hop_and_nothing_else() {
    let (_, written) = told(
        "HTTP/1.1 404 Gone  fishing\r\nServer: a\r\nConnection: X-Mine, keep-alive\r\nset-cookie: 1\r\nX-Mine: m\r\n\
         Keep-Alive: timeout=5\r\nUpgrade: h2c\r\nSet-Cookie: 2\r\nContent-Length: 0\r\n\r\n",
        false,
    );
    let expected = "HTTP/1.1 404 Gone  fishing\r\nServer: a\r\nset-cookie: 1\r\nSet-Cookie: 2\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(written, expected);
}

#[test]
fn an_answer_that_could_be_read_in_two_ways_is_refused() {
    for text in [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5, 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/2.0 200 OK\r\n\r\n",
        "220 smtp ready\r\n\r\n",
    ] {
        assert!(answer(text.as_bytes(), false, false, &mut Vec::new()).is_err(), "{text:?}");
    }
    let part = answer(b"HTTP/1.1 200 OK\r\nServer: a\r\n", false, false, &mut Vec::new());
    assert_eq!(part, Ok(None));
}
