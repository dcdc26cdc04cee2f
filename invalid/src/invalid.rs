//! Why a setting was refused.

/// A field that cannot be what was given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {message}")]
pub struct Invalid {
    /// Path of the field, such as `attributes.jitter`.
    pub field: String,
    /// What is wrong and what to do instead.
    pub message: String,
}

impl Invalid {
    /// A refusal of `field`.
    pub fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// The same refusal seen from one level up.
    #[must_use]
    pub fn within(self, parent: &str) -> Self {
        let field = match (parent, self.field.as_str()) {
            ("", field) => field.to_owned(),
            (parent, "") => parent.to_owned(),
            (parent, field) if field.starts_with('[') => format!("{parent}{field}"),
            (parent, field) => format!("{parent}.{field}"),
        };
        Self { field, message: self.message }
    }

    /// Refuses a `field` that is to be a share of something and is not.
    ///
    /// # Errors
    /// `value` does not lie between 0 and 1.
    pub fn unless_share(field: &str, value: f64) -> Result<(), Self> {
        if (0.0..=1.0).contains(&value) {
            return Ok(());
        }
        Err(Self::new(field, "must lie between 0 and 1"))
    }

    /// Refuses a `field` with control characters: shown by a terminal, they could do
    /// more than be read.
    ///
    /// # Errors
    /// `text` has one.
    pub fn unless_printable(field: &str, text: &str) -> Result<(), Self> {
        match text.chars().find(|char| char.is_control()) {
            None => Ok(()),
            Some(char) => {
                let message = format!("must not hold control characters such as {}", char.escape_unicode());
                Err(Self::new(field, message))
            }
        }
    }

    /// A field that does not exist, with the nearest one that does.
    pub fn unknown(what: &str, field: &str, known: &[&str]) -> Self {
        Self::new(field, format!("unknown {what}{}", suggestion(field, known)))
    }
}

/// "; did you mean …?" or the list of what there is.
#[must_use]
pub fn suggestion(given: &str, known: &[&str]) -> String {
    let near = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&given.to_lowercase(), &name.to_lowercase()), *name))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= 1 + name.len() / 3);
    match near {
        Some((_, name)) => format!(", did you mean `{name}`?"),
        None if known.is_empty() => ", there are none".to_owned(),
        None => format!(", known are: {}", known.join(", ")),
    }
}
