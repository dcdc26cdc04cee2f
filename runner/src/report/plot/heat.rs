//! The heat map: how many requests of each moment took how long.

use kuva::plot::colormap::ColorMap;
use kuva::prelude::{Heatmap, Plot};
use kuva::render::render::render_multiple;
use std::sync::Arc;

use super::charts::{over_time, width};
use super::{Axis, Scale};
use crate::record::{HeatMap, Record};
use crate::report::text;

/// Shades, from few requests to many: `--heat-1` and so on.
pub(in crate::report) const LEVELS: u32 = 6;

/// Times the columns at most; the page's width has no more places to show them.
const MOST_COLUMNS: usize = 240;

/// The picture, and the most requests that a cell of it holds. None without requests.
pub(in crate::report) fn heat_map(record: &Record) -> Option<(String, u32)> {
    let HeatMap { bounds_ms, seconds } = &record.heat_map;
    let width = width(&record.phases).max(seconds.len().div_ceil(MOST_COLUMNS));
    let columns: Vec<Vec<u32>> = seconds.chunks(width).map(merged).collect();
    let first = columns.iter().filter_map(|column| column.iter().position(|count| *count > 0)).min()?;
    let last = columns.iter().map(Vec::len).max()?.min(bounds_ms.len()).checked_sub(1)?;
    let most = columns.iter().flatten().copied().max()?;
    let count = |column: &Vec<u32>, row: usize| column.get(row).copied().unwrap_or(0);
    // Empty rows above: air for the words there, and a 0 for the library, which sees shades from the least to the most.
    let rows: Vec<Vec<f64>> = (first..=last + 2)
        .map(|row| columns.iter().map(|column| f64::from(level(count(column, row), most))).collect())
        .collect();
    // Classes are of equal width on a logarithmic scale: so is the axis, by its tick's words.
    let step = step(bounds_ms)?;
    let top = bounds_ms.get(last)?.log10() + 2.0 * step;
    let bottom = top - step * rows.len() as f64;
    let end = (columns.len() * width) as f64;
    let map = Heatmap::new()
        .with_data(rows)
        .with_color_map(ColorMap::Custom(Arc::new(shade)))
        .with_x_range(0.0, end)
        .with_y_range(bottom, top)
        .with_cell_size(1.0);
    let text: fn(f64) -> String = |power| text::axis_millis(10f64.powf(power));
    let y = Axis { scale: Scale::Linear, min: bottom, max: top, step: 1.0, text, label: "" };
    let alt = "Heat map: for each moment, how many requests took how long; darker means more. Requests that failed are \
               counted where they were given up.";
    let chart = over_time(record, "heat".into(), alt.into(), (960.0, 250.0), y);
    let scene = render_multiple(vec![Plot::Heatmap(map)], chart.layout());
    Some((chart.element(scene), most))
}

/// The seconds of a column, added up.
fn merged(seconds: &[Vec<u32>]) -> Vec<u32> {
    let mut sum = vec![0u32; seconds.iter().map(Vec::len).max().unwrap_or(0)];
    for second in seconds {
        for (sum, count) in sum.iter_mut().zip(second) {
            *sum = sum.saturating_add(*count);
        }
    }
    sum
}

/// 0 for none, else 1 to [`LEVELS`] by the logarithm: a few slow requests among many must show.
fn level(count: u32, most: u32) -> u32 {
    if count == 0 {
        return 0;
    }
    let share = f64::from(count).ln_1p() / f64::from(most).ln_1p();
    ((share * f64::from(LEVELS)).ceil() as u32).clamp(1, LEVELS)
}

/// The library hands over the value as a share of the range that it saw.
fn shade(share: f64) -> String {
    match (share * f64::from(LEVELS)).round() as u32 {
        0 => "none".to_owned(),
        level => format!("var(--heat-{level})"),
    }
}

fn step(bounds_ms: &[f64]) -> Option<f64> {
    Some((bounds_ms.last()?.log10() - bounds_ms.first()?.log10()) / (bounds_ms.len() as f64 - 1.0))
        .filter(|step| step.is_finite() && *step > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_seen_beside_many() {
        assert_eq!((level(0, 1000), level(1, 1000), level(1000, 1000)), (0, 1, LEVELS));
        assert_eq!((shade(0.0), shade(1.0)), ("none".into(), format!("var(--heat-{LEVELS})")));
    }

    #[test]
    fn columns_add_up() {
        assert_eq!(merged(&[vec![1, 2], vec![0, 1, 5]]), [1, 3, 5]);
    }
}
