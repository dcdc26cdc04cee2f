//! Tables without lines: a dim header and aligned columns.
//!
//! What does not fit into a line is folded between words. Where even that is too wide, the widest columns are told
//! below their row instead, each with its name: nothing is cut, and a terminal breaks no line anew.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Width};
use owo_colors::OwoColorize;

use crate::fold::fold;

/// Rows under a header.
pub(crate) struct Table {
    header: Vec<String>,
    rows: Vec<Vec<(String, Tone)>>,
    right: Vec<usize>,
    colours: bool,
    /// Cells of a line; none if nothing bounds it.
    room: Option<usize>,
}

/// What a cell says beside its text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    Plain,
    Strong,
    Good,
    Bad,
    Active,
    Dim,
}

/// Cells between two columns.
const PADDING: usize = 2;

/// The same where it is tight.
const TIGHT: usize = 1;

/// Lines that a cell is folded into at most, but in the last column, where prose stands.
const FOLDS: usize = 3;

/// The last column has so many cells at least, if it needs them.
const LAST: usize = 24;

/// Blanks before what is told below a row.
const INDENT: usize = 4;

impl Table {
    pub(crate) fn new(header: &[&str], room: Option<usize>, colours: bool) -> Self {
        let header = header.iter().map(|&name| name.to_owned()).collect();
        Self { header, rows: Vec::new(), right: Vec::new(), colours, room }
    }

    /// Numbers read better when their digits stand below each other.
    pub(crate) fn align_right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = (String, Tone)>) {
        self.rows.push(cells.into_iter().collect());
    }

    pub(crate) fn write(self, out: &mut dyn Write) -> io::Result<()> {
        let (columns, padding) = self.columns();
        let header: Vec<_> = self.header.iter().map(|name| (name.clone(), Tone::Dim)).collect();
        self.line(&columns, padding, &header, out)?;
        for row in &self.rows {
            self.line(&columns, padding, row, out)?;
            for (at, (text, tone)) in row.iter().enumerate() {
                if !columns.iter().any(|column| column.at == at) && !matches!(text.as_str(), "" | "–") {
                    self.below(&self.header[at], text, *tone, out)?;
                }
            }
        }
        Ok(())
    }

    /// The columns that stand beside each other, as wide as they may be, and the cells between two.
    fn columns(&self) -> (Vec<Column>, usize) {
        let mut columns: Vec<_> = (0..self.header.len()).map(|at| self.column(at)).collect();
        let Some(room) = self.room else { return (columns, PADDING) };
        let fits = |width: fn(&Column) -> usize, padding: &usize| total(&columns, width, *padding) <= room;
        // Narrow gaps are better than folds, and those better than a line below.
        let gaps = [PADDING, TIGHT];
        let padding = gaps.iter().find(|padding| fits(|column| column.width, padding));
        let padding = padding.or_else(|| gaps.iter().find(|padding| fits(|column| column.least, padding)));
        let padding = padding.copied().unwrap_or(PADDING);
        // The first column names the row and stays where it is; of those as wide as each other the first stays.
        while columns.len() > 1 && total(&columns, |column| column.least, padding) > room {
            let widest = columns.iter().enumerate().skip(1).max_by_key(|(_, column)| column.least);
            let Some((index, _)) = widest else { break };
            columns.remove(index);
        }
        while total(&columns, |column| column.width, padding) > room {
            let widest = columns.iter_mut().filter(|column| column.width > column.least);
            let Some(widest) = widest.rev().max_by_key(|column| column.width) else { break };
            widest.width -= 1;
        }
        (columns, padding)
    }

    fn column(&self, at: usize) -> Column {
        let texts = self.rows.iter().filter_map(|row| row.get(at)).map(|(text, _)| text.as_str());
        let texts = || std::iter::once(self.header[at].as_str()).chain(texts.clone());
        let width = texts().map(cells).max().unwrap_or(0);
        let word = texts().flat_map(str::split_whitespace).map(cells).max().unwrap_or(0);
        let least = match at {
            // A number and its unit belong together.
            _ if self.right.contains(&at) => width,
            _ if at + 1 == self.header.len() => word.max(width.min(LAST)),
            _ => word.max(width.div_ceil(FOLDS)),
        };
        Column { at, width, least }
    }

    /// A row, or the header, beside each other.
    fn line(
        &self,
        columns: &[Column],
        padding: usize,
        row: &[(String, Tone)],
        out: &mut dyn Write,
    ) -> io::Result<()> {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if self.colours {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        let empty = (String::new(), Tone::Plain);
        let cells = columns.iter().map(|column| row.get(column.at).unwrap_or(&empty));
        table.add_row(cells.map(|(text, tone)| cell(text, *tone)));
        for (index, (column, inner)) in columns.iter().zip(table.column_iter_mut()).enumerate() {
            let padding = if index + 1 < columns.len() { padding } else { 0 };
            inner.set_padding((0, padding as u16));
            let width = u16::try_from(column.width + padding).unwrap_or(u16::MAX);
            inner.set_constraint(ColumnConstraint::Absolute(Width::Fixed(width)));
            if self.right.contains(&column.at) {
                inner.set_cell_alignment(CellAlignment::Right);
            }
        }
        table.lines().try_for_each(|line| writeln!(out, "{}", trim_end(&line)))
    }

    fn below(&self, name: &str, text: &str, tone: Tone, out: &mut dyn Write) -> io::Result<()> {
        let used = INDENT + cells(name) + 1;
        let text = fold(text, used, self.room, INDENT + 2);
        let (name, text) = if self.colours {
            (name.dimmed().to_string(), painted(&text, tone))
        } else {
            (name.to_owned(), text)
        };
        writeln!(out, "{:INDENT$}{name} {text}", "")
    }
}

/// A column that stands beside others.
struct Column {
    at: usize,
    /// As wide as its widest cell, or less.
    width: usize,
    /// Narrower, it would break words or be folded too often.
    least: usize,
}

fn total(columns: &[Column], width: impl Fn(&Column) -> usize, padding: usize) -> usize {
    columns.iter().map(width).sum::<usize>() + padding * columns.len().saturating_sub(1)
}

fn cells(text: &str) -> usize {
    ratatui::text::Span::raw(text).width()
}

/// Without blanks at the end, also if only escape sequences follow them.
fn trim_end(line: &str) -> String {
    let (mut text, mut escapes) = (line.trim_end(), String::new());
    // All that is styled here ends in `m`.
    while let Some(start) =
        text.rfind('\x1b').filter(|&start| text[start..].find('m') == Some(text.len() - start - 1))
    {
        escapes.insert_str(0, &text[start..]);
        text = text[..start].trim_end();
    }
    format!("{text}{escapes}")
}

fn painted(text: &str, tone: Tone) -> String {
    match tone {
        Tone::Plain => text.to_owned(),
        Tone::Strong => text.bold().to_string(),
        Tone::Good => text.green().to_string(),
        Tone::Bad => text.red().to_string(),
        Tone::Active => text.yellow().to_string(),
        Tone::Dim => text.dimmed().to_string(),
    }
}

fn cell(text: &str, tone: Tone) -> Cell {
    let cell = Cell::new(text);
    match tone {
        Tone::Plain => cell,
        Tone::Strong => cell.add_attribute(Attribute::Bold),
        Tone::Good => cell.fg(Color::Green),
        Tone::Bad => cell.fg(Color::Red),
        Tone::Active => cell.fg(Color::Yellow),
        Tone::Dim => cell.add_attribute(Attribute::Dim),
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, Tone, trim_end};

    const HEADER: [&str; 6] = ["ID", "STATE", "FAULT", "TARGETS", "OWNER", "ENDS IN"];
    const ROWS: [[&str; 6]; 2] = [
        [
            "inj-604b1c2d",
            "running",
            "latency (p50_ms=200 p99_ms=500)",
            "pay-1, pay-2",
            "on.call@example.com",
            "3 m 59 s",
        ],
        ["inj-77", "reverted", "refuse", "ledger", "o", "–"],
    ];

    fn shown(width: Option<usize>, colours: bool) -> Vec<String> {
        let mut table = Table::new(&HEADER, width, colours).align_right(&[5]);
        for row in ROWS {
            table.row(row.map(|text| (text.to_owned(), Tone::Strong)));
        }
        let mut out = Vec::new();
        table.write(&mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(str::to_owned).collect()
    }

    fn plain(line: &str) -> String {
        anstream::adapter::strip_str(line).to_string()
    }

    #[test]
    fn no_width_overflows_and_nothing_is_lost() {
        for colours in [false, true] {
            for width in [40, 60, 80, 100, 120] {
                let lines = shown(Some(width), colours);
                let plain: Vec<_> = lines.iter().map(|line| plain(line)).collect();
                let all = plain.join("\n");
                for line in &plain {
                    assert!(super::cells(line) <= width, "{width}:\n{all}");
                    assert_eq!(line, line.trim_end(), "{width}");
                }
                for word in ROWS.iter().flatten().flat_map(|cell| cell.split(' ')).filter(|word| *word != "–")
                {
                    assert!(all.contains(word), "{width}: {word} is not in\n{all}");
                }
            }
        }
    }

    #[test]
    fn what_fits_stands_on_one_line() {
        let wide = [
            "ID            STATE     FAULT                            TARGETS       OWNER                 ENDS IN",
            "inj-604b1c2d  running   latency (p50_ms=200 p99_ms=500)  pay-1, pay-2  on.call@example.com  3 m 59 s",
            "inj-77        reverted  refuse                           ledger        o                           –",
        ];
        assert_eq!(shown(Some(120), false), wide);
        assert_eq!(shown(None, false), wide);
        let tight =
            "inj-77       reverted refuse                          ledger       o                          –";
        assert_eq!(shown(Some(95), false)[2], tight);
    }

    #[test]
    fn what_does_not_fit_is_folded_or_told_below() {
        let folded = [
            "ID            STATE     FAULT        TARGETS       OWNER                 ENDS IN",
            "inj-604b1c2d  running   latency      pay-1, pay-2  on.call@example.com  3 m 59 s",
            "                        (p50_ms=200",
            "                        p99_ms=500)",
            "inj-77        reverted  refuse       ledger        o                           –",
        ];
        assert_eq!(shown(Some(80), false), folded);
        let below = [
            "ID            STATE     FAULT         TARGETS        ENDS IN",
            "inj-604b1c2d  running   latency       pay-1, pay-2  3 m 59 s",
            "                        (p50_ms=200",
            "                        p99_ms=500)",
            "    OWNER on.call@example.com",
            "inj-77        reverted  refuse        ledger               –",
            "    OWNER o",
        ];
        assert_eq!(shown(Some(60), false), below);
    }

    #[test]
    fn blanks_go_before_escapes() {
        assert_eq!(trim_end("a \x1b[1mb  \x1b[22m \x1b[0m"), "a \x1b[1mb\x1b[22m\x1b[0m");
        assert_eq!(trim_end("a  "), "a");
    }
}
