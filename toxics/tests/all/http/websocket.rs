//! Messages of WebSockets, over bytes that come as the test says.

use std::time::Duration;

use sabot_toxics::Plan;
use sabot_toxics::http::values::Side;
use sabot_toxics::http::{Body, Tunnel};
use serde_json::{Value, json};

use super::one;
use super::world::{World, agree, chunked, get};
use crate::support::at_ms;

/// An unmasked frame.
fn frame(opcode: u8, last: bool, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![opcode | u8::from(last) << 7];
    match payload.len() {
        short @ 0..126 => frame.push(short as u8),
        medium @ 126..65536 => {
            frame.push(126);
            frame.extend_from_slice(&(medium as u16).to_be_bytes());
        }
        long => {
            frame.push(127);
            frame.extend_from_slice(&(long as u64).to_be_bytes());
        }
    }
    frame.extend_from_slice(payload);
    frame
}

fn text(payload: &str) -> Vec<u8> {
    frame(1, true, payload.as_bytes())
}

/// A world with an open WebSocket; what passes either side of it.
struct Open {
    world: World,
    tunnel: Tunnel,
}

impl Open {
    fn new(plan: Plan) -> Self {
        Self::of(World::new(plan))
    }

    fn of(world: World) -> Self {
        let world = world.answering(|_| agree("WebSocket"));
        let answer = world.ask(1, get("/")).unwrap();
        let tunnel = answer.extensions().get::<Tunnel>().unwrap().clone();
        Self { world, tunnel }
    }

    /// What comes out and when, piece by piece.
    fn pass(&self, side: Side, bytes: Body) -> Vec<(f64, Vec<u8>)> {
        let [up, down] = self.tunnel.take().expect("the fault is there");
        let layers = if side == Side::Request { up } else { down };
        let mut bytes = layers.around(bytes);
        let mut all = Vec::new();
        while let Some(frame) = self.world.run(bytes.next()) {
            let data = frame.unwrap().into_data().unwrap();
            all.push((self.world.now().as_nanos() as f64 / 1e6, data.to_vec()));
        }
        all
    }
}

/// What comes down of these messages.
fn down(attributes: Value, messages: &[Vec<u8>]) -> (Vec<u8>, usize) {
    let whole = messages.concat();
    let open = Open::new(one("websocket", attributes.clone()));
    let expected: Vec<u8> =
        open.pass(Side::Response, chunked(&[&whole])).into_iter().flat_map(|(_, data)| data).collect();
    // Whatever the pieces: no draw moves.
    for piece in [1, 3, 1000] {
        let pieces: Vec<&[u8]> = whole.chunks(piece).collect();
        let open = Open::new(one("websocket", attributes.clone()));
        let got: Vec<u8> =
            open.pass(Side::Response, chunked(&pieces)).into_iter().flat_map(|(_, data)| data).collect();
        assert!(got == expected, "{attributes} in pieces of {piece}");
    }
    (expected, open.world.acted().len())
}

#[test]
fn what_nothing_is_asked_of_passes() {
    let messages =
        [text("a"), frame(2, false, &[7; 300]), frame(9, true, b"p"), frame(0, true, &[8; 70_000])];
    assert_eq!(down(json!({}), &messages), (messages.concat(), 0));
    let only_up = json!({"side": "request", "drop": 1, "delay": 50});
    assert_eq!(down(only_up, &messages), (messages.concat(), 0));
    let later = json!({"after": 2, "drop": 1, "close": 0});
    assert_eq!(down(later, &messages), (messages.concat(), 0));
}

#[test]
fn a_message_is_dropped_with_all_its_frames() {
    let ping = frame(9, true, b"p");
    let messages = [
        text("a"),
        frame(1, false, b"b"),
        ping.clone(),
        frame(0, false, b"c"),
        frame(0, true, b"d"),
        text("e"),
    ];
    assert_eq!(down(json!({"drop": 1}), &messages), (ping, 1));
    assert_eq!(down(json!({"drop": 1, "control": true}), &messages), (vec![], 1));
    assert_eq!(down(json!({"drop": 1, "after": 2}), &messages).0, messages[..5].concat());

    let many: Vec<_> = (0..2000).map(|number| text(&number.to_string())).collect();
    let (left, _) = down(json!({"drop": 0.3}), &many);
    let count = left.iter().filter(|byte| **byte == 0x81).count();
    assert!((1300..1500).contains(&count), "{count}");
}

#[test]
fn a_message_is_repeated_when_it_is_whole() {
    let ping = frame(9, true, b"p");
    let messages = [frame(1, false, b"b"), ping.clone(), frame(0, true, b"c"), text("e")];
    let twice = [&messages[0], &ping, &messages[2], &messages[0], &messages[2], &messages[3], &messages[3]];
    assert_eq!(down(json!({"duplicate": 1}), &messages), (twice.map(Clone::clone).concat(), 1));
    let long = [frame(2, true, &vec![7; 1 << 20]), text("e")];
    let got = down(json!({"duplicate": 1}), &long).0;
    assert!(got == [&long[0][..], &long[1], &long[1]].concat(), "too long to be kept");
}

#[test]
fn one_bit_of_a_message_is_flipped() {
    let messages =
        [frame(2, false, b""), frame(0, true, &[0; 500]), frame(2, true, &[0; 70_000]), frame(2, true, b"")];
    let (got, acted) = down(json!({"corrupt": 1}), &messages);
    let plain = messages.concat();
    assert_eq!((got.len(), acted), (plain.len(), 1));
    let places: Vec<_> = (0..plain.len()).filter(|at| got[*at] != plain[*at]).collect();
    assert!(places.iter().all(|at| (got[*at] ^ plain[*at]).count_ones() == 1));
    let payloads = [6..506, 516..70_516];
    assert_eq!(places.len(), 2, "{places:?}");
    assert!(payloads.iter().zip(&places).all(|(payload, at)| payload.contains(at)), "{places:?}");
}

#[test]
fn delays_are_not_in_series_and_keep_the_order() {
    let open = Open::new(one("websocket", json!({"delay": 20})));
    let messages: &'static [&'static [u8]] = &[b"\x81\x01a", b"\x81\x01b", b"\x89\x00", b"\x81\x01c"];
    let got = open.pass(Side::Response, open.world.slow(messages, Duration::from_millis(5)));
    let moments: Vec<f64> = got.iter().filter(|(_, data)| data.len() == 1).map(|(at, _)| *at).collect();
    assert_eq!(moments, [25.0, 30.0, 40.0], "each 20 ms after it came");
    assert_eq!(got.iter().flat_map(|(_, data)| data.clone()).collect::<Vec<_>>(), messages.concat());
    assert_eq!(open.world.acted().len(), 1);
}

#[test]
fn what_is_held_follows_an_update_and_leaves_with_the_toxic() {
    let slow = || World::new(one("websocket", json!({"delay": 1000})));
    for (world, ended) in [
        (slow().updated_at(30.0, json!({"delay": 100})), 100.0),
        (slow().updated_at(30.0, json!({"delay": 10})), 30.0),
        (slow().updated_at(30.0, json!({"delay": 5000})), 1000.0),
        (slow().updated_at(30.0, json!({"side": "request"})), 30.0),
        (slow().removed_at(30.0), 30.0),
    ] {
        let open = Open::of(world);
        let got = open.pass(Side::Response, chunked(&[&text("a")]));
        assert_eq!(got.last().unwrap().0, ended);
    }
}

#[test]
fn removal_lets_the_rest_pass() {
    let open = Open::of(World::new(one("websocket", json!({"drop": 1, "delay": 50}))).removed_at(7.0));
    let messages: &'static [&'static [u8]] = &[b"\x01\x01a", b"\x80\x01b", b"\x81\x01c"];
    let got = open.pass(Side::Response, open.world.slow(messages, Duration::from_millis(5)));
    let all: Vec<u8> = got.into_iter().flat_map(|(_, data)| data).collect();
    assert_eq!(all, b"\x81\x01c", "what had begun to be dropped is dropped to its end");
}

#[test]
fn a_close_comes_after_so_many_messages_and_mutes_the_rest() {
    let close = json!({"close": 1011, "reason": "gone", "after": 1});
    let messages = [text("a"), frame(9, true, b""), text("b")];
    let expected = [&messages[0][..], b"\x88\x06\x03\xf3gone"].concat();
    assert_eq!(down(close.clone(), &messages), (expected, 1));
    // In the middle of a message that has not ended, but between its frames.
    let at_once = json!({"close": 1001});
    assert_eq!(down(at_once.clone(), &messages).0, b"\x88\x02\x03\xe9");
    // Not a second one.
    let own = [text("a"), frame(8, true, &[3, 232])];
    assert_eq!(down(json!({"close": 1001, "after": 2}), &own), (own.concat(), 0));

    let open = Open::new(one("websocket", at_once));
    let got = open.pass(Side::Request, chunked(&[b"\x81\x81\x01\x02\x03\x04\x60"]));
    let up = &got[0].1;
    assert_eq!((got.len(), up[0], up[1], up.len()), (1, 0x88, 0x82, 8), "masked, as what goes up is");
    assert_eq!([up[2] ^ up[6], up[3] ^ up[7]], [3, 233]);
}

#[test]
fn other_tunnels_are_left_alone() {
    let world = World::new(one("websocket", json!({"drop": 1}))).answering(|_| agree("spdy"));
    let answer = world.ask(1, get("/")).unwrap();
    assert!(answer.extensions().get::<Tunnel>().unwrap().take().is_none());
    let world = World::new(one("websocket", json!({"drop": 1})));
    assert_eq!(world.send(1, get("/")).unwrap().status(), 200);
    assert_eq!((world.acted().len(), world.now()), (0, at_ms(0.0)));
}

#[test]
fn nonsense_is_refused_with_the_remedy() {
    let refused = |attributes: Value| super::bench::refused("websocket", attributes);
    assert!(refused(json!({"close": 1005})).contains("attributes.close: is no code"));
    assert!(refused(json!({"reason": "x"})).contains("give `close` a code"));
    assert!(refused(json!({"close": 1000, "reason": "x".repeat(124)})).contains("123 bytes"));
    assert!(refused(json!({"drop": 2})).contains("attributes.drop: must lie between"));
}
