use std::io::{self, Write};

use clap::Args;
use owo_colors::OwoColorize;
use sabot_toxics::{Kind, Phase, kinds, suggestion};
use serde_json::{Value, json};

use super::Run;
use crate::catalog;
use crate::context::Context;
use crate::failure::Failure;
use crate::table::{Table, Tone};

/// List the kinds of toxics, or explain one (needs no server)
#[derive(Args)]
pub(crate) struct Kinds {
    /// The kind to explain
    kind: Option<String>,
}

impl Run for Kinds {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let Some(name) = self.kind else {
            let all: Vec<_> = kinds().iter().map(wire).collect();
            return cx.output.answer(&json!({"kinds": all}), |out| {
                let mut table = cx.output.table(&["KIND", "ACTS ON", "WHAT IT DOES"]);
                for kind in kinds() {
                    let phase = match kind.phase {
                        Phase::Connect => "connect",
                        Phase::Stream => "stream",
                        Phase::Tls => "tls",
                        Phase::Http => "http",
                    };
                    table.row([
                        (kind.name.to_owned(), Tone::Strong),
                        (phase.to_owned(), Tone::Dim),
                        (kind.summary(), Tone::Plain),
                    ]);
                }
                table.write(out)?;
                writeln!(out, "\n`sabot kinds KIND` explains one")
            });
        };
        let Some(kind) = sabot_toxics::kind(&name) else {
            let known: Vec<_> = kinds().iter().map(|kind| kind.name).collect();
            let message = format!("there is no kind `{name}`{}", suggestion(&name, &known));
            return Err(Failure::new(message, "`sabot kinds` lists them all").into());
        };
        cx.output.answer(&wire(kind), |out| {
            let header = ["ATTRIBUTE", "TYPE", "DEFAULT", "RANGE", "WHAT IT IS"];
            let matching = cx.output.table(&["FIELD", "WHICH REQUESTS"]);
            explain(kind, cx.output.table(&header), matching, out)
        })
    }
}

fn explain(kind: &Kind, mut table: Table, mut matching: Table, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}  {}\n", kind.name.bold(), catalog::origin(kind).dimmed())?;
    for paragraph in kind.docs().split("\n\n") {
        writeln!(out, "{paragraph}\n")?;
    }
    let attributes = catalog::attributes(kind);
    if attributes.is_empty() {
        writeln!(out, "It has no attributes.")?;
    } else {
        for attribute in attributes {
            table.row([
                (attribute.name, Tone::Strong),
                (attribute.kind, Tone::Active),
                (attribute.default, Tone::Plain),
                (attribute.range, Tone::Plain),
                (attribute.docs, Tone::Plain),
            ]);
        }
        table.write(out)?;
    }
    if kind.phase == Phase::Http {
        writeln!(out, "\n{}", "MATCH, as in -a match.path.prefix=/api/".dimmed())?;
        for (field, docs) in catalog::fields(&kind.schema()["properties"]["match"]) {
            matching.row([(format!("match.{field}"), Tone::Strong), (docs, Tone::Plain)]);
        }
        matching.write(out)?;
    }
    let sample: String =
        catalog::sample(kind).iter().map(|(key, value)| format!(" -a {key}={value}")).collect();
    let add = format!("sabot toxic add -t {}{sample}", kind.name);
    writeln!(out, "\n{}", "EXAMPLES".dimmed())?;
    writeln!(out, "{add} PROXY")?;
    writeln!(out, "{add} --toxicity 0.3 --when expires_after=30s PROXY")
}

/// As `GET /v1/kinds` has it.
fn wire(kind: &Kind) -> Value {
    json!({
        "kind": kind.name,
        "phase": kind.phase,
        "summary": kind.summary(),
        "docs": kind.docs(),
        "toxiproxy": kind.classic.is_some(),
        "schema": kind.schema(),
    })
}
