//! `docs/toxics/`: a page for each kind and an index, from the catalog.

use std::fmt::Write as _;

use sabot_toxics::http::Match;
use sabot_toxics::{Kind, Phase, When, kinds};
use serde_json::{Map, Value, json};

use super::{Page, cell};
use crate::shape::Shape;
use crate::{catalog, pairs};

const GENERATED: &str =
    "<!-- Generated from the catalog; `SABOT_BLESS=1 cargo test -p sabot reference` rewrites it. -->\n";

pub(super) fn pages() -> Vec<Page> {
    let mut pages: Vec<_> = kinds().iter().map(page).collect();
    pages.push(index());
    pages
}

fn index() -> Page {
    let mut text = format!("# Toxics\n\n{GENERATED}\n");
    text.push_str("Every kind of fault, and the [conditions](#when) that each of them can carry.\n");
    for (phase, title) in [
        (Phase::Stream, "On the stream"),
        (Phase::Connect, "On new connections"),
        (Phase::Tls, "On TLS"),
        (Phase::Http, "On HTTP requests"),
    ] {
        let _ = write!(text, "\n## {title}\n\n| kind | what it does | Toxiproxy |\n|---|---|---|\n");
        for kind in kinds().iter().filter(|kind| kind.phase == phase) {
            let classic = if kind.classic.is_some() { "yes" } else { "" };
            let _ = writeln!(text, "| [{0}]({0}.md) | {1} | {classic} |", kind.name, cell(&kind.summary()));
        }
    }
    matching(&mut text);
    when(&mut text);
    Page { path: "toxics/README.md".to_owned(), text }
}

/// Which requests, from the schema.
fn matching(text: &mut String) {
    let schema = schemars::schema_for!(Match).to_value();
    text.push_str(
        "\n## Match\n\nThe attribute `match` of toxics that act on HTTP requests. All fields are optional; those that are \
         given must all hold. A pattern is a text, which must be the whole value, or one of `{\"prefix\": …}`, \
         `{\"glob\": …}` (`*` is anything but `/`, `**` anything at all, `?` one character, `[ab]` and \
         `{a,b}` are themselves) and `{\"regex\": …}` (unanchored, in the syntax of the Rust crate \
         `regex`). On the command line dots lead inwards: `-a match.path.prefix=/api/`.\n\n| field | meaning |\n|---|---|\n",
    );
    fields(&schema, text);
}

/// The conditions, from their own schema.
fn when(text: &mut String) {
    let schema = schemars::schema_for!(When).to_value();
    text.push_str(
        "\n## When\n\nFields of `when`, all optional; those that are given must all hold. Times count from the moment \
         the toxic was added, connections from the first one opened after it; for toxics that act on HTTP requests \
         `first` and `every` count the requests that they match.\n\n| field | meaning |\n|---|---|\n",
    );
    fields(&schema, text);
}

fn fields(schema: &Value, text: &mut String) {
    for (name, docs) in catalog::fields(schema) {
        let _ = writeln!(text, "| `{name}` | {} |", cell(&docs));
    }
}

fn page(kind: &Kind) -> Page {
    let mut text = format!("# {}\n\n{GENERATED}\n{}\n", kind.name, kind.docs().trim());
    let _ = write!(text, "\nIt {}.\n\n## Attributes\n\n", catalog::origin(kind));
    let attributes = catalog::attributes(kind);
    if attributes.is_empty() {
        text.push_str("None.\n");
    } else {
        text.push_str("| attribute | type | default | range | what it is |\n|---|---|---|---|---|\n");
        for it in attributes {
            let (kind, default, range, docs) =
                (cell(&it.kind), cell(&it.default), cell(&it.range), cell(&it.docs));
            let _ = writeln!(text, "| `{}` | {kind} | {default} | {range} | {docs} |", it.name);
        }
    }
    if let Some(classic) = kind.classic {
        let shown: Vec<_> = classic.iter().map(|name| format!("`{name}`")).collect();
        let shown = if shown.is_empty() { "none".to_owned() } else { shown.join(", ") };
        let _ = write!(text, "\nThe Toxiproxy routes show of them: {shown}.\n");
    }
    text.push_str("\nIts `when` can be any of [these conditions](README.md#when).\n");
    examples(kind, &mut text);
    Page { path: format!("toxics/{}.md", kind.name), text }
}

fn examples(kind: &Kind, text: &mut String) {
    let sample = catalog::sample(kind);
    let flags: String = sample.iter().map(|(key, value)| format!(" -a {key}={value}")).collect();
    let parsed: Vec<_> =
        sample.iter().filter_map(|(key, value)| pairs::parse(&format!("{key}={value}")).ok()).collect();
    let attributes: Map<String, Value> = pairs::map(&parsed, Shape::of(kind.schema()));
    let mut toxic = json!({"type": kind.name});
    if !attributes.is_empty() {
        toxic["attributes"] = Value::Object(attributes.clone());
    }
    let http = kind.phase == Phase::Http;
    let tls = kind.phase == Phase::Tls;
    let (proxy, whom) = match kind.phase {
        Phase::Http => ("payments", "requests"),
        Phase::Tls => ("secure", "connections"),
        _ => ("redis", "connections"),
    };
    let first = if http { " -a match.path=/charge" } else { "" };
    let address = if http {
        "    protocol: http\n    listen: localhost:18080\n    upstream: localhost:8080\n"
    } else if tls {
        "    tls: {terminate: {}}\n    listen: localhost:18443\n    upstream: localhost:8080\n"
    } else {
        "    listen: localhost:16379\n    upstream: localhost:6379\n"
    };
    let of_path = if http { " of one path" } else { "" };
    let _ = write!(
        text,
        "\n## Examples\n\nOn the command line, for all {whom}{of_path}, then for 30 % of them and for half a minute:\n\n\
         ```sh\nsabot toxic add -t {0}{flags}{first} {proxy}\n\
         sabot toxic add -t {0} -n sometimes{flags} --toxicity 0.3 --when expires_after=30s {proxy}\n```\n\n\
         Over the API:\n\n\
         ```sh\ncurl -d '{toxic}' localhost:8474/v1/proxies/{proxy}/toxics\n```\n\n\
         In a config file:\n\n\
         ```yaml\nproxies:\n  - name: {proxy}\n{address}    toxics:\n      - type: {0}\n",
        kind.name
    );
    if !attributes.is_empty() {
        text.push_str("        attributes:\n");
        for (key, value) in &sample {
            let _ = writeln!(text, "          {key}: {value}");
        }
    }
    text.push_str("```\n");
}
