//! What every toxic must do, whatever it does. No kind is named here: settings
//! come from the schemas, so a new kind is held to all of this by its one line.

use std::ops::RangeInclusive;

use sabot_toxics::seed::Draws;
use sabot_toxics::{Changes, End, Frame, Kind, Plan, Seed, Time, ToxicSpec};
use serde_json::{Value, json};

use crate::support::{MS, Rig, at_ms, plan, sample, stream, toxic, updated};

const SEEDS: RangeInclusive<u64> = 1..=20;

/// Runs `check` on every stream kind under its defaults and many other settings.
fn every_kind(check: impl Fn(&'static Kind, &ToxicSpec, &mut Draws)) {
    for kind in sample::stream_kinds() {
        check(kind, &toxic(kind.name, json!({})), &mut Seed::new(0).at(0));
        for seed in SEEDS {
            let mut draws = Seed::new(seed).at(0);
            let attributes = Value::Object(sample::attributes(kind, &mut draws));
            let case = format!("{} {attributes} (seed {seed})", kind.name);
            let run = || check(kind, &toxic(kind.name, attributes.clone()), &mut draws);
            if let Err(panic) = std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)) {
                eprintln!("it was {case}");
                std::panic::resume_unwind(panic);
            }
        }
    }
}

/// What left is what came, as far as the kind promises it. The rig has counted
/// conservation at every step already.
fn check_content(kind: &Kind, rig: &Rig) {
    let (bytes, sent) = (rig.bytes(), stream(0..rig.pushed));
    match kind.changes {
        Changes::Timing => assert!(sent.starts_with(&bytes), "bytes changed or out of order"),
        Changes::Content => assert!(bytes.len() <= sent.len()),
        Changes::Loses => {
            let mut rest = sent.iter();
            assert!(bytes.iter().all(|byte| rest.any(|sent| sent == byte)), "bytes out of order");
        }
    }
    if kind.changes != Changes::Loses && ended_by_itself(rig).is_none() {
        assert_eq!(rig.pipe.dropped_bytes(), 0, "dropped without declaring it in CHANGES");
    }
}

/// The end that the toxic made, if any: the tests send nothing but a FIN.
fn ended_by_itself(rig: &Rig) -> Option<End> {
    rig.ends().last().map(|(_, end)| *end).filter(|end| *end != End::Fin)
}

/// Some reads of random lengths with random pauses between.
fn traffic(rig: &mut Rig, draws: &mut Draws) {
    for _ in 0..draws.below(10) {
        rig.push(*sample::pick(draws, &[1, 3, 100, 1448, 4500]));
        let pause = *sample::pick(draws, &[0.0, 0.0, 0.01, 1.0, 30.0]);
        rig.run_for(MS.mul_f64(pause));
    }
}

#[test]
fn nothing_is_lost_that_is_not_declared() {
    every_kind(|kind, spec, draws| {
        let plan = plan([spec.clone()]);
        let mut rig = Rig::new(&plan);
        traffic(&mut rig, draws);
        rig.fin();
        rig.run_out();
        check_content(kind, &rig);
    });
}

#[test]
fn a_half_close_arrives_behind_all_data() {
    every_kind(|kind, spec, draws| {
        let mut rig = Rig::new(&plan([spec.clone()]));
        traffic(&mut rig, draws);
        rig.fin();
        rig.run_out();
        rig.update(&Plan::empty());
        rig.run_out();
        check_content(kind, &rig);
        assert_eq!(rig.pipe.held_bytes(), 0, "held although no toxic is left");
        assert!(!rig.ends().is_empty(), "the end was lost");
        if kind.changes != Changes::Loses && ended_by_itself(&rig).is_none() {
            assert_eq!(rig.left, rig.pushed, "the half-close overtook data");
        }
    });
}

#[test]
fn removal_releases_everything_at_once() {
    every_kind(|kind, spec, draws| {
        let mut rig = Rig::new(&plan([spec.clone()]));
        traffic(&mut rig, draws);
        rig.update(&Plan::empty());
        assert!(rig.pipe.is_transparent());
        assert_eq!(rig.pipe.next_wake(), None);
        check_content(kind, &rig);
        rig.push(100);
        assert!(rig.pipe.is_transparent());
    });
}

#[test]
fn a_reset_ends_everything() {
    every_kind(|_, spec, draws| {
        let mut rig = Rig::new(&plan([spec.clone()]));
        traffic(&mut rig, draws);
        rig.end(End::Reset);
        rig.update(&Plan::empty());
        assert!(ended_by_itself(&rig).is_some());
    });
}

/// The same bytes, read in other portions, fare the same.
#[test]
fn the_place_where_reads_end_changes_nothing() {
    every_kind(|kind, spec, draws| {
        let count = 10_000;
        let run = |spec: &ToxicSpec, cut: &[usize]| {
            let mut rig = Rig::new(&plan([spec.clone()]));
            rig.push_cut(count, cut);
            rig.fin();
            rig.run_out();
            rig
        };
        let lengths: Vec<usize> = (0..7).map(|_| 1 + draws.below(3000) as usize).collect();
        if kind.changes != Changes::Loses {
            let (whole, cut) = (run(spec, &[count]), run(spec, &lengths));
            // How much of the stream an early end lets through may differ.
            let both = whole.left.min(cut.left) as usize;
            assert_eq!(whole.bytes()[..both], cut.bytes()[..both]);
            return;
        }
        // Chunks may be lost as such: those that are the same share their fate,
        // unless it is asked to hang on the chunks before.
        let spec = if spec.attributes.contains_key("correlation") {
            spec.with_attributes(json!({"correlation": 0}).as_object().unwrap()).unwrap()
        } else {
            spec.clone()
        };
        let shorter: Vec<usize> = std::iter::once(500).chain([100; 95]).collect();
        let longer: Vec<usize> = [250, 250].into_iter().chain([100; 95]).collect();
        let (one, two) = (run(&spec, &shorter), run(&spec, &longer));
        let tail = |rig: &Rig| fates(rig).into_iter().filter(|place| *place >= 500).collect::<Vec<_>>();
        assert_eq!(tail(&one), tail(&two));
    });
}

/// The offsets of the bytes that left, from where they match the stream.
fn fates(rig: &Rig) -> Vec<usize> {
    let sent = stream(0..rig.pushed);
    let mut from = 0;
    let mut places = Vec::new();
    for (_, frame) in &rig.out {
        let Frame::Data(data) = frame else { continue };
        let found = sent[from..].windows(data.len()).position(|window| window == data);
        let place = from + found.expect("a frame that never came");
        places.extend(place..place + data.len());
        from = place + data.len();
    }
    places
}

/// A driver that comes late changes neither what leaves nor the moments that
/// the next toxic of the chain is told.
#[test]
fn lateness_does_not_add_up() {
    let probe = 10_000.0;
    every_kind(|_, spec, draws| {
        let chain = || plan([spec.clone(), toxic("latency", json!({"latency": probe}))]);
        let (mut prompt, mut late) = (Rig::new(&chain()), Rig::new(&chain()));
        let lengths = [1 + draws.below(2000) as usize, 1 + draws.below(9000) as usize];
        for rig in [&mut prompt, &mut late] {
            rig.push_cut(12_000, &lengths);
        }
        // Nothing has left the probe before it has held what came first.
        prompt.run_until(at_ms(probe - 1.0));
        late.leap_to(at_ms(probe - 1.0));
        prompt.run_until(at_ms(100.0 * probe));
        late.run_until(at_ms(100.0 * probe));
        assert_eq!(prompt.out, late.out);
    });
}

#[test]
fn a_clock_that_jumps_harms_nothing() {
    every_kind(|kind, spec, draws| {
        let mut rig = Rig::new(&plan([spec.clone()]));
        for _ in 0..20 {
            rig.push(1 + draws.below(3000) as usize);
            rig.leap_to(Time::from_nanos(draws.below(3_000_000_000)));
        }
        rig.fin();
        rig.leap_to(Time::ZERO);
        rig.leap_to(Time::from_nanos(u64::MAX - 1));
        rig.leap_to(Time::from_nanos(5));
        rig.update(&Plan::empty());
        check_content(kind, &rig);
        assert!(!rig.ends().is_empty());
    });
}

#[test]
fn an_update_keeps_what_is_held() {
    every_kind(|kind, spec, draws| {
        let mut plan = plan([spec.clone()]);
        let mut rig = Rig::new(&plan);
        for _ in 0..8 {
            traffic(&mut rig, draws);
            let attributes = Value::Object(sample::attributes(kind, draws));
            // Some of the old ones may not go with some of the new ones.
            let Value::Object(changes) = &attributes else { unreachable!() };
            if plan.entries()[0].spec.with_attributes(changes).is_ok() {
                plan = updated(&plan, 0, attributes);
                rig.update(&plan);
            }
        }
        check_content(kind, &rig);
        rig.fin();
        rig.update(&Plan::empty());
        check_content(kind, &rig);
        assert_eq!(rig.pipe.held_bytes(), 0);
    });
}

/// A mistake can be taken back: settings that hold nothing free what is held.
#[test]
fn an_update_never_makes_what_is_held_leave_later() {
    every_kind(|kind, spec, draws| {
        let attributes = Value::Object(sample::attributes(kind, draws));
        let Value::Object(changes) = &attributes else { unreachable!() };
        if spec.with_attributes(changes).is_err() {
            return;
        }
        // Two plans: what connections of one proxy share must not meet here.
        let (before, same) = (plan([spec.clone()]), plan([spec.clone()]));
        let (mut old, mut new) = (Rig::new(&same), Rig::new(&before));
        for rig in [&mut old, &mut new] {
            rig.push(1);
        }
        new.update(&updated(&before, 0, attributes));
        for rig in [&mut old, &mut new] {
            rig.run_out();
        }
        let left = |rig: &Rig| rig.departures().first().map(|(at, _)| *at);
        if let (Some(old), Some(new)) = (left(&old), left(&new)) {
            assert!(new <= old, "{new:?} after {old:?}");
        }
    });
}

#[test]
fn a_source_that_heeds_the_appetite_stays_within_the_budget() {
    every_kind(|_, spec, draws| {
        let budget = 30_000;
        let mut rig = Rig::new(&plan([spec.clone()]));
        rig.pipe.set_budget(budget);
        for _ in 0..60 {
            let appetite = rig.pipe.appetite();
            if appetite == 0 {
                match rig.pipe.next_wake() {
                    Some(wake) => rig.run_until(wake),
                    None => break,
                }
                continue;
            }
            let count = appetite.min(1 + draws.below(8_000) as usize);
            rig.push(count);
            assert!(rig.pipe.appetite() <= appetite.max(budget - rig.pipe.held_bytes()));
            assert!(rig.pipe.held_bytes() <= budget);
        }
    });
}

/// A connection on which a toxic acts only within a window gets all back after.
#[test]
fn a_window_that_closes_lets_go() {
    every_kind(|kind, spec, draws| {
        let mut spec = spec.clone();
        spec.when = serde_json::from_value(json!({"start_after": 5, "duration": 20})).unwrap();
        let mut rig = Rig::new(&plan([spec]));
        rig.push(1000);
        assert_eq!(rig.left, 1000, "acted before its time");
        rig.run_until(at_ms(6.0));
        for _ in 0..5 {
            rig.push(1 + draws.below(5000) as usize);
        }
        rig.run_until(at_ms(26.0));
        assert_eq!(rig.pipe.held_bytes(), 0, "holds after its time");
        check_content(kind, &rig);
        if rig.ends().is_empty() {
            let left = rig.left;
            rig.push(1000);
            assert_eq!(rig.left, left + 1000, "acts after its time");
        }
    });
}

/// The same seed and schedule make the same decisions; another seed is free not to.
#[test]
fn the_same_seed_repeats_the_run() {
    every_kind(|_, spec, draws| {
        let lengths: Vec<usize> = (0..9).map(|_| 1 + draws.below(4000) as usize).collect();
        let run = || {
            let mut rig = Rig::new(&plan([spec.clone()]));
            rig.push_cut(12_000, &lengths);
            rig.run_until(at_ms(100_000.0));
            rig.out
        };
        assert_eq!(run(), run());
    });
}
