//! The tables of docs/benchmarks.md are those of the committed results.
//! `SABOT_BLESS=1` writes them anew.

#![allow(clippy::unwrap_used, reason = "a test's helpers panic like the test")]
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

use sabot_benches::report::{Comparison, Fidelity, update_page};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn holds(table: &str, text: &str) {
    let page = root().join("docs").join("benchmarks.md");
    if env::var_os("SABOT_BLESS").is_some() {
        update_page(&page, table, text).unwrap();
    }
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains(text), "docs/benchmarks.md is not current: make docs");
}

fn result(name: &str) -> String {
    fs::read_to_string(root().join("benches").join("results").join(name)).unwrap()
}

/// One test for both: two would write the page at once.
#[test]
fn generated_tables_are_current() {
    holds("compare", &serde_json::from_str::<Comparison>(&result("compare.json")).unwrap().text());
    holds("http", &serde_json::from_str::<Comparison>(&result("http.json")).unwrap().text());
    holds("fidelity", &serde_json::from_str::<Fidelity>(&result("fidelity.json")).unwrap().text());
    let http = result("http-fidelity.json");
    holds("http fidelity", &serde_json::from_str::<Fidelity>(&http).unwrap().text());
}
