//! Pictures as SVG, to be set into a page: the one module that knows the plotting library.
//!
//! - [`Chart`] is what is to be seen, in data's own units;
//! - `charts` makes them of a record, `heat` the heat map;
//! - `axis` chooses ticks.
//!
//! Colours are CSS variables (`--p99`), which the page sets for light, dark and paper. No text from a
//! record gets in here: what people named stands in the page around the picture.

mod axis;
mod charts;
mod heat;

use std::sync::Arc;

use kuva::backend::svg::SvgBackend;
use kuva::plot::annotations::{ReferenceLine, ShadedRegion};
use kuva::prelude::{Layout, LinePlot, Plot, Theme, TickFormat};
use kuva::render::render::{Primitive, Scene, render_multiple};

pub(super) use axis::{Axis, Scale};
pub(super) use charts::{endpoint, errors, latency, rates, recovery, sli};
pub(super) use heat::{LEVELS, heat_map};

/// A picture: lines over time, with what was on when behind them.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// Tells it from the others of the page; letters, digits and dashes.
    pub id: String,
    /// What it shows, and what of it matters, in words: for who cannot see it.
    pub alt: String,
    pub width: f64,
    pub height: f64,
    pub x: Axis,
    pub y: Axis,
    pub lines: Vec<Line>,
    /// From when to when, and in which colour.
    pub windows: Vec<(f64, f64, &'static str)>,
    /// Upright marks with a word beside them.
    pub moments: Vec<(f64, &'static str)>,
    /// Levels with a word above them, which may be empty.
    pub levels: Vec<(f64, String)>,
    /// Name of the CSS variable that holds the colour of the levels.
    pub level_colour: &'static str,
}

/// A line with gaps where nothing was measured.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Name of the CSS variable that holds its colour.
    pub colour: &'static str,
    pub width: f64,
    pub dashed: bool,
    /// Whether the area below it is filled.
    pub filled: bool,
    pub points: Vec<(f64, Option<f64>)>,
}

const MARGIN_LEFT: f64 = 66.0;
const MARGIN_RIGHT: f64 = 14.0;
const MARGIN_TOP: f64 = 14.0;
const MARGIN_BOTTOM: f64 = 44.0;

impl Chart {
    /// The picture as an `<svg>` element.
    pub(super) fn svg(&self) -> String {
        let plots: Vec<Plot> = self.lines.iter().flat_map(|line| line.plots(&self.y)).collect();
        let scene = render_multiple(plots, self.layout());
        self.element(scene)
    }

    fn layout(&self) -> Layout {
        let format = |axis: &Axis| TickFormat::Custom(Arc::new(axis.text));
        let mut layout = Layout::new((self.x.min, self.x.max), (self.y.min, self.y.max))
            .with_width(self.width)
            .with_height(self.height)
            .with_theme(theme())
            .with_x_axis_min(self.x.min)
            .with_x_axis_max(self.x.max)
            .with_y_axis_min(self.y.min)
            .with_y_axis_max(self.y.max)
            .with_x_tick_step(self.x.step)
            .with_x_tick_format(format(&self.x))
            .with_y_tick_format(format(&self.y))
            .with_x_label(self.x.label)
            .with_tick_size(12)
            .with_label_size(12)
            .with_axis_line_width(1.0)
            .with_tick_width(1.0)
            .with_tick_length(4.0)
            .with_force_margins(MARGIN_LEFT, MARGIN_RIGHT)
            .with_force_margins_y(MARGIN_TOP, MARGIN_BOTTOM);
        match self.y.scale {
            Scale::Linear => layout = layout.with_y_tick_step(self.y.step),
            Scale::Log => layout = layout.with_log_y(),
        }
        for (from, to, colour) in &self.windows {
            layout = layout.with_shaded_region(
                ShadedRegion::vertical(*from, *to).with_color(variable(colour)).with_opacity(1.0),
            );
        }
        for (at, word) in &self.moments {
            let line = ReferenceLine::vertical(*at).with_color(variable("moment"));
            layout = layout
                .with_reference_line(line.with_stroke_width(1.0).with_dasharray("2 3").with_label(*word));
        }
        for (level, word) in &self.levels {
            let mut line = ReferenceLine::horizontal(*level).with_color(variable(self.level_colour));
            if !word.is_empty() {
                line = line.with_label(word.clone());
            }
            layout = layout.with_reference_line(line.with_stroke_width(1.5).with_dasharray("7 4"));
        }
        layout
    }

    /// The library's page-filling document as a part of a page: it scales, it says what it shows, and
    /// its names clash with no other picture's.
    fn element(&self, mut scene: Scene) -> String {
        scene.background_color = None;
        scene.elements.iter_mut().for_each(drop_what_is_not_seen);
        let svg = SvgBackend::new().render_scene(&scene).replace("kuva-clip", &format!("{}-clip", self.id));
        let body = svg.find('>').map_or("", |end| &svg[end + 1..]);
        format!(
            "<svg class=\"plot\" id=\"{id}\" viewBox=\"0 0 {width} {height}\" role=\"img\" aria-labelledby=\"{id}-alt\" \
             fill=\"var(--text)\" font-family=\"inherit\"><title id=\"{id}-alt\">{alt}</title>{body}",
            id = self.id,
            width = self.width,
            height = self.height,
            alt = quick_xml::escape::escape(self.alt.as_str()),
        )
    }
}

impl Line {
    /// The library joins all points of a line: a gap needs a line on each side.
    fn plots(&self, y: &Axis) -> Vec<Plot> {
        let seen = self.points.split(|(_, value)| value.is_none());
        let line = |points: &[(f64, Option<f64>)]| {
            let mut points: Vec<(f64, f64)> =
                points.iter().filter_map(|(x, value)| Some((*x, y.clamp((*value)?)))).collect();
            if let [(x, value)] = points[..] {
                // A point by itself would be invisible.
                points = vec![(x - 0.3, value), (x + 0.3, value)];
            }
            let mut plot = LinePlot::new()
                .with_data(points)
                .with_color(variable(self.colour))
                .with_stroke_width(self.width);
            if self.dashed {
                plot = plot.with_dashed();
            }
            if self.filled {
                plot = plot.with_fill().with_fill_opacity(0.18);
            }
            Plot::Line(plot)
        };
        seen.filter(|points| !points.is_empty()).map(line).collect()
    }
}

/// Empty cells of a heat map are most of it.
fn drop_what_is_not_seen(element: &mut Primitive) {
    if let Primitive::RectBatch { x, y, w, h, fills } = element {
        let seen: Vec<usize> =
            (0..fills.len()).filter(|at| !matches!(fills[*at], kuva::render::color::Color::None)).collect();
        let keep = |all: &mut Vec<f64>| *all = seen.iter().map(|at| all[*at]).collect();
        [x, y, w, h].into_iter().for_each(keep);
        *fills = seen.iter().map(|at| fills[*at].clone()).collect();
    }
}

fn theme() -> Theme {
    Theme {
        background: "none".to_owned(),
        axis_color: variable("axis"),
        tick_color: variable("axis"),
        grid_color: variable("grid"),
        text_color: variable("muted"),
        ..Theme::light()
    }
}

fn variable(name: &str) -> String {
    format!("var(--{name})")
}
