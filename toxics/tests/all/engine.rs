//! The pipeline itself: order, live updates, windows, ends, back-pressure.

use sabot_toxics::{End, Entry, Plan, Time, When};
use serde_json::json;

use crate::support::{MS, Rig, at_ms, entry, plan, spec, stream, toxic, updated};

fn named(name: &str, kind: &str, attributes: serde_json::Value, id: u64) -> std::sync::Arc<Entry> {
    entry(spec(json!({"name": name, "type": kind, "attributes": attributes})), id)
}

#[test]
fn an_empty_plan_passes_everything_at_once() {
    let mut rig = Rig::new(&Plan::empty());
    assert!(rig.pipe.is_transparent());
    rig.push(1000);
    rig.fin();
    assert_eq!(rig.bytes(), stream(0..1000));
    assert_eq!(rig.ends(), [(Time::ZERO, End::Fin)]);
}

#[test]
fn a_fault_of_the_connect_phase_has_no_stage() {
    let refuse = named("refuse", "refuse", json!({}), 1);
    let slow = named("slow", "latency", json!({"latency": 40}), 2);
    assert!(Rig::new(&Plan::new(vec![refuse.clone()])).pipe.is_transparent());
    let mut rig = Rig::new(&Plan::new(vec![refuse, slow]));
    rig.push(10);
    rig.run_out();
    assert_eq!(rig.departures(), [(at_ms(40.0), 10)]);
}

#[test]
fn the_last_stage_hands_on_first_when_toxics_leave() {
    let plan = plan([toxic("latency", json!({"latency": 50})), toxic("latency", json!({"latency": 100}))]);
    let mut rig = Rig::new(&plan);
    rig.push(10);
    rig.run_until(at_ms(60.0));
    rig.push(10);
    rig.fin();
    rig.update(&Plan::empty());
    assert_eq!(rig.bytes(), stream(0..20));
    assert_eq!(rig.ends(), [(at_ms(60.0), End::Fin)]);
}

#[test]
fn what_a_removed_toxic_held_passes_those_behind_it() {
    let (first, second) = (
        named("first", "latency", json!({"latency": 1000}), 1),
        named("second", "latency", json!({"latency": 30}), 2),
    );
    let mut rig = Rig::new(&Plan::new(vec![first, second.clone()]));
    rig.push(10);
    rig.run_until(at_ms(20.0));
    rig.update(&Plan::new(vec![second]));
    rig.run_out();
    assert_eq!(rig.departures(), [(at_ms(50.0), 10)]);
}

#[test]
fn a_toxic_added_to_a_live_connection_holds_what_comes_after() {
    let mut rig = Rig::new(&Plan::empty());
    rig.push(10);
    rig.update(&plan([toxic("latency", json!({"latency": 40}))]));
    rig.push(10);
    rig.run_out();
    assert_eq!(rig.departures(), [(Time::ZERO, 10), (at_ms(40.0), 10)]);
}

#[test]
fn a_chain_in_another_order_is_made_anew_without_loss() {
    let slow = named("slow", "latency", json!({"latency": 70}), 1);
    let noop = named("noop", "noop", json!({}), 2);
    let other = named("other", "latency", json!({"latency": 5}), 3);
    let mut rig = Rig::new(&Plan::new(vec![slow.clone(), noop.clone(), other.clone()]));
    rig.push(10);
    rig.update(&Plan::new(vec![other, slow, noop]));
    rig.push(10);
    rig.run_out();
    assert_eq!(rig.bytes(), stream(0..20));
    rig.update(&Plan::empty());
    assert!(rig.pipe.is_transparent(), "a stage was left over");
}

#[test]
fn a_toxic_replaced_under_its_name_starts_anew() {
    let limit = |id| Plan::new(vec![named("cap", "limit_data", json!({"bytes": 15}), id)]);
    let mut rig = Rig::new(&limit(1));
    rig.push(10);
    rig.update(&limit(2));
    rig.push(10);
    assert!(rig.ends().is_empty(), "the count of the old toxic was kept");
}

#[test]
fn a_stronger_end_may_follow_a_weaker_one() {
    let mut rig = Rig::new(&Plan::empty());
    rig.fin();
    rig.end(End::Fin);
    rig.end(End::Reset);
    rig.end(End::Close);
    rig.push(10);
    let ends: Vec<_> = rig.ends().into_iter().map(|(_, end)| end).collect();
    assert_eq!(ends, [End::Fin, End::Reset]);
    assert_eq!(rig.pipe.dropped_bytes(), 10, "what comes after the end is dropped and counted");
    assert_eq!(rig.pipe.ready().ended(), Some(End::Reset));
}

#[test]
fn reading_stops_while_the_socket_does_not_take() {
    let mut rig = Rig::new(&plan([toxic("noop", json!({}))]));
    assert_eq!(rig.pipe.appetite(), usize::MAX);
    let data = bytes::Bytes::from(vec![0; 300_000]);
    rig.pipe.push(Time::ZERO, sabot_toxics::Frame::Data(data));
    assert_eq!(rig.pipe.appetite(), 0);
    rig.pipe.ready().advance_bytes(200_000);
    assert!(rig.pipe.appetite() > 0);
    assert_eq!(rig.pipe.held_bytes(), 100_000);
}

#[test]
fn a_paced_stage_stops_reading_soon() {
    let mut rig = Rig::new(&plan([toxic("bandwidth", json!({"rate": 10}))]));
    let mut taken = 0;
    while rig.pipe.appetite() > 0 {
        let appetite = rig.pipe.appetite().min(65_536);
        rig.push(appetite);
        taken += appetite;
    }
    assert!(taken <= 4096, "{taken}");
}

#[test]
fn a_thousand_pieces_do_not_lie_in_the_queue() {
    // What leaves a latency at once may be large; it is cut as it goes.
    let pace = toxic("bandwidth", json!({"rate": 1}));
    let mut rig = Rig::new(&plan([toxic("latency", json!({"latency": 10})), pace]));
    for _ in 0..100 {
        rig.push(60_000);
    }
    rig.run_until(at_ms(10.0));
    assert_eq!(rig.pipe.held_bytes(), 6_000_000);
    rig.run_until(at_ms(1010.0));
    assert_eq!(rig.left, 1000);
}

mod windows {
    use super::*;

    fn window(when: &serde_json::Value) -> impl Fn(f64) -> bool {
        let when: When = serde_json::from_value(when.clone()).unwrap();
        when.validate().unwrap();
        move |ms| when.window(at_ms(1000.0), at_ms(1000.0 + ms)).open
    }

    #[test]
    fn table() {
        let cases = [
            (json!({}), vec![(0.0, true), (1e9, true)]),
            (json!({"start_after": 10}), vec![(0.0, false), (9.9, false), (10.0, true), (1e9, true)]),
            (json!({"duration": 10}), vec![(0.0, true), (9.9, true), (10.0, false), (1e9, false)]),
            (json!({"duration": 0}), vec![(0.0, false), (5.0, false)]),
            (
                json!({"start_after": 10, "duration": 10}),
                vec![(9.9, false), (10.0, true), (19.9, true), (20.0, false)],
            ),
            (json!({"period": 10}), vec![(0.0, true), (4.9, true), (5.0, false), (9.9, false), (10.0, true)]),
            (
                json!({"period": 10, "duty": 0.2}),
                vec![(1.9, true), (2.0, false), (11.9, true), (12.0, false)],
            ),
            (json!({"period": 10, "duty": 0}), vec![(0.0, false), (7.0, false), (10.0, false)]),
            (json!({"period": 10, "duty": 1}), vec![(0.0, true), (7.0, true), (10.0, true)]),
            (
                json!({"start_after": 3, "period": 10, "duration": 12}),
                vec![(2.9, false), (3.0, true), (8.0, false), (13.0, true), (14.9, true), (15.0, false)],
            ),
        ];
        for (when, moments) in cases {
            let open = window(&when);
            for (ms, expected) in moments {
                assert_eq!(open(ms), expected, "{when} at {ms} ms");
            }
        }
    }

    /// `changes` is the very moment at which `open` becomes something else.
    #[test]
    fn changes_are_announced() {
        let when = json!({"start_after": 3, "period": 10, "duty": 0.3, "duration": 47});
        let when: When = serde_json::from_value(when).unwrap();
        let (mut now, mut flips) = (Time::ZERO, Vec::new());
        let mut open = when.window(Time::ZERO, now).open;
        while let Some(change) = when.window(Time::ZERO, now).changes {
            let just_before = Time::from_nanos(change.as_nanos() - 1);
            assert_eq!(when.window(Time::ZERO, just_before).open, open);
            now = change;
            let after = when.window(Time::ZERO, now).open;
            if after != open {
                flips.push(now.as_nanos() as f64 / 1e6);
            }
            open = after;
        }
        assert_eq!(flips, [3.0, 6.0, 13.0, 16.0, 23.0, 26.0, 33.0, 36.0, 43.0, 46.0]);
    }

    #[test]
    fn selection_counts_connections_since_the_toxic_was_added() {
        let selects = |when: serde_json::Value, ordinal: Option<u64>, client: &str| {
            let when: When = serde_json::from_value(when).unwrap();
            when.selects(ordinal, client.parse().ok())
        };
        assert!(selects(json!({"first": 2}), Some(2), ""));
        assert!(!selects(json!({"first": 2}), Some(3), ""));
        assert!(!selects(json!({"first": 2}), None, ""), "open before");
        assert!(selects(json!({"every": 3}), Some(6), ""));
        assert!(!selects(json!({"every": 3}), Some(7), ""));
        assert!(selects(json!({"clients": ["10.0.0.0/8", "::1"]}), None, "10.1.2.3"));
        assert!(selects(json!({"clients": ["10.0.0.0/8", "::1"]}), None, "::1"));
        assert!(!selects(json!({"clients": ["10.0.0.0/8"]}), None, "192.168.0.1"));
        assert!(!selects(json!({"clients": ["10.0.0.0/8"]}), None, ""), "a Unix socket has no address");
    }

    #[test]
    fn after_bytes_splits_a_read_at_the_very_byte() {
        let mut latency = toxic("latency", json!({"latency": 50}));
        latency.when = serde_json::from_value(json!({"after_bytes": 130})).unwrap();
        let mut rig = Rig::new(&plan([latency]));
        rig.push(100);
        rig.push(100);
        rig.run_out();
        assert_eq!(rig.departures(), [(Time::ZERO, 100), (Time::ZERO, 30), (at_ms(50.0), 70)]);
    }

    #[test]
    fn a_period_holds_and_lets_go() {
        let mut stalled = toxic("bandwidth", json!({"rate": 0}));
        stalled.when = serde_json::from_value(json!({"period": 20})).unwrap();
        let mut rig = Rig::new(&plan([stalled]));
        for _ in 0..40 {
            rig.push(1);
            rig.run_for(MS);
        }
        let moments: Vec<_> = rig.departures().iter().map(|(at, _)| at.as_nanos() / 1_000_000).collect();
        assert_eq!(moments[..10], [10; 10]);
        assert_eq!(moments[10..20], [10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
        assert_eq!(moments[20..30], [30; 10]);
    }
}

mod applied {
    use super::*;

    fn applied(rig: &mut Rig) -> Vec<String> {
        let mut names = Vec::new();
        rig.pipe.newly_applied(|entry| names.push(entry.spec.kind.name.to_owned()));
        names
    }

    #[test]
    fn only_what_acted_is_told_and_once() {
        let chain = [toxic("noop", json!({})), toxic("latency", json!({"latency": 5}))];
        let mut rig = Rig::new(&plan(chain));
        assert!(applied(&mut rig).is_empty());
        rig.push(10);
        assert_eq!(applied(&mut rig), ["latency"]);
        rig.push(10);
        rig.end(End::Reset);
        assert!(applied(&mut rig).is_empty(), "a reset that passed is nobody's deed");
    }

    #[test]
    fn a_toxic_that_acts_as_it_leaves_is_told() {
        let mut rig = Rig::new(&plan([toxic("timeout", json!({}))]));
        rig.update(&Plan::empty());
        assert_eq!(applied(&mut rig), ["timeout"]);
    }

    #[test]
    fn an_update_does_not_announce_again() {
        let plan = plan([toxic("latency", json!({"latency": 5}))]);
        let mut rig = Rig::new(&plan);
        rig.push(10);
        assert_eq!(applied(&mut rig), ["latency"]);
        rig.update(&updated(&plan, 0, json!({"latency": 9})));
        rig.push(10);
        assert!(applied(&mut rig).is_empty());
    }
}
