//! Which pictures a record gives, and what each says in words.

use super::{Axis, Chart, Line, Scale};
use crate::judge::{Judgement, Phase, Phases};
use crate::record::{Record, Timeline};
use crate::report::text;
use crate::slo::{Endpoints, Indicator, Names, Slo};

/// A long run is drawn in steps of several seconds: more points than pixels tell nothing.
const MOST_POINTS: u64 = 600;

const FULL: (f64, f64) = (960.0, 250.0);
const HALF: (f64, f64) = (470.0, 200.0);
const SINCE_START: &str = "seconds since the load began";

/// How many seconds a point stands for.
pub(super) fn width(phases: &Phases) -> usize {
    phases.end_s.div_ceil(MOST_POINTS).max(1) as usize
}

/// Latency percentiles of all requests, the fault and the objectives.
pub(in crate::report) fn latency(record: &Record) -> Chart {
    let lines = percentiles(&record.timeline, &record.phases);
    let mut levels = levels(record, |slo| slo.scope.endpoints == Endpoints::All);
    if levels.is_empty() {
        levels =
            self::levels(record, |slo| matches!(slo.scope.endpoints, Endpoints::Reads | Endpoints::Writes));
    }
    let alt = format!("Latency percentiles of all requests, second by second. {}", told(record, None));
    latency_chart(record, "latency".into(), alt, FULL, lines, levels)
}

/// The same of one endpoint, smaller.
pub(in crate::report) fn endpoint(record: &Record, at: usize) -> Option<Chart> {
    let endpoint = record.endpoints.get(at)?;
    let lines = percentiles(&endpoint.timeline, &record.phases);
    let names = names(record);
    let index = u16::try_from(at).ok()?;
    let mut levels = levels(record, |slo| slo.scope.endpoints(&names).contains(&index));
    for (_, word) in &mut levels {
        // Whose it is goes without saying here.
        *word = word.replace("reads ", "").replace("writes ", "");
    }
    let alt = format!("Latency percentiles of this endpoint. {}", told(record, Some(&endpoint.name)));
    Some(latency_chart(record, format!("endpoint-{at}"), alt, HALF, lines, levels))
}

fn latency_chart(
    record: &Record,
    id: String,
    alt: String,
    size: (f64, f64),
    lines: Vec<Line>,
    levels: Vec<(f64, String)>,
) -> Chart {
    let values = lines.iter().flat_map(|line| &line.points).filter_map(|(_, value)| *value);
    let y = Axis::log(values.chain(levels.iter().map(|(level, _)| *level)), text::axis_millis);
    Chart { lines, levels, ..over_time(record, id, alt, size, y) }
}

/// The share of requests that were not answered as expected.
pub(in crate::report) fn errors(record: &Record) -> Chart {
    let timeline = &record.timeline;
    let width = width(&record.phases);
    let sum = |list: &[u32]| list.iter().map(|count| f64::from(*count)).sum::<f64>();
    let points = timeline.offered.chunks(width).zip(timeline.effective.chunks(width)).enumerate();
    let points = points.map(|(at, (offered, effective))| {
        let offered = sum(offered);
        (middle(at, width), (offered > 0.0).then(|| 1.0 - sum(effective) / offered))
    });
    let line = Line { colour: "errors", width: 1.8, dashed: false, filled: true, points: points.collect() };
    let levels = bounds(record, |slo| matches!(slo.indicator, Indicator::ErrorRate), text::share);
    let values = line.points.iter().filter_map(|(_, value)| *value);
    let highest = values.clone().fold(0.0, f64::max);
    let mut y = Axis::linear(values.chain(levels.iter().map(|(level, _)| *level)), 0.02, text::share);
    y.max = y.max.min(1.0);
    let alt = format!(
        "Share of requests not answered as expected, second by second; {} at the most.",
        text::share(highest)
    );
    Chart { lines: vec![line], levels, ..over_time(record, "errors".into(), alt, FULL, y) }
}

/// What the schedule called for, and what was answered as expected.
pub(in crate::report) fn rates(record: &Record) -> Chart {
    let width = width(&record.phases);
    let line = |counts: &[u32], colour, dashed, filled| {
        let rate = |counts: &[u32]| counts.iter().map(|n| f64::from(*n)).sum::<f64>() / counts.len() as f64;
        let points =
            counts.chunks(width).enumerate().map(|(at, counts)| (middle(at, width), Some(rate(counts))));
        Line { colour, width: if dashed { 1.5 } else { 2.0 }, dashed, filled, points: points.collect() }
    };
    let timeline = &record.timeline;
    let mut lines = vec![
        line(&timeline.effective, "effective", false, true),
        line(&timeline.offered, "offered", true, false),
    ];
    if timeline.dropped.iter().any(|count| *count > 0) {
        lines.push(line(&timeline.dropped, "errors", false, false));
    }
    let values = lines.iter().flat_map(|line| &line.points).filter_map(|(_, value)| *value);
    let y = Axis::linear(values, 1.0, text::rate);
    let alt = "Requests a second: what the schedule called for, what was answered as expected, and what was never sent.";
    Chart { lines, ..over_time(record, "rates".into(), alt.into(), FULL, y) }
}

/// From the removal of the fault: latency as a multiple of what it was before. None if there was no
/// baseline or no recovery to compare.
pub(in crate::report) fn recovery(record: &Record) -> Option<Chart> {
    let usual = record.part(Phase::Baseline, None)?.latency_ms?;
    let seconds = record.phases.of(Phase::Recovery);
    let (from, to) = (seconds.start as usize, seconds.end as usize);
    let of = |values: &[Option<f64>], usual: f64, colour, width| {
        let width_s = self::width(&record.phases);
        let values = values.get(from..to.min(values.len()))?;
        let points = values.chunks(width_s).enumerate();
        let points =
            points.map(|(at, values)| (middle(at, width_s), highest(values).map(|value| value / usual)));
        Some(Line { colour, width, dashed: false, filled: false, points: points.collect() })
    };
    let lines = vec![
        of(&record.timeline.p50_ms, usual.p50, "p50", 1.6)?,
        of(&record.timeline.p99_ms, usual.p99, "p99", 2.2)?,
    ];
    let length = (to - from) as f64;
    if length < 1.0 || usual.p50 <= 0.0 || usual.p99 <= 0.0 {
        return None;
    }
    let values = lines.iter().flat_map(|line| &line.points).filter_map(|(_, value)| *value);
    let times: fn(f64) -> String = |times| format!("{}×", (times * 100.0).round() / 100.0);
    let y = Axis::log(values.chain([0.8, 8.0]), times);
    let x = Axis::seconds(0.0, length, 9.0, "seconds since the fault was removed");
    let mttr = record.judgement.mttr_s.filter(|mttr_s| *mttr_s > 0.0);
    let alt = format!(
        "Latency after the fault, as a multiple of the baseline's. Time to recovery: {}.",
        text::mttr(&record.judgement)
    );
    Some(Chart {
        id: "recovery".into(),
        alt,
        width: FULL.0,
        height: 220.0,
        x,
        y,
        lines,
        windows: mttr.map(|mttr_s| (0.0, mttr_s, "out")).into_iter().collect(),
        moments: mttr.map(|mttr_s| (mttr_s, "in SLO again")).into_iter().collect(),
        levels: vec![(1.0, String::new())],
        level_colour: "axis",
    })
}

/// What a declared SLI said.
pub(in crate::report) fn sli(record: &Record, at: usize, name: &str, values: &[Option<f64>]) -> Chart {
    let width = width(&record.phases);
    let points = values.chunks(width).enumerate().map(|(at, values)| (middle(at, width), highest(values)));
    let line = Line { colour: "p99", width: 1.8, dashed: false, filled: false, points: points.collect() };
    let plain: fn(f64) -> String = |value| format!("{}", (value * 1000.0).round() / 1000.0);
    let levels = bounds(record, |slo| matches!(&slo.indicator, Indicator::Sli(of) if of == name), plain);
    let seen =
        line.points.iter().filter_map(|(_, value)| *value).chain(levels.iter().map(|(level, _)| *level));
    let lowest = seen.clone().fold(0.0, f64::min);
    let mut y = Axis::linear(seen, 1e-9, plain);
    if lowest < 0.0 {
        y.min = -(-lowest / y.step).ceil() * y.step;
    }
    let alt = "What this SLI said, second by second.".to_owned();
    Chart { lines: vec![line], levels, ..over_time(record, format!("sli-{at}"), alt, HALF, y) }
}

/// A picture over the whole run, with the fault's window.
pub(super) fn over_time(
    record: &Record,
    id: String,
    alt: String,
    (width, height): (f64, f64),
    y: Axis,
) -> Chart {
    let phases = &record.phases;
    let ticks = if width < 600.0 { 6.0 } else { 12.0 };
    let fault = phases.of(Phase::Fault);
    let (from, to) = (fault.start as f64, fault.end as f64);
    let mut moments = Vec::new();
    let mut windows = Vec::new();
    if !fault.is_empty() {
        windows.push((from, to, "fault"));
        moments.push((from, "fault on"));
        if phases.recovery_s < phases.end_s {
            moments.push((to, "fault off"));
        }
    }
    if phases.baseline_s > 0 {
        windows.push((0.0, phases.baseline_s as f64, "warm-up"));
    }
    let x = Axis::seconds(0.0, phases.end_s as f64, ticks, SINCE_START);
    Chart {
        id,
        alt,
        width,
        height,
        x,
        y,
        lines: Vec::new(),
        windows,
        moments,
        levels: Vec::new(),
        level_colour: "bound",
    }
}

/// p50, p90 and p99, from the faintest to the boldest.
fn percentiles(timeline: &Timeline, phases: &Phases) -> Vec<Line> {
    let width_s = width(phases);
    let line = |values: &[Option<f64>], colour, width| {
        let points =
            values.chunks(width_s).enumerate().map(|(at, values)| (middle(at, width_s), highest(values)));
        Line { colour, width, dashed: false, filled: false, points: points.collect() }
    };
    vec![
        line(&timeline.p50_ms, "p50", 1.5),
        line(&timeline.p90_ms, "p90", 1.6),
        line(&timeline.p99_ms, "p99", 2.2),
    ]
}

/// The bounds of percentiles among the objectives for the time of the fault; in milliseconds.
fn levels(record: &Record, of: impl Fn(&Slo) -> bool) -> Vec<(f64, String)> {
    let chosen = |slo: &Slo| matches!(slo.indicator, Indicator::Quantile(_) | Indicator::Mean) && of(slo);
    let bounds = bounds(record, chosen, |bound| text::axis_millis(bound * 1e3));
    bounds.into_iter().map(|(bound, word)| (bound * 1e3, word)).collect()
}

fn bounds(record: &Record, of: impl Fn(&Slo) -> bool, word: impl Fn(f64) -> String) -> Vec<(f64, String)> {
    let Judgement { objectives, .. } = &record.judgement;
    let mut found: Vec<(f64, String)> = Vec::new();
    for objective in objectives.iter().filter(|objective| objective.phase == Phase::Fault) {
        let Ok(slo) = objective.slo.parse::<Slo>() else { continue };
        let known = found.iter().any(|(bound, _)| *bound == slo.bound);
        if of(&slo) && !known {
            let what = match slo.indicator {
                Indicator::Quantile(q) => format!("p{} ", trimmed_percent(q)),
                Indicator::Mean => "mean ".to_owned(),
                _ => String::new(),
            };
            let whose = match slo.scope.endpoints {
                Endpoints::Reads => "reads ",
                Endpoints::Writes => "writes ",
                Endpoints::All | Endpoints::Named(_) => "",
            };
            found.push((
                slo.bound,
                format!("SLO: {whose}{what}{} {}", slo.comparison.sign(), word(slo.bound)),
            ));
        }
    }
    found
}

fn trimmed_percent(q: f64) -> f64 {
    (q * 1e5).round() / 1e3
}

/// What a latency picture is about, in numbers.
fn told(record: &Record, endpoint: Option<&str>) -> String {
    let of = |phase: Phase| {
        let part = record.part(phase, endpoint)?;
        let p99 = part
            .latency_ms
            .map_or_else(|| "nothing answered".to_owned(), |latency| text::millis(latency.p99));
        Some(format!("{} in the {}", p99, phase.name()))
    };
    let told: Vec<String> = text::PHASES.into_iter().filter_map(of).collect();
    format!("99th percentile: {}.", told.join(", "))
}

pub(super) fn names(record: &Record) -> Names {
    let endpoints = record.endpoints.iter().map(|endpoint| (endpoint.name.clone(), endpoint.class)).collect();
    Names { endpoints, tenants: Vec::new() }
}

/// The worst of the seconds that one point stands for.
fn highest(values: &[Option<f64>]) -> Option<f64> {
    values.iter().flatten().copied().reduce(f64::max)
}

/// A second is drawn at its middle.
fn middle(at: usize, width: usize) -> f64 {
    at as f64 * width as f64 + width as f64 / 2.0
}

impl Chart {
    /// Whether anything is to be seen on it.
    pub(in crate::report) fn is_empty(&self) -> bool {
        self.lines.iter().all(|line| line.points.iter().all(|(_, value)| value.is_none()))
    }

    /// Whether its axis of values is logarithmic.
    pub(in crate::report) fn is_log(&self) -> bool {
        self.y.scale == Scale::Log
    }
}
