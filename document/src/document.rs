//! A file that was read.

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::tree::Node;
use crate::{DocumentError, json, spanned};

/// What people write is a few kilobytes; 16 MiB is another file given by mistake.
const MAX_FILE: u64 = 16 << 20;

/// A JSON, YAML or TOML file with the place of every part.
#[derive(Debug)]
pub struct Document {
    file: String,
    text: String,
    tree: Node,
}

impl Document {
    /// Reads a file; its name's ending says the format, else its first character.
    ///
    /// # Errors
    /// It cannot be read, is larger than 16 MiB, or is not of its format.
    pub fn read(path: &Path) -> Result<Self, DocumentError> {
        let file = path.display().to_string();
        let refuse = |reason: &str| DocumentError::unreadable(&file, reason);
        let length = std::fs::metadata(path).map_err(|error| refuse(&error.to_string()))?.len();
        if length > MAX_FILE {
            return Err(refuse(&format!("it is larger than {} MiB", MAX_FILE >> 20)));
        }
        let text = std::fs::read_to_string(path).map_err(|error| refuse(&error.to_string()))?;
        Self::parse(file, text)
    }

    /// Reads `text` as the content of a file of that name.
    ///
    /// # Errors
    /// It is not of its format.
    pub fn parse(file: String, text: String) -> Result<Self, DocumentError> {
        let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
        let parse = match Format::of(&file, &text) {
            Format::Json => json::parse,
            Format::Yaml => spanned::yaml,
            Format::Toml => spanned::toml,
        };
        match parse(&text) {
            Ok(tree) => Ok(Self { file, text, tree }),
            Err((position, message)) => {
                Err(DocumentError::new(file, &text, position, String::new(), message))
            }
        }
    }

    /// The file's name as it was given.
    #[must_use]
    pub fn file(&self) -> &str {
        &self.file
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All of it, without the places.
    #[must_use]
    pub fn to_value(&self) -> Value {
        self.tree.to_value()
    }

    /// All of it as a `T`.
    ///
    /// # Errors
    /// A field is unknown, missing or of another type; the error points at it, and an unknown
    /// field's names the nearest known one.
    pub fn to<T: DeserializeOwned>(&self) -> Result<T, DocumentError> {
        self.read_value(self.to_value())
    }

    /// `value`, a part of this document that was taken out by hand, as a `T`; paths in errors count
    /// from the document's root.
    ///
    /// # Errors
    /// As [`to`](Self::to).
    pub fn read_value<T: DeserializeOwned>(&self, value: Value) -> Result<T, DocumentError> {
        sabot_invalid::read(value).map_err(|error| self.refuse(&error.field, error.message))
    }

    /// The same document with every text – keys apart – put through `change`.
    ///
    /// # Errors
    /// `change` refused a text; the error points at it.
    pub fn map_texts(
        &self,
        mut change: impl FnMut(&str) -> Result<String, String>,
    ) -> Result<Self, DocumentError> {
        let tree = self.tree.map_texts(&mut change).map_err(|(at, message)| {
            let position = at.map(|at| at.position(&self.text));
            DocumentError::new(self.file.clone(), &self.text, position, String::new(), message)
        })?;
        Ok(Self { file: self.file.clone(), text: self.text.clone(), tree })
    }

    /// An error about `field`, a path such as `proxies[0].toxics[1].type`, pointing at its place
    /// or at that of what of the path there is.
    pub fn refuse(&self, field: &str, message: impl Into<String>) -> DocumentError {
        self.refuse_at(field, field, message)
    }

    /// As [`refuse`](Self::refuse), where the field that the error names stands at another path in
    /// this file.
    pub fn refuse_at(&self, path: &str, field: &str, message: impl Into<String>) -> DocumentError {
        let message = message.into();
        // A name that does not exist is itself wrong; elsewhere the value is.
        let of_key = ["unknown field", "unknown attribute"].iter().any(|what| message.starts_with(what));
        let position = self.tree.locate(path, of_key).map(|at| at.position(&self.text));
        DocumentError::new(self.file.clone(), &self.text, position, field.to_owned(), message)
    }
}

enum Format {
    Json,
    Yaml,
    Toml,
}

impl Format {
    fn of(file: &str, text: &str) -> Self {
        let ending = Path::new(file).extension().and_then(|ending| ending.to_str());
        match ending.map(str::to_ascii_lowercase).as_deref() {
            Some("json") => Self::Json,
            Some("yaml" | "yml") => Self::Yaml,
            Some("toml") => Self::Toml,
            // Mounted secrets and the like have no ending.
            _ => match text.trim_start() {
                text if text.starts_with("[[") && !text[2..].trim_start().starts_with(['{', '[']) => {
                    Self::Toml
                }
                text if text.starts_with(['[', '{']) => Self::Json,
                _ => Self::Yaml,
            },
        }
    }
}
