//! Tables without lines: a dim header and aligned columns.

use std::io::{self, Write};

use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, CellAlignment, Color, ColumnConstraint, ContentArrangement, Width};

/// Rows under a header.
pub(crate) struct Table {
    table: comfy_table::Table,
    right: Vec<usize>,
    /// Per column its longest word: narrower, a column would cut words in two.
    words: Vec<usize>,
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

impl Table {
    pub(crate) fn new(header: &[&str], colours: bool) -> Self {
        let mut table = comfy_table::Table::new();
        table.load_style(NOTHING);
        table.set_content_arrangement(ContentArrangement::Dynamic);
        if colours {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table.set_header(header.iter().map(|name| Cell::new(name).add_attribute(Attribute::Dim)));
        let words = header.iter().map(|name| longest_word(name)).collect();
        Self { table, right: Vec::new(), words }
    }

    /// Numbers read better when their digits stand below each other.
    pub(crate) fn align_right(mut self, columns: &[usize]) -> Self {
        self.right = columns.to_vec();
        self
    }

    pub(crate) fn row(&mut self, cells: impl IntoIterator<Item = (String, Tone)>) {
        let cells: Vec<_> = cells.into_iter().collect();
        for (least, (text, _)) in self.words.iter_mut().zip(&cells) {
            *least = longest_word(text).max(*least);
        }
        self.table.add_row(cells.iter().map(|(text, tone)| cell(text, *tone)));
    }

    pub(crate) fn write(mut self, out: &mut dyn Write) -> io::Result<()> {
        // A terminal that does not know its size says 0.
        if self.table.width() == Some(0) {
            self.table.set_content_arrangement(ContentArrangement::Disabled);
        }
        let least: usize = self.words.iter().map(|word| word.min(&LONGEST) + usize::from(PADDING)).sum();
        let tight = self.table.width().is_some_and(|width| least > usize::from(width));
        let padding = if tight { 1 } else { PADDING };
        for column in self.table.column_iter_mut() {
            column.set_padding((0, padding));
            if let Some(least) = self.words.get(column.index) {
                let least = (*least).min(LONGEST) as u16 + padding;
                column.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(least)));
            }
            if self.right.contains(&column.index) {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
        for line in self.table.lines() {
            writeln!(out, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// Cells between two columns.
const PADDING: u16 = 2;

/// A word longer than this may be cut, such as an object in JSON.
const LONGEST: usize = 24;

fn longest_word(text: &str) -> usize {
    text.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0)
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
