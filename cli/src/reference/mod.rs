//! The pages of the docs that are generated: the CLI reference, a page for each
//! kind of toxic, and the schemas of files.
//!
//! Compiled for tests only: a test compares the committed pages with what would
//! be generated now. `SABOT_BLESS=1 cargo test -p sabot reference` rewrites them.

mod cli;
mod schemas;
mod toxics;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs")
}

/// A generated page: its path below `docs/`, and its text.
struct Page {
    path: String,
    text: String,
}

fn pages() -> Vec<Page> {
    let mut pages = toxics::pages();
    pages.push(cli::page());
    pages.extend(schemas::pages());
    pages
}

#[test]
fn generated_pages_are_current() {
    let bless = std::env::var_os("SABOT_BLESS").is_some();
    let mut stale = Vec::new();
    for page in pages() {
        let path = docs().join(&page.path);
        if std::fs::read_to_string(&path).is_ok_and(|text| text == page.text) {
            continue;
        }
        if bless {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, page.text).unwrap();
        } else {
            stale.push(page.path);
        }
    }
    assert!(stale.is_empty(), "not current: {stale:?}; SABOT_BLESS=1 rewrites them");
}

/// A kind that left takes its page along.
#[test]
fn no_page_is_left_over() {
    let expected: BTreeSet<_> = pages().into_iter().map(|page| page.path).collect();
    for entry in std::fs::read_dir(docs().join("toxics")).unwrap() {
        let path = format!("toxics/{}", entry.unwrap().file_name().to_str().unwrap());
        assert!(expected.contains(&path), "docs/{path} belongs to no kind: delete it");
    }
}

/// A cell of a Markdown table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
