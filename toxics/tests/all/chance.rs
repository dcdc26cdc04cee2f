//! Chance: the values are pinned, the shares are as asked.

use sabot_toxics::distribution::Distribution;
use sabot_toxics::units::Millis;
use sabot_toxics::{Direction, Entry, Seed, Time, kinds, percentiles};
use serde_json::json;

use crate::support::{MS, Rig, entry, key, plan, stream, toxic};

/// A new version of a generator that gives other values would make every seed
/// that somebody wrote down worthless.
#[test]
fn the_seed_tree_is_golden() {
    let seed = Seed::new(42);
    let leaf = seed.split("redis").split_n(3).split("downstream").split("latency_downstream");
    let seen = [
        format!("{seed:?}"),
        format!("{:?}", seed.split("redis")),
        format!("{:?}", seed.split_n(3)),
        format!("{leaf:?}"),
        format!("{:.15}", leaf.at(0).unit()),
        format!("{:.15}", leaf.at(1448).unit()),
        format!("{:.15}", leaf.at(u64::MAX).unit()),
        format!("{}", leaf.at(7).below(1_000_000)),
    ];
    assert_eq!(seen, GOLDEN);
}

const GOLDEN: [&str; 8] = [
    "Seed(fae624a6…)",
    "Seed(845325bb…)",
    "Seed(dd399def…)",
    "Seed(5bc950fe…)",
    "0.979421688194116",
    "0.078082619544379",
    "0.597904059399774",
    "770545",
];

#[test]
fn branches_do_not_collide() {
    let seed = Seed::new(1);
    assert_ne!(seed.split("3"), seed.split_n(3));
    assert_ne!(seed.split("a").split("b"), seed.split("ab"));
    assert_ne!(seed.split("a").split("b"), seed.split("b").split("a"));
}

#[test]
fn draws_at_one_place_are_the_same_and_elsewhere_others() {
    let seed = Seed::new(5).split("x");
    assert_eq!(seed.at(9).unit(), seed.at(9).unit());
    let values: Vec<_> = (0..1000).map(|offset| (seed.at(offset).unit() * 1e9) as u64).collect();
    let distinct: std::collections::BTreeSet<_> = values.iter().collect();
    assert_eq!(distinct.len(), values.len());
}

#[test]
fn toxicity_is_the_share_of_connections_and_survives_updates() {
    let spec = |toxicity: f64, latency: u64| {
        let mut spec = toxic("latency", json!({"latency": latency}));
        spec.toxicity = toxicity;
        spec
    };
    let drawn = |entry: &Entry| (1..=10_000).filter(|n| entry.drawn(&key(*n))).collect::<Vec<_>>();
    let third = entry(spec(0.3, 5), 1);
    let of_third = drawn(&third);
    assert!((2_850..3_150).contains(&of_third.len()), "{}", of_third.len());
    assert_eq!(drawn(&third.with_update(spec(0.3, 500)).unwrap()), of_third);
    // A raised share keeps those that were drawn.
    let of_half = drawn(&third.with_update(spec(0.5, 5)).unwrap());
    assert!(of_third.iter().all(|n| of_half.contains(n)));
    assert!(drawn(&entry(spec(0.0, 5), 1)).is_empty());
    assert_eq!(drawn(&entry(spec(1.0, 5), 1)).len(), 10_000);
}

#[test]
fn another_toxic_moves_nobodys_draws() {
    let jitter = || toxic("latency", json!({"latency": 50, "jitter": 50}));
    let alone = plan([jitter()]);
    let beside = plan([jitter(), toxic("noop", json!({}))]);
    let moments = |plan| {
        let mut rig = Rig::new(plan);
        rig.push_cut(1000, &[10]);
        rig.run_out();
        rig.departures()
    };
    assert_eq!(moments(&alone), moments(&beside));
}

/// Mean, standard deviation, skewness of `count` values.
fn moments(values: &[f64]) -> [f64; 3] {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let moment = |power| values.iter().map(|value| (value - mean).powi(power)).sum::<f64>() / count;
    let deviation = moment(2).sqrt();
    [mean, deviation, moment(3) / deviation.powi(3)]
}

/// Against the moments of the tables that iproute2's generators make: 4096
/// quantiles each, so ours are taken at the same places.
#[test]
fn distributions_have_the_moments_of_netems_tables() {
    let table = |shape: Distribution| {
        let values: Vec<_> = (0..4096).map(|n| shape.at((f64::from(n) + 0.5) / 4096.0)).collect();
        moments(&values)
    };
    let near = |shape, expected: [f64; 3]| {
        for (seen, expected) in table(shape).into_iter().zip(expected) {
            assert!(
                (seen - expected).abs() < 0.02 + expected.abs() * 0.02,
                "{shape:?}: {seen} for {expected}"
            );
        }
    };
    near(Distribution::Uniform, [0.0, 1.0 / 3.0_f64.sqrt(), 0.0]);
    near(Distribution::Normal, [0.0, 1.0, 0.0]);
    let [mean, deviation, skew] = table(Distribution::Exponential);
    assert!(mean.abs() < 0.03 && (0.9..1.01).contains(&deviation) && skew > 1.3, "{mean} {deviation} {skew}");
    for shape in [Distribution::Pareto, Distribution::ParetoNormal] {
        let [mean, deviation, skew] = table(shape);
        assert!(
            mean.abs() < 0.1 && (0.5..1.2).contains(&deviation) && skew > 1.0,
            "{shape:?} {mean} {deviation} {skew}"
        );
    }
}

/// The value below which that share of `values` lies.
fn quantile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() as f64 * share) as usize]
}

#[test]
fn lognormal_is_given_by_its_median_and_99th_percentile() {
    for correlation in [0.0, 0.7] {
        let attributes =
            json!({"latency": 200, "jitter": 300, "distribution": "lognormal", "correlation": correlation});
        let mut values = delays(attributes, 12_000);
        let [p50, p99] = [0.5, 0.99].map(|share| quantile(&mut values, share));
        // The 99th percentile of so many draws has a standard error of 1.5 % of itself, three times
        // as much where neighbours correlate.
        let wide = if correlation > 0.0 { 3.0 } else { 1.0 };
        assert!((p50 / 200.0 - 1.0).abs() < 0.02 * wide, "{correlation}: p50 {p50}");
        assert!((p99 / 500.0 - 1.0).abs() < 0.05 * wide, "{correlation}: p99 {p99}");
        assert!(values[0] > 0.0);
    }
}

#[test]
fn percentiles_of_every_kind_with_a_delay_that_varies() {
    let takes: Vec<_> = kinds().iter().filter(|kind| kind.attributes().contains(&"distribution")).collect();
    assert!(takes.len() >= 5, "{takes:?}");
    for kind in kinds() {
        let [p50, p99] = [200, 500].map(|ms| Millis::new(ms).get());
        let fitted = percentiles(kind, p50, p99);
        assert_eq!(fitted.is_some(), takes.contains(&kind), "{}", kind.name);
        let Some(fitted) = fitted else { continue };
        let delay = if kind.name == "latency" { "latency" } else { "delay" };
        let expected = json!({delay: 200, "jitter": 300, "distribution": "lognormal"});
        assert_eq!(json!(fitted), expected, "{}", kind.name);
        kind.parse(&fitted).unwrap();
        for p99 in [p50, p50 / 2] {
            assert_eq!(json!(percentiles(kind, p50, p99)), json!({delay: 200}), "{}", kind.name);
        }
        let refused = kind.parse(&percentiles(kind, std::time::Duration::ZERO, p99).unwrap()).err().unwrap();
        assert_eq!(refused.field, delay, "{}", kind.name);
        let constant = json!({"distribution": "lognormal"});
        kind.parse(constant.as_object().unwrap()).unwrap();
    }
    let fine = percentiles(sabot_toxics::kind("latency").unwrap(), MS / 4, MS).unwrap();
    assert_eq!(json!(fine), json!({"latency": 0.25, "jitter": 0.75, "distribution": "lognormal"}));
}

/// The delays (ms) that `latency` gives to so many chunks, none of which waits for another.
fn delays(attributes: serde_json::Value, count: usize) -> Vec<f64> {
    let mut rig = Rig::new(&plan([toxic("latency", attributes)]));
    let one = |_| {
        let arrived = rig.now;
        rig.push(1);
        rig.run_for(std::time::Duration::from_secs(5));
        let (left, _) = rig.out.pop().unwrap();
        left.saturating_since(arrived).as_secs_f64() * 1e3
    };
    (0..count).map(one).collect()
}

#[test]
fn correlated_jitter_keeps_its_spread() {
    let neighbours = |values: &[f64]| {
        let [mean, deviation, _] = moments(values);
        let pairs = values.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean));
        pairs.sum::<f64>() / (values.len() - 1) as f64 / deviation.powi(2)
    };
    for correlation in [0.0, 0.5, 0.9] {
        let attributes =
            json!({"latency": 1000, "jitter": 100, "distribution": "normal", "correlation": correlation});
        let values = delays(attributes, 4000);
        let [mean, deviation, _] = moments(&values);
        assert!((980.0..1020.0).contains(&mean), "{correlation}: {mean}");
        assert!((85.0..115.0).contains(&deviation), "{correlation}: {deviation}");
        let seen = neighbours(&values);
        assert!((seen - correlation).abs() < 0.06, "{correlation}: {seen}");
    }
}

/// Which of `count` single-byte chunks are lost.
fn losses(attributes: serde_json::Value, count: usize) -> Vec<bool> {
    let mut rig = Rig::new(&plan([toxic("packet_loss", attributes)]));
    let lost = |_| {
        let before = rig.left;
        rig.push(1);
        rig.left == before
    };
    (0..count).map(lost).collect()
}

#[test]
fn packet_loss_loses_the_share_asked_for_however_it_correlates() {
    let share = |lost: &[bool]| lost.iter().filter(|lost| **lost).count() as f64 / lost.len() as f64;
    let after_loss = |lost: &[bool]| {
        let after: Vec<_> = lost.windows(2).filter(|pair| pair[0]).map(|pair| pair[1]).collect();
        share(&after)
    };
    let independent = losses(json!({}), 20_000);
    assert!((0.09..0.11).contains(&share(&independent)));
    assert!((0.07..0.13).contains(&after_loss(&independent)));
    let bursty = losses(json!({"loss_rate": 0.1, "correlation": 0.9}), 20_000);
    assert!((0.08..0.12).contains(&share(&bursty)), "{}", share(&bursty));
    assert!(after_loss(&bursty) > 0.4, "{}", after_loss(&bursty));
    assert!(losses(json!({"loss_rate": 1}), 100).iter().all(|lost| *lost));
    assert!(!losses(json!({"loss_rate": 0}), 100).contains(&true));
}

#[test]
fn corruption_is_the_share_asked_for_and_belongs_to_offsets() {
    let run = |attributes: serde_json::Value, cut: &[usize]| {
        let mut rig = Rig::new(&plan([toxic("corrupt", attributes)]));
        rig.push_cut(400_000, cut);
        rig.bytes()
    };
    let sent = stream(0..400_000);
    for (probability, bits) in [(0.0, 1), (0.0005, 1), (0.05, 3), (1.0, 8)] {
        let attributes = json!({"probability": probability, "bits": bits});
        let seen = run(attributes.clone(), &[65_536]);
        let flips: Vec<u32> = seen.iter().zip(&sent).map(|(a, b)| (a ^ b).count_ones()).collect();
        let hit = flips.iter().filter(|flips| **flips > 0).count() as f64 / 400_000.0;
        assert!((hit - probability).abs() <= 0.2 * probability, "{probability}: {hit}");
        assert!(flips.iter().all(|flips| *flips == 0 || *flips == bits));
        assert_eq!(run(attributes, &[1, 4095, 77, 5000]), seen);
    }
}

#[test]
fn corruption_does_not_hang_on_where_it_began() {
    let plan = plan([toxic("corrupt", json!({"probability": 0.1}))]);
    let mut whole = Rig::new(&plan);
    whole.push_cut(20_000, &[1000]);
    let mut late = Rig::new(&sabot_toxics::Plan::empty());
    late.push(10_000);
    late.update(&plan);
    late.push_cut(10_000, &[333]);
    assert_eq!(whole.bytes()[10_000..], late.bytes()[10_000..]);
}

/// The offsets of a stage count what came to it, not what came to the pipeline.
#[test]
fn a_toxic_added_behind_one_that_holds_knows_its_offset() {
    let (slow, hit) =
        (toxic("latency", json!({"latency": 10})), toxic("corrupt", json!({"probability": 0.1})));
    let both = plan([slow.clone(), hit]);
    let run = |first: &sabot_toxics::Plan| {
        let mut rig = Rig::new(first);
        rig.push(5000);
        rig.run_for(5 * MS);
        rig.push(5000);
        rig.run_for(7 * MS);
        assert_eq!(rig.left, 5000);
        rig.update(&both);
        rig.run_out();
        rig.bytes()
    };
    let only_slow = sabot_toxics::Plan::new(both.entries()[..1].to_vec());
    let (late, whole) = (run(&only_slow), run(&both));
    assert_eq!(late[..5000], stream(0..5000), "corrupted before its time");
    assert_eq!(late[5000..], whole[5000..]);
}

#[test]
fn directions_and_connections_draw_apart() {
    let toxic = || Entry::new(toxic("latency", json!({})), 1, Time::ZERO, 1).unwrap();
    let (set, injected) = (toxic(), toxic().owned_by("inj-1"));
    let seed = |n, direction| set.seed(&key(n), direction);
    assert_ne!(seed(1, Direction::Upstream), seed(1, Direction::Downstream));
    assert_ne!(seed(1, Direction::Upstream), seed(2, Direction::Upstream));
    // The same name in the other layer, whatever the injection is called.
    let of = |entry: &Entry| entry.seed(&key(1), Direction::Upstream);
    assert_ne!(of(&injected), of(&set));
    assert_eq!(of(&injected), of(&toxic().owned_by("inj-2")));
}
