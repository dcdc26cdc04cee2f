//! What goes to stdout: tables and sentences for people, JSON for programs.

use std::io::{self, Write};

use anstream::AutoStream;
use clap::ValueEnum;
use serde::Serialize;

use crate::table::Table;

/// For whom the answer is: aligned columns and sentences for people (colours on
/// a terminal, unless NO_COLOR is set), or the API's own JSON for programs (one
/// object a line where it is a live stream).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    #[default]
    Table,
    Json,
}

/// Where answers go.
pub(crate) struct Output {
    format: Format,
    colours: bool,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        let choice = AutoStream::choice(&io::stdout());
        Self { format, colours: choice != anstream::ColorChoice::Never }
    }

    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Whether people see colours.
    pub(crate) fn has_colours(&self) -> bool {
        self.colours
    }

    /// Cells of a line: the terminal's, or a usual number where the answer goes elsewhere.
    pub(crate) fn width(&self) -> usize {
        self.room().unwrap_or(100)
    }

    /// Cells of a line of the terminal; none where the answer goes elsewhere, or the terminal does not know.
    pub(crate) fn room(&self) -> Option<usize> {
        let table = comfy_table::Table::new();
        table.width().filter(|width| *width > 0).map(usize::from)
    }

    /// The answer as JSON, or as `people` writes it.
    pub(crate) fn answer<T: Serialize>(
        &self,
        value: &T,
        people: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut out = anstream::stdout().lock();
        match self.format {
            Format::Table => people(&mut out)?,
            Format::Json => {
                serde_json::to_writer_pretty(&mut out, value)?;
                writeln!(out)?;
            }
        }
        Ok(out.flush()?)
    }

    /// One step of a live stream: a line, either way.
    pub(crate) fn line<T: Serialize>(
        &self,
        value: &T,
        people: impl FnOnce(&mut dyn Write) -> io::Result<()>,
    ) -> anyhow::Result<()> {
        let mut out = anstream::stdout().lock();
        match self.format {
            Format::Table => people(&mut out)?,
            Format::Json => serde_json::to_writer(&mut out, value)?,
        }
        writeln!(out)?;
        Ok(out.flush()?)
    }

    /// A table fitted to where it goes.
    pub(crate) fn table(&self, header: &[&str]) -> Table {
        Table::new(header, self.room(), self.colours)
    }
}
