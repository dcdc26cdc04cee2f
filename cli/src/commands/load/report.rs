//! The numbers of a load, for people.

use std::collections::BTreeMap;
use std::io::{self, Write};

use sabot_runner::load::Summary;
use sabot_runner::load::summary::{Part, Quantiles};

use crate::output::Output;
use crate::table::Tone;

/// More tenants than this are not shown one by one.
const TENANTS: usize = 10;

pub(super) fn write(output: &Output, summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    let header = ["", "OFFERED", "OK/s", "ERRORS", "p50 ms", "p90 ms", "p99 ms", "p99.9 ms", "MAX ms"];
    let mut table = output.table(&header).align_right(&[1, 2, 3, 4, 5, 6, 7, 8]);
    for endpoint in &summary.endpoints {
        table.row(row(&endpoint.name, &endpoint.part));
    }
    if summary.endpoints.len() > 1 {
        table.row(row("all", &summary.total));
    }
    if summary.tenants.len() > 1 {
        for tenant in summary.tenants.iter().take(TENANTS) {
            table.row(row(&tenant.name, &tenant.part));
        }
    }
    table.write(out)?;
    let Summary { total, lateness, .. } = summary;
    writeln!(out)?;
    writeln!(
        out,
        "offered {} in {:.1} s: {:.1}/s; answered as expected {:.1}/s{}",
        total.offered,
        summary.duration_s,
        total.offered_per_s,
        total.effective_per_s,
        if summary.stopped { "; stopped before its time" } else { "" },
    )?;
    if !total.fates.is_empty() {
        writeln!(out, "ended as: {}", counts(&total.fates))?;
    }
    if !summary.codes.is_empty() {
        writeln!(out, "answers:  {}", counts(&summary.codes))?;
    }
    if let Some(causes) = summary.told_causes() {
        writeln!(out, "because:  {causes}")?;
    }
    match lateness {
        Some(Quantiles { p50, p99, max, .. }) => {
            writeln!(out, "the load's own lateness: p50 {p50:.2} ms, p99 {p99:.2} ms, max {max:.2} ms")?;
        }
        None => writeln!(out, "the load's own lateness: – (nothing was sent)")?,
    }
    writeln!(
        out,
        "connections opened: {}; sent again after a stale connection: {}; seed {}",
        summary.connections_opened, summary.resent, summary.seed
    )
}

fn row(name: &str, part: &Part) -> Vec<(String, Tone)> {
    let tone = if part.error_rate > 0.0 { Tone::Bad } else { Tone::Good };
    // Nothing was answered as expected: no number is better than one that looks fast.
    let times = part.latency_ms.map_or([None; 5], |t| [t.p50, t.p90, t.p99, t.p999, t.max].map(Some));
    let mut cells = vec![
        (name.to_owned(), Tone::Strong),
        (part.offered.to_string(), Tone::Plain),
        (format!("{:.1}", part.effective_per_s), Tone::Plain),
        (format!("{:.2} %", part.error_rate * 100.0), tone),
    ];
    let told = |ms: Option<f64>| ms.map_or_else(|| "–".to_owned(), |ms| format!("{ms:.2}"));
    cells.extend(times.map(|ms| (told(ms), Tone::Plain)));
    cells
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    let each: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    each.join(", ")
}
