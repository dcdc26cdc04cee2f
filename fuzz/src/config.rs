//! Arbitrary config files: refused with a message or read, never a panic.

use sabot_document::Document;

#[allow(dead_code, unreachable_pub, reason = "the module is included for its reader alone")]
#[path = "../../cli/src/config/mod.rs"]
mod reader;

/// One input: the first byte chooses the format.
pub fn run(data: &[u8]) {
    let Some((format, text)) = data.split_first() else { return };
    let Ok(text) = std::str::from_utf8(text) else { return };
    let ending = ["json", "yaml", "toml"][usize::from(*format) % 3];
    match Document::parse(format!("fuzz.{ending}"), text.to_owned()).and_then(reader::Config::of) {
        Ok(config) => assert!(config.proxies.iter().all(|proxy| !proxy.upstream.is_empty())),
        Err(error) => assert!(!error.to_string().is_empty(), "an error without a word"),
    }
}
