//! Two runs for the tests of reports, made by the real series, judge and numbers: one experiment on a
//! shop whose payments answer 200 ms later, with its mitigations off (it cascades) and on (it holds).
//!
//! The same records stand in `tests/report/` for the tests with a browser and with the program.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use std::time::Duration;

use sabot_toxics::Seed;
use serde_json::{Value, json};

use crate::judge::{Observed, Phases, Samples, Slos, Verdict, judge};
use crate::load::summary::{EndpointPart, NamedPart, Part, Quantiles};
use crate::load::{Class, Summary};
use crate::outcome::{Fate, Outcome};
use crate::record::{FORMAT, FarSide, FaultRecord, Record, Versions, numbers};
use crate::series::{Latencies, Series, Tally};
use crate::slo::Names;

const PHASES: Phases = Phases { baseline_s: 5, fault_s: 35, recovery_s: 75, end_s: 120 };
const SEED: u64 = 7;
/// Endpoints with their requests a second and their usual latency in milliseconds.
const ENDPOINTS: [(&str, Class, u64, f64); 3] = [
    ("GET /orders/{id}", Class::Read, 48, 6.0),
    ("GET /orders", Class::Read, 16, 11.0),
    ("POST /orders", Class::Write, 16, 24.0),
];
const TENANTS: [&str; 3] = ["acme", "globex", "initech"];

static OFF: LazyLock<Record> = LazyLock::new(make_off);
static ON: LazyLock<Record> = LazyLock::new(make_on);

/// Mitigations off: it cascades, and takes a while to come back.
pub(crate) fn off() -> Record {
    OFF.clone()
}

/// Mitigations on: orders are taken as pending.
pub(crate) fn on() -> Record {
    ON.clone()
}

fn make_off() -> Record {
    let series = series(|second, endpoint| match (second, endpoint) {
        (35..78, 2) => Like { times: 14.0, failing: 0.28 },
        // The threads that wait for payments are missing elsewhere.
        (39..80, _) => Like { times: 55.0, failing: 0.06 },
        (80..82, _) => Like { times: 8.0, failing: 0.0 },
        _ => GOOD,
    });
    record("mitigations off", &series, 3.1)
}

fn make_on() -> Record {
    let series = series(|second, endpoint| match (second, endpoint) {
        (35..37, 2) => Like { times: 3.0, failing: 0.0 },
        (37..75, 2) => Like { times: 1.4, failing: 0.0 },
        _ => GOOD,
    });
    record("mitigations on", &series, 0.2)
}

#[derive(Clone, Copy)]
struct Like {
    times: f64,
    failing: f64,
}

const GOOD: Like = Like { times: 1.0, failing: 0.0 };

fn series(like: impl Fn(u64, u16) -> Like) -> Series {
    let mut series = Series::default();
    for second in 0..PHASES.end_s {
        for (endpoint, (_, _, count, usual_ms)) in (0u16..).zip(ENDPOINTS) {
            let like = like(second, endpoint);
            for n in 0..count {
                let mut draws = Seed::new(SEED).split_n(u64::from(endpoint)).at(second * 1000 + n);
                // Latencies are log-normal, near enough: the sum of a few draws is normal.
                let normal: f64 = (0..6).map(|_| draws.unit() - 0.5).sum::<f64>() * 1.4;
                let ms = usual_ms * like.times * (normal * 0.4).exp();
                let fate = match draws.unit() {
                    u if u < like.failing * 0.6 => Fate::Timeout,
                    u if u < like.failing * 0.9 => Fate::Refused,
                    u if u < like.failing => Fate::Dropped,
                    _ => Fate::Ok,
                };
                let intended = Duration::from_secs(second) + Duration::from_micros(n * 1_000_000 / count);
                let took = if fate == Fate::Timeout { 2000.0 } else { ms };
                series.record(&Outcome {
                    intended,
                    sent: (fate != Fate::Dropped).then_some(intended),
                    done: intended + Duration::from_secs_f64(took / 1e3),
                    endpoint,
                    tenant: draws.below(TENANTS.len() as u64) as u16,
                    fate,
                });
            }
        }
    }
    series
}

pub(crate) fn names() -> Names {
    Names {
        endpoints: ENDPOINTS.map(|(name, class, ..)| (name.to_owned(), class)).to_vec(),
        tenants: TENANTS.map(str::to_owned).to_vec(),
    }
}

fn slos() -> Slos {
    let all = [
        "reads p99 < 100ms",
        "POST /orders p99 < 250ms",
        "all error_rate < 1%",
        "each tenant availability >= 99%",
    ];
    let all: Vec<_> = all.iter().map(|text| text.parse().unwrap()).collect();
    let mut fault = all.clone();
    fault.push("replica_lag < 5".parse().unwrap());
    Slos { steady: all, after: fault.clone(), fault, blast_radius: Some(vec!["POST /orders".into()]) }
}

fn record(variant: &str, series: &Series, lag: f64) -> Record {
    let names = names();
    let sampled = |at: u64| (at % 7 != 3).then(|| if (35..75).contains(&at) { lag } else { 0.2 });
    let samples: Vec<_> = (0..PHASES.end_s).map(|at| (at, sampled(at))).collect();
    let values = samples.iter().map(|(_, value)| *value).collect();
    let slis = BTreeMap::from([("replica_lag".to_owned(), Samples(samples))]);
    let observed = Observed { names: &names, series, slis: &slis, phases: &PHASES };
    let mut judgement = judge(&observed, &slos(), None, &[], 10);
    judgement
        .warnings
        .push("The load's own lateness had a p99 of 1.2 ms: percentiles below that say little.".into());
    let retried = if variant == "mitigations off" { 2.6 } else { 1.1 };
    let record = Record {
        format: FORMAT,
        id: if retried > 2.0 { "20261121-091502-k3v" } else { "20261121-091802-p9w" }.into(),
        title: "Payments answer 200 ms later".into(),
        hypothesis: "Orders are taken as pending while payments are slow; reads notice nothing.".into(),
        variant: Some(variant.into()),
        started_at: if retried > 2.0 { "2026-11-21T09:15:02Z" } else { "2026-11-21T09:18:02Z" }.into(),
        command: format!("sabot run experiments/payments-latency.yaml --variant '{variant}' --seed {SEED}"),
        versions: Versions { runner: "0.1.0".into(), server: Some("0.1.0".into()) },
        phases: PHASES,
        faults: vec![fault()],
        load: summary(series, &names),
        parts: numbers::parts(series, &names, &PHASES),
        far_side: vec![
            FarSide {
                proxy: "payments".into(),
                baseline_per_s: 16.0,
                fault_per_s: 16.0 * retried,
                recovery_per_s: 17.2,
            },
            FarSide { proxy: "orders".into(), baseline_per_s: 80.0, fault_per_s: 80.4, recovery_per_s: 80.0 },
        ],
        slis: BTreeMap::from([("replica_lag".to_owned(), values)]),
        timeline: numbers::timeline(series, PHASES.end_s, |_| true),
        endpoints: numbers::endpoints(series, &names, PHASES.end_s),
        heat_map: numbers::heat_map(series, PHASES.end_s),
        judgement,
        expect: (retried > 2.0).then_some(Verdict::Failed),
    };
    // serde_json reads numbers of more digits to the last bit but one.
    let mut json = serde_json::to_value(&record).unwrap();
    round(&mut json);
    serde_json::from_value(json).unwrap()
}

/// Every number to nine digits.
fn round(json: &mut Value) {
    match json {
        Value::Array(list) => list.iter_mut().for_each(round),
        Value::Object(map) => map.values_mut().for_each(round),
        Value::Number(number) if number.is_f64() => {
            let value = number.as_f64().unwrap();
            *json = format!("{value:.8e}").parse::<f64>().unwrap().into();
        }
        _ => {}
    }
}

fn fault() -> FaultRecord {
    let attributes = json!({"latency": 200.0, "jitter": 20.0, "distribution": "normal"});
    FaultRecord {
        proxy: "payments".into(),
        name: "slow_payments".into(),
        kind: "latency".into(),
        stream: "downstream".into(),
        toxicity: 1.0,
        attributes: attributes.as_object().unwrap().clone(),
        started_s: Some(35.012),
        stopped_s: Some(75.004),
        applied: 412,
    }
}

fn summary(series: &Series, names: &Names) -> Summary {
    let length = PHASES.end_s as f64;
    let of = |endpoint: Option<u16>, tenant: Option<u16>| {
        series.tally(0..PHASES.end_s, |e, t| {
            endpoint.is_none_or(|only| only == e) && tenant.is_none_or(|only| only == t)
        })
    };
    let codes = |tally: &Tally| {
        BTreeMap::from([
            ("200".to_owned(), tally.count(Fate::Ok)),
            ("503".to_owned(), tally.count(Fate::Refused)),
        ])
    };
    let total = of(None, None);
    Summary {
        seed: SEED,
        duration_s: length,
        stopped: false,
        workers: 2,
        total: part(&total, length),
        endpoints: (0u16..)
            .zip(&names.endpoints)
            .map(|(at, (name, class))| {
                let tally = of(Some(at), None);
                EndpointPart {
                    name: name.clone(),
                    class: *class,
                    part: part(&tally, length),
                    codes: codes(&tally),
                }
            })
            .collect(),
        tenants: (0u16..)
            .zip(&names.tenants)
            .map(|(at, name)| NamedPart { name: name.clone(), part: part(&of(None, Some(at)), length) })
            .collect(),
        lateness: Some(Quantiles { mean: 0.08, p50: 0.05, p90: 0.14, p99: 1.2, p999: 2.4, max: 3.9 }),
        codes: codes(&total),
        causes: BTreeMap::from([("127.0.0.1:8081 refused it".to_owned(), 3)]),
        connections_opened: 38,
        resent: 1,
        in_flight_max: 57,
    }
}

fn part(tally: &Tally, length: f64) -> Part {
    let quantiles = |latencies: &Latencies| {
        let at = |q| Some(latencies.quantile(q)?.as_secs_f64() * 1e3);
        let mean = latencies.mean()?.as_secs_f64() * 1e3;
        Some(Quantiles {
            mean,
            p50: at(0.5)?,
            p90: at(0.9)?,
            p99: at(0.99)?,
            p999: at(0.999)?,
            max: at(1.0)?,
        })
    };
    let fates = Fate::ALL.into_iter().map(|fate| (fate.name().to_owned(), tally.count(fate)));
    Part {
        offered: tally.offered(),
        offered_per_s: tally.offered() as f64 / length,
        effective_per_s: tally.count(Fate::Ok) as f64 / length,
        error_rate: tally.errors() as f64 / tally.offered() as f64,
        fates: fates.filter(|(_, count)| *count > 0).collect(),
        latency_ms: quantiles(&tally.ok),
        latency_all_ms: quantiles(&tally.all()),
    }
}

/// Compares with what is committed in `tests/report/`; `SABOT_BLESS=1` writes it anew.
pub(crate) fn golden(name: &str, text: &str) {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/report/golden").join(name);
    if std::env::var_os("SABOT_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == text, "{name} is not current; SABOT_BLESS=1 rewrites it. It would be:\n{text}");
}

#[test]
fn the_runs_are_what_their_story_says() {
    let (off, on) = (off(), on());
    assert_eq!(off.judgement.verdict, Verdict::Failed, "{:#?}", off.judgement);
    assert_eq!(on.judgement.verdict, Verdict::Held, "{:#?}", on.judgement);
    assert!(off.as_expected() && on.as_expected());
    assert!(off.judgement.mttr_s.is_some_and(|mttr_s| mttr_s > 0.0), "{:?}", off.judgement.mttr_s);
}

/// Also what keeps records of earlier versions readable: these files are read by other tests.
#[test]
fn the_committed_records_are_generated() {
    for (name, record) in [("off.json", off()), ("on.json", on())] {
        golden(name, &(serde_json::to_string(&record).unwrap() + "\n"));
    }
}
