//! Runs as JSON and as tables, and a page that holds the latest.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::exact::Row;
use crate::figures::{FIGURES, Judged, Need, judge};
use crate::machine::Machine;
use crate::peers::{DIRECT, PEERS, SABOT};
use crate::table::{self, number};

/// A run of `compare`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Comparison {
    /// Where.
    pub machine: Machine,
    /// The day, as `date` writes it.
    pub day: String,
    /// How often each measurement was made.
    pub rounds: u32,
    /// How long each took.
    pub seconds: u32,
    /// Column → version.
    pub versions: BTreeMap<String, String>,
    /// Row id → column → one value a round.
    pub samples: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
    /// How quiet the machine was.
    pub quiet: String,
    /// What failed, if anything.
    pub failures: Vec<String>,
}

impl Comparison {
    /// The rows that were measured, judged.
    #[must_use]
    pub fn judged(&self) -> Vec<Judged> {
        let measured = FIGURES.iter().filter(|figure| self.samples.contains_key(figure.id));
        measured.map(|figure| judge(figure, &self.samples)).collect()
    }

    /// The samples with their medians and verdicts.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write(&self, file: &Path) -> Result<()> {
        let mut value = serde_json::to_value(self)?;
        value["figures"] = serde_json::to_value(self.judged())?;
        write_json(file, &value)
    }

    /// The table and what must be known to read it.
    #[must_use]
    pub fn text(&self) -> String {
        let columns: Vec<&str> = [DIRECT].into_iter().chain(PEERS.iter().map(|peer| peer.name)).collect();
        let (peers, sabot) = columns.split_at(columns.len() - 1);
        let mut head = vec!["figure"];
        head.extend(peers);
        head.extend(["Toxiproxy, earlier", sabot[0], "required", "to required", "to best peer", ""]);
        let rows: Vec<Vec<String>> = self.judged().iter().map(|judged| self.row(judged, peers)).collect();
        let versions: Vec<String> =
            self.versions.iter().map(|(name, version)| format!("{name} {version}")).collect();
        let mut text = format!(
            "{}\n{} Measured on {}: medians of {} rounds, {} s a measurement, contenders interleaved. {} \
             Versions: {}.\n",
            table::render(&head, &rows),
            self.machine.sentence(),
            self.day,
            self.rounds,
            self.seconds,
            self.quiet,
            versions.join(", ")
        );
        for failure in &self.failures {
            text.push_str(&format!("\nFailed: {failure}\n"));
        }
        text
    }

    fn row(&self, judged: &Judged, peers: &[&str]) -> Vec<String> {
        let Some(figure) = FIGURES.iter().find(|figure| figure.id == judged.id) else { return Vec::new() };
        let show =
            |value: Option<f64>| value.map_or_else(|| "–".into(), |value| number(value, figure.decimals));
        let ratio = |value: Option<f64>| value.map_or_else(|| "–".into(), |value| format!("{value:.2}"));
        let mut row = vec![figure.title.to_owned()];
        row.extend(peers.iter().map(|name| show(judged.medians.get(*name).copied())));
        row.push(figure.toxiproxy.to_owned());
        row.push(self.with_spread(judged, figure.decimals));
        let sign = if figure.more { "≥" } else { "≤" };
        row.push(match (figure.need, judged.required) {
            (Need::Nothing, _) | (_, None) => "–".into(),
            (Need::Best, Some(value)) => format!("{sign} best, {}", number(value, figure.decimals)),
            (Need::Peer(name), Some(value)) => format!("{sign} {name}, {}", number(value, figure.decimals)),
            (Need::OfDirect(..), Some(value)) => {
                format!("{sign} 2 × Toxiproxy, {}", number(value, figure.decimals))
            }
            (Need::OfOwn(share, _), Some(value)) => {
                format!("{sign} {share} × without, {}", number(value, figure.decimals))
            }
            (Need::Value(value), _) => format!("{sign} {value}"),
        });
        row.push(ratio(judged.to_required));
        row.push(ratio(judged.to_best_peer));
        row.push(judged.met.map_or("", |met| if met { "met" } else { "MISSED" }).to_owned());
        row
    }

    /// The median, and the least and the greatest round.
    fn with_spread(&self, judged: &Judged, decimals: usize) -> String {
        let values = self.samples.get(judged.id).and_then(|columns| columns.get(SABOT));
        let Some((values, median)) = values.zip(judged.medians.get(SABOT)) else { return "–".into() };
        let least = values.iter().copied().fold(f64::INFINITY, f64::min);
        let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        match values.len() {
            1 => number(*median, decimals),
            _ => format!(
                "{} ({}–{})",
                number(*median, decimals),
                number(least, decimals),
                number(most, decimals)
            ),
        }
    }
}

/// A run of `fidelity`.
#[derive(Debug, Serialize, Deserialize)]
pub struct Fidelity {
    /// Where.
    pub machine: Machine,
    /// The day, as `date` writes it.
    pub day: String,
    /// What was measured.
    pub target: String,
    /// The results.
    pub rows: Vec<Row>,
    /// How quiet the machine was.
    pub quiet: String,
    /// What failed, if anything.
    pub failures: Vec<String>,
}

impl Fidelity {
    /// The table and what must be known to read it.
    #[must_use]
    pub fn text(&self) -> String {
        let rows: Vec<Vec<String>> = self.rows.iter().map(exactness).collect();
        let head = ["asked", "figure", "measured", "required", "Toxiproxy, earlier", ""];
        let mut text = table::render(&head, &rows);
        text.push_str(&format!(
            "\n{} Measured on {}: {}. {}\n",
            self.machine.sentence(),
            self.day,
            self.target,
            self.quiet
        ));
        for failure in &self.failures {
            text.push_str(&format!("\nFailed: {failure}\n"));
        }
        text
    }
}

fn exactness(row: &Row) -> Vec<String> {
    let required = match row.required {
        None => "–".into(),
        Some((least, most)) if least < -1e6 => format!("≤ {most}"),
        Some((least, most)) if least == most => format!("{most}"),
        Some((least, most)) => {
            // Two decimals would round narrow bounds to others.
            let decimals = if most - least < 0.015 { 4 } else { 2 };
            format!("{least:.decimals$}–{most:.decimals$}")
        }
    };
    let verdict = row.met().map_or("", |met| if met { "met" } else { "MISSED" });
    let measured = number(row.measured, row.decimals);
    vec![row.asked.clone(), row.figure.clone(), measured, required, row.toxiproxy.clone(), verdict.into()]
}

/// Writes JSON that people can read too.
///
/// # Errors
/// The file cannot be written.
pub fn write_json(file: &Path, value: &impl Serialize) -> Result<()> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent).with_context(|| format!("failed to make {}", parent.display()))?;
    }
    let text = serde_json::to_string_pretty(value)? + "\n";
    fs::write(file, text).with_context(|| format!("failed to write {}", file.display()))
}

/// Puts `text` between the page's lines `<!-- NAME -->` and `<!-- end of NAME -->`.
///
/// # Errors
/// The page cannot be read or written, or has no such lines.
pub fn update_page(page: &Path, name: &str, text: &str) -> Result<()> {
    let old = fs::read_to_string(page).with_context(|| format!("failed to read {}", page.display()))?;
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- end of {name} -->\n"));
    let parts = old.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, after) =
        parts.with_context(|| format!("failed to find {} in {}", begin.trim(), page.display()))?;
    fs::write(page, format!("{before}{begin}{text}{end}{after}"))
        .with_context(|| format!("failed to write {}", page.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_what_is_around_the_table() {
        let place = tempfile::tempdir().unwrap();
        let page = place.path().join("page.md");
        fs::write(&page, "before\n<!-- x -->\nold\n<!-- end of x -->\nafter\n").unwrap();
        update_page(&page, "x", "new\n").unwrap();
        update_page(&page, "x", "newer\n").unwrap();
        let text = fs::read_to_string(&page).unwrap();
        assert_eq!(text, "before\n<!-- x -->\nnewer\n<!-- end of x -->\nafter\n");
        assert!(update_page(&page, "y", "").is_err());
    }
}
