//! The live table on a terminal.

use std::time::{Duration, Instant};

use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span, Text};
use ratatui::widgets::{Cell, Row as TableRow, Table};
use ratatui::{DefaultTerminal, Frame};
use sabot_client::Client;

use super::sample::{Row, Sampler};
use crate::words;

pub(super) async fn run(client: Client, interval: Duration, count: usize) -> anyhow::Result<()> {
    let mut sampler = Sampler::new(client);
    let mut terminal = ratatui::try_init()?;
    let outcome = watch(&mut terminal, &mut sampler, interval, count).await;
    ratatui::try_restore()?;
    outcome
}

async fn watch(
    terminal: &mut DefaultTerminal,
    sampler: &mut Sampler,
    interval: Duration,
    count: usize,
) -> anyhow::Result<()> {
    let mut view = View { url: sampler.url().to_owned(), rows: Vec::new(), lost: None };
    for _ in 0..count {
        // A server that is away for a moment comes back into the same view.
        match sampler.sample().await {
            Ok(rows) => (view.rows, view.lost) = (rows, None),
            Err(error) => view.lost = Some(error.to_string()),
        }
        let until = Instant::now() + interval;
        loop {
            terminal.draw(|frame| view.draw(frame))?;
            // This blocks the only thread: nothing else has to run meanwhile.
            if !event::poll(until.saturating_duration_since(Instant::now()))? {
                break;
            }
            if leaves(&event::read()?) {
                return Ok(());
            }
        }
    }
    Ok(())
}

fn leaves(event: &Event) -> bool {
    let Event::Key(key) = event else { return false };
    let ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
    key.kind == KeyEventKind::Press && (ctrl_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc))
}

struct View {
    url: String,
    rows: Vec<Row>,
    /// Why the last sample is missing.
    lost: Option<String>,
}

impl View {
    fn draw(&self, frame: &mut Frame<'_>) {
        let areas = Layout::vertical([Constraint::Length(2), Constraint::Min(0), Constraint::Length(1)]);
        let [head, body, foot] = areas.areas(frame.area());
        frame.render_widget(self.head(), head);
        frame.render_widget(self.table(usize::from(body.width)), body);
        frame.render_widget(Line::styled("q leaves", dim()), foot);
    }

    fn head(&self) -> Line<'_> {
        let sum = |of: fn(&Row) -> f64| self.rows.iter().map(of).sum::<f64>();
        let open: u64 = self.rows.iter().map(|row| row.open).sum();
        let mut spans = vec![
            Span::styled("sabot", Style::new().add_modifier(Modifier::BOLD)),
            Span::styled(format!("  {}  ", self.url), dim()),
        ];
        match &self.lost {
            Some(reason) => spans.push(Span::styled(reason.as_str(), Style::new().fg(Color::Red))),
            None => spans.push(Span::raw(format!(
                "{}  {}  ↑ {}/s  ↓ {}/s",
                words::count(self.rows.len() as u64, "proxy", "proxies"),
                words::count(open, "connection", "connections"),
                words::bytes(sum(|row| row.up_per_s)),
                words::bytes(sum(|row| row.down_per_s)),
            ))),
        }
        Line::from(spans)
    }

    fn table(&self, room: usize) -> Table<'_> {
        let header = ["PROXY", "LISTEN", "UPSTREAM", "OPEN", "TOTAL", "↑/S", "↓/S", "TOXICS"];
        let right = |index: usize| (3..=6).contains(&index);
        let header = header.iter().enumerate().map(|(index, name)| cell(name, right(index), dim()));
        // Where there is little room, names and addresses give way: 54 cells are for
        // the figures and a toxic.
        let most = (room.saturating_sub(54) / 3).clamp(8, 40);
        let width = |of: fn(&Row) -> &str, least: usize| {
            let longest = self.rows.iter().map(|row| of(row).chars().count()).max();
            longest.unwrap_or(0).clamp(least, most)
        };
        let fixed = [
            width(|row| &row.name, 5),
            width(|row| &row.listen, 6),
            width(|row| &row.upstream, 8),
            6,
            8,
            8,
            8,
        ];
        let toxics = room.saturating_sub(fixed.iter().map(|width| width + SPACING).sum()).max(6);
        let widths = fixed.into_iter().chain([toxics]);
        let rows = self.rows.iter().map(|row| table_row(row, most, toxics));
        Table::new(rows, widths.map(|width| Constraint::Length(width as u16)))
            .header(TableRow::new(header))
            .column_spacing(SPACING as u16)
    }
}

/// Cells between two columns.
const SPACING: usize = 2;

/// As much of a text as there is room for; what is cut is seen to be.
fn fit(text: &str, room: usize) -> String {
    if text.chars().count() <= room {
        return text.to_owned();
    }
    text.chars().take(room.saturating_sub(1)).chain(['…']).collect()
}

/// As [`fit`], of an address: its end tells it from others.
fn fit_end(text: &str, room: usize) -> String {
    let surplus = text.chars().count().saturating_sub(room);
    if surplus == 0 {
        text.to_owned()
    } else {
        std::iter::once('…').chain(text.chars().skip(surplus + 1)).collect()
    }
}

fn table_row(row: &Row, address: usize, toxics: usize) -> TableRow<'static> {
    let plain = Style::new();
    let name = if row.enabled { plain.add_modifier(Modifier::BOLD) } else { plain.fg(Color::Red) };
    let moving = |rate: f64| if rate > 0.0 { plain.fg(Color::Green) } else { dim() };
    let listen = if row.enabled { row.listen.as_str() } else { "disabled" };
    TableRow::new([
        cell(&fit(&row.name, address), false, name),
        cell(&fit_end(listen, address), false, if row.enabled { plain } else { plain.fg(Color::Red) }),
        cell(&fit_end(&row.upstream, address), false, plain),
        cell(&row.open.to_string(), true, plain),
        cell(&row.total.to_string(), true, plain),
        cell(&words::bytes(row.up_per_s), true, moving(row.up_per_s)),
        cell(&words::bytes(row.down_per_s), true, moving(row.down_per_s)),
        cell(
            &if row.toxics.is_empty() { "–".to_owned() } else { fit(&row.shown, toxics) },
            false,
            if row.toxics.is_empty() { dim() } else { plain.fg(Color::Yellow) },
        ),
    ])
}

fn cell(text: &str, right: bool, style: Style) -> Cell<'static> {
    let text = Text::from(text.to_owned());
    Cell::from(if right { text.right_aligned() } else { text }).style(style)
}

fn dim() -> Style {
    Style::new().add_modifier(Modifier::DIM)
}

#[cfg(test)]
mod tests {
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;

    use super::{Row, View};

    fn screen(lost: Option<&str>) -> String {
        let row = Row {
            name: "redis".into(),
            listen: "127.0.0.1:16379".into(),
            upstream: "localhost:6379".into(),
            enabled: true,
            open: 3,
            total: 17,
            up_per_s: 1.5e6,
            down_per_s: 0.0,
            toxics: vec!["slow".into()],
            shown: "↓ slow".into(),
        };
        let off = Row {
            name: "db".into(),
            enabled: false,
            up_per_s: 0.0,
            toxics: Vec::new(),
            shown: "–".into(),
            ..row.clone()
        };
        let url = "http://localhost:8474".into();
        let view = View { url, rows: vec![row, off], lost: lost.map(Into::into) };
        let mut terminal = Terminal::new(TestBackend::new(100, 6)).unwrap();
        terminal.draw(|frame| view.draw(frame)).unwrap();
        let text = terminal.backend().to_string();
        text.lines().map(|line| line.trim_matches('"').trim_end().to_owned() + "\n").collect()
    }

    #[test]
    fn what_is_cut_is_seen_to_be() {
        assert_eq!(super::fit("127.0.0.1:16379", 15), "127.0.0.1:16379");
        assert_eq!(super::fit("↓ slow, ↑ cut", 8), "↓ slow,…");
        assert_eq!(super::fit_end("127.0.0.1:16379", 15), "127.0.0.1:16379");
        assert_eq!(super::fit_end("127.0.0.1:16379", 8), "…1:16379");
    }

    #[test]
    fn the_screen_shows_rates_and_toxics() {
        let expected = [
            "sabot  http://localhost:8474  2 proxies  6 connections  ↑ 1.5 MB/s  ↓ 0 B/s",
            "",
            "PROXY  LISTEN           UPSTREAM          OPEN     TOTAL       ↑/S       ↓/S  TOXICS",
            "redis  127.0.0.1:16379  localhost:6379       3        17    1.5 MB       0 B  ↓ slow",
            "db     disabled         localhost:6379       3        17       0 B       0 B  –",
            "q leaves",
        ];
        assert_eq!(screen(None), expected.join("\n") + "\n");
        assert!(screen(Some("no answer")).starts_with("sabot  http://localhost:8474  no answer\n"));
    }
}
