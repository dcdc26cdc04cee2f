//! A report for a pull request: short, one table, the command.

use std::fmt::Write as _;

use super::{text, title};
use crate::judge::{Phase, Verdict};
use crate::record::Record;

/// The report of a run as Markdown of the kind that code hosts show; `failure` is why it fails the build.
#[must_use]
pub fn markdown(record: &Record, failure: Option<&str>) -> String {
    let judgement = &record.judgement;
    let mut out = String::new();
    let _ = write!(
        out,
        "### {} {}: {}\n\n",
        sign(judgement.verdict),
        capitalized(judgement.verdict.name()),
        plain(&title(record))
    );
    if !record.hypothesis.is_empty() {
        let _ = write!(out, "> {}\n\n", plain(&record.hypothesis));
    }
    for reason in &judgement.reasons {
        let _ = writeln!(out, "- {}", sentence(reason));
    }
    if let Some(expected) = record.expect {
        let word = if record.as_expected() { "As expected" } else { "**Not as expected**" };
        let _ = writeln!(out, "- {word}: `{}` was.", expected.name());
    }
    if let Some(failure) = failure {
        let _ = writeln!(out, "- **Fails the build**: {}", sentence(failure));
    }
    out.push('\n');
    table(record, &mut out);
    let _ = write!(out, "\n{}\n", facts(record));
    if !judgement.warnings.is_empty() {
        out.push('\n');
        for warning in &judgement.warnings {
            let _ = writeln!(out, "> ⚠️ {}", sentence(warning));
        }
    }
    let _ = write!(out, "\nAgain: {}\n", code(&record.command));
    out
}

fn table(record: &Record, out: &mut String) {
    out.push_str("| all requests | p50 | p90 | p99 | p99.9 | errors | offered | effective |\n|---|--:|--:|--:|--:|--:|--:|--:|\n");
    for phase in text::PHASES {
        let Some(part) = record.part(phase, None) else { continue };
        let latency = |ms: Option<f64>| ms.map_or_else(|| text::NOTHING.to_owned(), text::millis);
        let latencies = part.latency_ms;
        let name = if phase == Phase::Fault { "**fault**" } else { phase.name() };
        let _ = writeln!(
            out,
            "| {name} | {} | {} | {} | {} | {} | {} | {} |",
            latency(latencies.map(|l| l.p50)),
            latency(latencies.map(|l| l.p90)),
            latency(latencies.map(|l| l.p99)),
            latency(latencies.map(|l| l.p999)),
            text::share(part.error_rate),
            text::rate(part.offered_per_s),
            text::rate(part.effective_per_s),
        );
    }
}

/// What was broken, how far it spread, and how long it took to come back.
fn facts(record: &Record) -> String {
    let judgement = &record.judgement;
    let fault = |fault: &crate::record::FaultRecord| {
        format!("`{}` on {} (acted {} times)", fault.kind, plain(&fault.proxy), fault.applied)
    };
    let faults: Vec<_> = record.faults.iter().map(fault).collect();
    let mut endpoints: Vec<&str> =
        judgement.blast_radius.iter().filter_map(|hit| hit.endpoint.as_deref()).collect();
    endpoints.sort_unstable();
    endpoints.dedup();
    let hit: Vec<_> = endpoints.into_iter().map(plain).collect();
    let mut facts = Vec::new();
    if !faults.is_empty() {
        facts.push(format!("Fault: {}", faults.join(", ")));
    }
    facts.push(format!("blast radius: {}", if hit.is_empty() { "none".to_owned() } else { hit.join(", ") }));
    facts.push(format!("MTTR: {}", text::mttr(judgement)));
    if let Some(recovery) = judgement.recovery {
        facts.push(text::recovery(recovery).to_owned());
    }
    facts.join(" · ")
}

/// A sign that is seen in a list of comments.
pub(super) fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Held => "✅",
        Verdict::Degraded => "⚠️",
        Verdict::Failed => "❌",
        Verdict::Aborted => "⏹️",
        Verdict::Invalid => "❔",
    }
}

pub(super) fn capitalized(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

/// Text of others, so that it stays text: on one line, without markup.
pub(super) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            // A name after it would be called.
            '@' => out.push_str("&#64;"),
            '\\' | '`' | '*' | '_' | '[' | ']' | '|' | '#' | '~' | '!' => {
                out.push('\\');
                out.push(letter);
            }
            letter if letter.is_control() => out.push(' '),
            letter => out.push(letter),
        }
    }
    out
}

fn sentence(text: &str) -> String {
    text::parts(text)
        .into_iter()
        .map(|(is_code, part)| if is_code { code(part) } else { plain(part) })
        .collect()
}

/// Text as code, whatever backticks it holds.
pub(super) fn code(text: &str) -> String {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0);
    let fence = "`".repeat(longest + 1);
    let air = if text.starts_with('`') || text.ends_with('`') { " " } else { "" };
    format!("{fence}{air}{text}{air}{fence}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn it_is_short_and_current() {
        sample::golden("off.md", &markdown(&sample::off(), Some("It was held, and is failed")));
        sample::golden("on.md", &markdown(&sample::on(), None));
    }

    #[test]
    fn text_of_others_stays_text() {
        assert_eq!(plain("a|b <script> *x* @all\nnext"), "a\\|b &lt;script&gt; \\*x\\* &#64;all next");
        assert_eq!(code("a `b` c"), "``a `b` c``");
        assert_eq!(code("`"), "`` ` ``");
        assert_eq!(sentence("In `a < b` it_is"), "In `a < b` it\\_is");
    }
}
