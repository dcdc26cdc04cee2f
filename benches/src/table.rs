//! Tables that read well both on a terminal and as Markdown.

use std::fmt::Write as _;

/// A table; the first column is flush left, the others right.
#[must_use]
pub fn render(head: &[&str], rows: &[Vec<String>]) -> String {
    let cells = |row: &[String], column: usize| row.get(column).map_or(0, |cell| cell.chars().count());
    let width = |(column, title): (usize, &&str)| {
        rows.iter().map(|row| cells(row, column)).chain([title.chars().count(), 2]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = head.iter().enumerate().map(width).collect();
    let mut text = String::new();
    line(&mut text, &widths, &head.iter().map(|title| (*title).to_owned()).collect::<Vec<_>>());
    let rule = |(column, width): (usize, &usize)| {
        if column == 0 {
            format!(":{}", "-".repeat(width - 1))
        } else {
            format!("{}:", "-".repeat(width - 1))
        }
    };
    line(&mut text, &widths, &widths.iter().enumerate().map(rule).collect::<Vec<_>>());
    for row in rows {
        line(&mut text, &widths, row);
    }
    text
}

fn line(text: &mut String, widths: &[usize], cells: &[String]) {
    for (column, (width, cell)) in widths.iter().zip(cells).enumerate() {
        // Writing to a string cannot fail.
        let _ =
            if column == 0 { write!(text, "| {cell:<width$} ") } else { write!(text, "| {cell:>width$} ") };
    }
    text.push_str("|\n");
}

/// A number with so many decimals; a dash if it is none.
#[must_use]
pub fn number(value: f64, decimals: usize) -> String {
    if value.is_finite() { format!("{value:.decimals$}") } else { "–".into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned() {
        let rows = [vec!["a".to_owned(), "10".to_owned()], vec!["µs".to_owned(), number(f64::NAN, 1)]];
        assert_eq!(
            render(&["what", "n"], &rows),
            "| what |  n |\n| :--- | -: |\n| a    | 10 |\n| µs   |  – |\n"
        );
    }
}
