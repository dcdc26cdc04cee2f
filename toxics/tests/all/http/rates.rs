//! Bodies at a rate.

use sabot_toxics::http::Response;
use serde_json::json;

use super::one;
use super::world::{World, chunked, get};
use crate::support::{MS, at_ms, plan, toxic};

#[test]
fn throttle_keeps_its_rate_in_small_pieces_whatever_the_chunks() {
    let long = vec![b'x'; 200_000];
    for (rate, expected_ms) in
        [("100KB/s", 2000.0), ("7KB/s", 28571.428571), ("1GB/s", 0.2), ("123456B/s", 1620.0103680)]
    {
        for (side, cut) in [("response", 200_000), ("response", 1000), ("response", 7777), ("request", 4096)]
        {
            let pieces: Vec<Vec<u8>> = long.chunks(cut).map(<[u8]>::to_vec).collect();
            let body = move || chunked(&pieces.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let again = body.clone();
            let world = World::new(one("http_throttle", json!({"rate": rate, "side": side})))
                .answering(move |_| Response::new(again()));
            let got = world.send(1, http::Request::post("/").body(body()).unwrap()).unwrap();
            let up = world.seen().remove(0);
            let (chunks, ended) =
                if side == "request" { (&up.chunks, up.ended) } else { (&got.chunks, got.ended) };
            assert_eq!(chunks.iter().map(|(_, data)| data.len()).sum::<usize>(), 200_000);
            let off = ended.as_nanos().abs_diff(at_ms(expected_ms).as_nanos());
            assert!(off <= 10, "{rate} {side} {cut}: {off} ns off");
            assert!(chunks.iter().all(|(_, data)| data.len() <= 16 * 1024));
            let gaps = chunks.windows(2).map(|pair| pair[1].0.saturating_since(pair[0].0));
            assert!(gaps.max().unwrap() <= 10 * MS, "{rate} {side} {cut}");
        }
    }
}

#[test]
fn a_pause_saves_up_no_more_than_a_piece() {
    let slow = plan([
        toxic("http_throttle", json!({"rate": "10KB/s"})),
        toxic("http_delay", json!({"delay": 1000, "at": "chunks"})),
    ]);
    let world = World::new(slow).answering(|_| Response::new(chunked(&[&[0; 1000], &[0; 1000]])));
    let got = world.send(1, get("/")).unwrap();
    assert_eq!(got.ended, at_ms(2200.0), "100 ms for each, behind a pause of a second");
    assert_eq!(got.chunks[0].0, at_ms(1010.0));
}

#[test]
fn another_rate_holds_at_once_for_bodies_on_their_way() {
    // (rate, another rate from 100 ms on, when 10 kB are through)
    for (rate, then, expected_ms) in [
        ("10KB/s", json!("100KB/s"), 190.0),
        ("100KB/s", json!("10KB/s"), 100.0),
        ("50KB/s", json!("10KB/s"), 600.0),
        ("0B/s", json!("100KB/s"), 200.0),
        ("1B/s", json!("1MB/s"), 110.0),
    ] {
        let world = World::new(one("http_throttle", json!({"rate": rate})))
            .updated_at(100.0, json!({"rate": then}))
            .answering(|_| Response::new(chunked(&[&[0; 10_000]])));
        let ended = world.send(1, get("/")).unwrap().ended;
        let off = ended.as_nanos().abs_diff(at_ms(expected_ms).as_nanos());
        assert!(off < 200_000, "{rate} then {then}: {ended:?}");
    }
}
