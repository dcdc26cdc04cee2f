//! A comparison for a pull request.

use std::fmt::Write as _;

use super::{Comparison, Side};
use crate::report::markdown::{capitalized, code, plain, sign};
use crate::report::text;

pub(super) fn markdown(comparison: &Comparison) -> String {
    let (a, b) = (&comparison.a, &comparison.b);
    let (about, names) = comparison.names();
    let mut out = about.map(|about| format!("### {}\n\n", plain(about))).unwrap_or_default();
    let _ =
        write!(out, "| | {} | {} | difference |\n|---|--:|--:|--:|\n", plain(&names[0]), plain(&names[1]));
    let verdict = |side: &Side| format!("{} **{}**", sign(side.verdict), capitalized(side.verdict.name()));
    let mut row = |name: &str, a: String, b: String, difference: String| {
        let _ = writeln!(out, "| {name} | {a} | {b} | {difference} |");
    };
    row("verdict", verdict(a), verdict(b), String::new());
    row("blast radius", plain(&a.hit()), plain(&b.hit()), String::new());
    row("came through", a.recovery().into(), b.recovery().into(), String::new());
    row("time to recovery", a.mttr(), b.mttr(), String::new());
    for pair in comparison.of_all() {
        let name = format!("{} {}", pair.phase.name(), pair.measure.name());
        row(&name, pair.measure.words(pair.a), pair.measure.words(pair.b), pair.difference());
    }
    out.push_str("\n| objective | | |\n|---|--:|--:|\n");
    for pair in &comparison.objectives {
        let said = |said: &Option<(String, Option<bool>)>| match said {
            Some((value, met)) => format!("{} {}", plain(value), if *met == Some(false) { "❌" } else { "" })
                .trim_end()
                .to_owned(),
            None => text::NOTHING.to_owned(),
        };
        let of = pair.tenant.as_deref().map(|tenant| format!(" ({})", plain(tenant))).unwrap_or_default();
        let _ = writeln!(
            out,
            "| {}: {}{of} | {} | {} |",
            pair.phase.name(),
            plain(&pair.slo),
            said(&pair.a),
            said(&pair.b)
        );
    }
    for difference in &comparison.differences {
        let _ = write!(out, "\n> ⚠️ {}\n", plain(difference));
    }
    let _ = write!(out, "\nAgain: {} and {}\n", code(&a.command), code(&b.command));
    out
}
