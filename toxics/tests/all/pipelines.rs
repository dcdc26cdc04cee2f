//! Whole chains under random plans, chunks, windows and changes.

use proptest::prelude::*;
use sabot_toxics::{Changes, End, Plan, Seed};
use serde_json::Value;

use crate::support::{MS, Rig, entry, sample, stream};

#[derive(Clone, Debug)]
enum Step {
    Push(usize),
    Wait(f64),
    Leap(f64),
    Add(u64),
    Remove(usize),
    Update(usize, u64),
    End(End),
}

fn step() -> impl Strategy<Value = Step> {
    let end = prop_oneof![8 => Just(End::Fin), 1 => Just(End::Close), 1 => Just(End::Reset)];
    prop_oneof![
        6 => (1usize..6000).prop_map(Step::Push),
        4 => (0.0f64..80.0).prop_map(Step::Wait),
        1 => (0.0f64..5000.0).prop_map(Step::Leap),
        2 => any::<u64>().prop_map(Step::Add),
        1 => (0usize..6).prop_map(Step::Remove),
        2 => ((0usize..6), any::<u64>()).prop_map(|(index, seed)| Step::Update(index, seed)),
        1 => end.prop_map(Step::End),
    ]
}

/// A plan that changes, as a controller would change it.
#[derive(Default)]
struct Changing {
    plan: Plan,
    next_id: u64,
    /// The weakest promise of all toxics there ever were.
    loses: bool,
    content: bool,
}

impl Changing {
    fn add(&mut self, seed: u64) {
        let mut draws = Seed::new(seed).at(0);
        let mut spec = sample::any_toxic(&mut draws);
        spec.when = serde_json::from_value(sample::any_when(&mut draws)).unwrap();
        spec.toxicity = *sample::pick(&mut draws, &[1.0, 1.0, 0.5]);
        self.loses |= spec.kind.changes == Changes::Loses;
        self.content |= spec.kind.changes == Changes::Content;
        self.next_id += 1;
        spec.name = format!("toxic {}", self.next_id);
        let mut entries = self.plan.entries().to_vec();
        entries.push(entry(spec, self.next_id));
        self.plan = Plan::new(entries);
    }

    fn remove(&mut self, index: usize) {
        let mut entries = self.plan.entries().to_vec();
        if index < entries.len() {
            entries.remove(index);
        }
        self.plan = Plan::new(entries);
    }

    fn update(&mut self, index: usize, seed: u64) {
        let mut entries = self.plan.entries().to_vec();
        let Some(old) = entries.get(index).cloned() else { return };
        let mut draws = Seed::new(seed).at(0);
        let attributes = sample::attributes(old.spec.kind, &mut draws);
        let Ok(mut spec) = old.spec.with_attributes(&attributes) else { return };
        if draws.chance(0.3) {
            spec.when = serde_json::from_value(sample::any_when(&mut draws)).unwrap();
        }
        if draws.chance(0.2) {
            spec.toxicity = draws.unit();
        }
        entries[index] = old.with_update(spec).unwrap().into();
        self.plan = Plan::new(entries);
    }
}

fn check(rig: &Rig, changing: &Changing) {
    if changing.loses {
        return;
    }
    let sent = stream(0..rig.pushed);
    assert!(rig.left <= rig.pushed);
    if !changing.content {
        assert!(sent.starts_with(&rig.bytes()), "bytes changed or out of order");
    }
}

/// Once all is out: only a toxic that gave the connection up may have dropped, and
/// then the connection ended by that.
fn check_drops(rig: &Rig, changing: &Changing) {
    let given_up = rig.ends().iter().any(|(_, end)| *end != End::Fin);
    if !changing.loses && !given_up {
        assert_eq!(rig.pipe.dropped_bytes(), 0, "dropped by toxics that lose nothing");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, failure_persistence: None, ..ProptestConfig::default() })]

    /// Conservation and one end are checked by the rig at every step.
    #[test]
    fn chains_lose_nothing_undeclared(
        toxics in prop::collection::vec(any::<u64>(), 0..5),
        steps in prop::collection::vec(step(), 1..40),
    ) {
        let mut changing = Changing::default();
        toxics.into_iter().for_each(|seed| changing.add(seed));
        let mut rig = Rig::new(&changing.plan);
        let mut ended = false;
        for step in steps {
            match step {
                Step::Push(count) if !ended => rig.push(count),
                Step::Push(_) => {}
                Step::Wait(ms) => rig.run_for(MS.mul_f64(ms)),
                Step::Leap(ms) => rig.leap_to(rig.now + MS.mul_f64(ms)),
                Step::Add(seed) => changing.add(seed),
                Step::Remove(index) => changing.remove(index),
                Step::Update(index, seed) => changing.update(index, seed),
                Step::End(end) => {
                    ended = true;
                    rig.end(end);
                }
            }
            rig.update(&changing.plan);
            check(&rig, &changing);
        }
        rig.fin();
        rig.update(&Plan::empty());
        check(&rig, &changing);
        check_drops(&rig, &changing);
        prop_assert!(rig.pipe.is_transparent());
        prop_assert_eq!(rig.pipe.held_bytes(), 0);
        prop_assert!(!rig.ends().is_empty());
    }

    /// A chain that loses and changes nothing gives the bytes as they came,
    /// however they were cut and whenever somebody looked.
    #[test]
    fn chains_do_not_care_how_reads_end(
        seeds in prop::collection::vec(any::<u64>(), 1..4),
        cut in prop::collection::vec(1usize..3000, 1..6),
    ) {
        let run = |cut: &[usize]| {
            let mut changing = Changing::default();
            for seed in &seeds {
                changing.add(*seed);
            }
            let mut rig = Rig::new(&changing.plan);
            rig.push_cut(6000, cut);
            rig.fin();
            rig.run_for(100_000 * MS);
            rig.update(&Plan::empty());
            let lossy = changing.loses || rig.ends().iter().any(|(_, end)| *end != End::Fin);
            // A delay is drawn per chunk, and moves bytes into or out of the window of
            // a corruption behind it.
            let mut bytes = rig.bytes();
            if changing.content && seeds.len() > 1 {
                bytes.fill(0);
            }
            (bytes, lossy)
        };
        let (whole, cut) = (run(&[6000]), run(&cut));
        if !whole.1 && !cut.1 {
            prop_assert!(whole.0 == cut.0, "{} and {} bytes, or others", whole.0.len(), cut.0.len());
        }
    }

    /// Any object whatever is either a toxic or a refusal, and what was taken
    /// survives being written and read again.
    #[test]
    fn specs_are_total(kind in "[a-z_]{0,9}|latency|slicer|stall|bandwidth", value in any::<f64>(), text in ".{0,8}") {
        for attributes in [
            serde_json::json!({"latency": value}),
            serde_json::json!({"rate": text.clone()}),
            serde_json::json!({"average_size": value, "size_variation": value}),
            Value::Null,
        ] {
            let json = serde_json::json!({"type": kind, "toxicity": value, "attributes": attributes});
            if let Ok(spec) = serde_json::from_value::<sabot_toxics::ToxicSpec>(json) {
                let again = serde_json::to_value(&spec).unwrap();
                prop_assert_eq!(serde_json::from_value::<sabot_toxics::ToxicSpec>(again).unwrap(), spec);
            }
        }
    }
}
