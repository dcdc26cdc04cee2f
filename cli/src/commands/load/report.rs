//! The numbers of a load, for people.

use std::collections::BTreeMap;
use std::io::{self, Write};

use sabot_runner::load::Summary;
use sabot_runner::load::summary::Part;

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
    writeln!(out, "ended as: {}", counts(&total.fates))?;
    if !summary.codes.is_empty() {
        writeln!(out, "answers:  {}", counts(&summary.codes))?;
    }
    writeln!(
        out,
        "the load's own lateness: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        lateness.p50, lateness.p99, lateness.max
    )?;
    writeln!(
        out,
        "connections opened: {}; sent again after a stale connection: {}; seed {}",
        summary.connections_opened, summary.resent, summary.seed
    )
}

fn row(name: &str, part: &Part) -> Vec<(String, Tone)> {
    let tone = if part.error_rate > 0.0 { Tone::Bad } else { Tone::Good };
    let latency = &part.latency_ms;
    let mut cells = vec![
        (name.to_owned(), Tone::Strong),
        (part.offered.to_string(), Tone::Plain),
        (format!("{:.1}", part.effective_per_s), Tone::Plain),
        (format!("{:.2} %", part.error_rate * 100.0), tone),
    ];
    let times = [latency.p50, latency.p90, latency.p99, latency.p999, latency.max];
    cells.extend(times.map(|ms| (format!("{ms:.2}"), Tone::Plain)));
    cells
}

fn counts(counts: &BTreeMap<String, u64>) -> String {
    let each: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    each.join(", ")
}
