//! Why a file was refused, and where in it.

use std::fmt;

use crate::Position;

/// A file that cannot be used.
#[derive(Debug)]
pub struct DocumentError {
    /// The file's name as it was given.
    pub file: String,
    /// Where in the file, counted from 1; none if it could not be read at all.
    pub position: Option<Position>,
    /// The path of the field, such as `proxies[0].toxics[1].attributes.latncy`;
    /// empty for what is no JSON, YAML or TOML.
    pub field: String,
    /// What is wrong, and what to do instead.
    pub message: String,
    line: String,
}

impl DocumentError {
    pub(crate) fn new(
        file: String,
        text: &str,
        position: Option<Position>,
        field: String,
        message: String,
    ) -> Self {
        let line = position.and_then(|at| text.lines().nth(at.line.checked_sub(1)?));
        let line = line.unwrap_or_default().to_owned();
        Self { file, position, field, message, line }
    }

    pub(crate) fn unreadable(file: &str, reason: &str) -> Self {
        let message = format!("failed to read it: {reason}");
        Self { file: file.to_owned(), position: None, field: String::new(), message, line: String::new() }
    }

    /// The line and a mark under the place, for people.
    #[must_use]
    pub fn excerpt(&self) -> Option<String> {
        let at = self.position?;
        let number = at.line.to_string();
        let gutter = " ".repeat(number.len());
        // Tabs stay tabs, so that the mark stands below what it marks.
        let before = self.line.chars().take(at.column.saturating_sub(1));
        let indent: String = before.map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
        Some(format!("{gutter} |\n{number} | {}\n{gutter} | {indent}^", self.line))
    }
}

/// `file:line:column: field: message`, which editors and CI understand.
impl fmt::Display for DocumentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(at) = self.position {
            write!(f, ":{}:{}", at.line, at.column)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.message)
    }
}

impl std::error::Error for DocumentError {}
