//! Reading a record back: from a file that somebody kept, or out of the history.

use super::{FORMAT, Record};

/// Why a text is no record that can be used.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is no JSON, or lacks a field; the error says where.
    #[error("{field}{error}; a record is what `sabot run` and `sabot report -o json` write")]
    Unreadable {
        /// The path of the field with a colon and a space, or nothing.
        field: String,
        /// What is wrong, with line and column.
        error: serde_json::Error,
    },
    /// A newer Sabot wrote it.
    #[error(
        "format: it has format {found}, this Sabot reads up to {FORMAT}: use the Sabot that wrote it, or a newer one"
    )]
    Newer {
        /// The format that it says it has.
        found: u64,
    },
}

impl Record {
    /// Reads a record written as JSON.
    ///
    /// # Errors
    /// It is none, or one of a newer format.
    pub fn read(json: &str) -> Result<Self, ReadError> {
        // A newer one may have other fields: its number is looked at first.
        let value: serde_json::Value = serde_json::from_str(json)
            .map_err(|error| ReadError::Unreadable { field: String::new(), error })?;
        if let Some(found) = value["format"].as_u64().filter(|found| *found > u64::from(FORMAT)) {
            return Err(ReadError::Newer { found });
        }
        let mut json = serde_json::Deserializer::from_str(json);
        serde_path_to_error::deserialize(&mut json).map_err(|error| {
            let path = error.path().to_string();
            // "." is the whole document.
            let field = if path == "." { String::new() } else { format!("{path}: ") };
            ReadError::Unreadable { field, error: error.into_inner() }
        })
    }
}

#[cfg(test)]
mod tests {
    use crate::record::Record;
    use crate::report::sample;

    #[test]
    fn what_was_written_is_read_back() {
        let record = sample::off();
        assert_eq!(Record::read(&serde_json::to_string(&record).unwrap()).unwrap(), record);
    }

    #[test]
    fn what_is_none_is_refused_with_its_place() {
        let mut json = serde_json::to_value(sample::off()).unwrap();
        json["phases"]["fault_s"] = "soon".into();
        let error = Record::read(&json.to_string()).unwrap_err().to_string();
        assert!(error.starts_with("phases.fault_s: invalid type: string \"soon\""), "{error}");
        assert!(Record::read("{").unwrap_err().to_string().contains("line 1 column 1"));
    }

    #[test]
    fn a_newer_format_is_refused_whatever_else_it_holds() {
        let error = Record::read(r#"{"format": 99, "something": "new"}"#).unwrap_err().to_string();
        assert!(error.starts_with("format: it has format 99"), "{error}");
    }
}
