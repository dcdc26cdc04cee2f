//! The blast radius as a table: endpoints by tenants, each cell a bar of time.

use crate::judge::{Excursion, Hit};
use crate::record::Record;
use crate::report::text;

/// More columns do not fit on paper.
const MOST_TENANTS: usize = 5;

/// Endpoints by tenants.
pub(super) struct Matrix<'a> {
    /// The tenants that left objectives the longest, after "all tenants".
    pub columns: Vec<&'a str>,
    pub rows: Vec<Row<'a>>,
    /// What became of the other tenants, in sentences.
    pub notes: Vec<String>,
    /// From when to when the bars go, in words.
    pub span: String,
    /// Whether anything left an objective at all.
    pub any: bool,
}

pub(super) struct Row<'a> {
    pub name: &'a str,
    pub cells: Vec<Cell<'a>>,
}

/// What one endpoint's objectives did, for one tenant or all of them.
pub(super) struct Cell<'a> {
    pub hits: Vec<Bar<'a>>,
}

/// One objective, and when it was not met.
pub(super) struct Bar<'a> {
    pub slo: &'a str,
    /// In words: `37–80 s`.
    pub times: String,
    /// Where the times lie between the fault's begin and the end of the run, in percent.
    pub parts: Vec<(f64, f64)>,
}

impl<'a> Matrix<'a> {
    pub(super) fn of(record: &'a Record) -> Self {
        let hits = &record.judgement.blast_radius;
        let of_load =
            record.load.tenants.iter().map(|tenant| tenant.name.as_str()).filter(|name| !name.is_empty());
        let tenants: Vec<&str> = of_load.collect();
        let mut columns: Vec<(&str, u64)> = Vec::new();
        for hit in hits {
            let Some(name) = hit.tenant.as_deref() else { continue };
            let length: u64 =
                hit.excursions.iter().map(|one| one.back_s.unwrap_or(record.phases.end_s) - one.left_s).sum();
            match columns.iter_mut().find(|(column, _)| *column == name) {
                Some((_, sum)) => *sum += length,
                None => columns.push((name, length)),
            }
        }
        let spared =
            tenants.iter().filter(|name| !columns.iter().any(|(column, _)| column == *name)).count() as u64;
        let beyond = columns.len().saturating_sub(MOST_TENANTS) as u64;
        columns.sort_by_key(|(_, length)| std::cmp::Reverse(*length));
        columns.truncate(MOST_TENANTS);
        columns.sort_unstable();
        let columns: Vec<&str> = columns.into_iter().map(|(name, _)| name).collect();
        let mut notes = Vec::new();
        if beyond > 0 {
            notes.push(format!(
                "{} more left objectives for a shorter time.",
                text::count(beyond, "tenant", "tenants")
            ));
        }
        if spared > 0 && tenants.len() > 1 {
            notes.push(format!("{} never left an objective.", text::count(spared, "tenant", "tenants")));
        }
        let row = |name: &'a str, endpoint: Option<&'a str>| {
            let tenant = std::iter::once(None).chain(columns.iter().copied().map(Some));
            Row { name, cells: tenant.map(|tenant| Cell::of(record, endpoint, tenant)).collect() }
        };
        let mut rows: Vec<_> =
            record.endpoints.iter().map(|endpoint| row(&endpoint.name, Some(&endpoint.name))).collect();
        if hits.iter().any(|hit| hit.endpoint.is_none()) {
            rows.push(row("of the system as a whole", None));
        }
        Self {
            rows,
            notes,
            columns,
            span: format!("{} s to {} s", record.phases.fault_s, record.phases.end_s),
            any: !hits.is_empty(),
        }
    }
}

impl<'a> Cell<'a> {
    fn of(record: &'a Record, endpoint: Option<&str>, tenant: Option<&str>) -> Self {
        let is_it = |hit: &&Hit| hit.endpoint.as_deref() == endpoint && hit.tenant.as_deref() == tenant;
        let bar = |hit: &'a Hit| Bar {
            slo: &hit.slo,
            times: hit.excursions.iter().map(text::excursion).collect::<Vec<_>>().join(", "),
            parts: hit.excursions.iter().map(|excursion| place(record, excursion)).collect(),
        };
        Self { hits: record.judgement.blast_radius.iter().filter(is_it).map(bar).collect() }
    }
}

/// Begin and width in percent of the time from the fault to the end.
fn place(record: &Record, excursion: &Excursion) -> (f64, f64) {
    let (from, to) = (record.phases.fault_s as f64, record.phases.end_s as f64);
    let percent = |at: f64| ((at - from) / (to - from).max(1.0) * 1e4).round() / 1e2;
    let left = percent(excursion.left_s as f64);
    (left, percent(excursion.back_s.map_or(to, |back_s| back_s as f64)) - left)
}
