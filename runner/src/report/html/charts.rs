//! The pictures of the page.

use super::super::plot;
use crate::record::Record;

/// The pictures of the whole run.
pub(super) struct Charts {
    pub(super) latency: String,
    pub(super) latency_is_log: bool,
    pub(super) errors: String,
    pub(super) rates: String,
    pub(super) dropped: bool,
    pub(super) heat: Option<(String, u32)>,
    pub(super) recovery: Option<String>,
    pub(super) point: String,
}

impl Charts {
    pub(super) fn of(record: &Record) -> Self {
        let latency = plot::latency(record);
        let recovery = plot::recovery(record).filter(|chart| !chart.is_empty());
        let width = record.phases.end_s.div_ceil(600).max(1);
        let point = match width {
            1 => "Each point is a second.".to_owned(),
            _ => format!(
                "Each point stands for {width} s: the worst second of a percentile, the mean of a rate."
            ),
        };
        Self {
            latency_is_log: latency.is_log(),
            latency: latency.svg(),
            errors: plot::errors(record).svg(),
            rates: plot::rates(record).svg(),
            dropped: record.timeline.dropped.iter().any(|count| *count > 0),
            heat: plot::heat_map(record),
            recovery: recovery.map(|chart| chart.svg()),
            point,
        }
    }
}

/// The picture of each endpoint that answered anything.
pub(super) fn endpoints(record: &Record) -> Vec<(&str, String)> {
    let all = record.endpoints.iter().enumerate();
    let charts = all.filter_map(|(at, endpoint)| Some((endpoint.name.as_str(), plot::endpoint(record, at)?)));
    charts.filter(|(_, chart)| !chart.is_empty()).map(|(name, chart)| (name, chart.svg())).collect()
}

/// The picture of each SLI that was measured.
pub(super) fn slis(record: &Record) -> Vec<(&str, String)> {
    let all = record
        .slis
        .iter()
        .enumerate()
        .map(|(at, (name, values))| (name, plot::sli(record, at, name, values)));
    all.filter(|(_, chart)| !chart.is_empty()).map(|(name, chart)| (name.as_str(), chart.svg())).collect()
}
