//! The part of an address behind `?`: what is unknown or cannot be read is told, as in a body.

use std::collections::BTreeMap;

use http::Uri;
use sabot_toxics::{Invalid, suggestion};

use crate::error::ApiError;

/// What was given, and what may be.
pub(super) struct Query {
    given: BTreeMap<String, String>,
    known: Vec<&'static str>,
}

impl Query {
    /// What stands in an address; an empty value is none.
    pub(super) fn of(uri: &Uri) -> Result<Self, ApiError> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(uri);
        let pairs = pairs.map_err(|error| ApiError::bad_request(error.body_text()))?;
        let mut given = BTreeMap::new();
        for (name, value) in pairs.0 {
            if given.insert(name.clone(), value).is_some() {
                return Err(Invalid::new(name, "is given twice").into());
            }
        }
        Ok(Self { given, known: Vec::new() })
    }

    pub(super) fn text(&mut self, name: &'static str) -> Option<String> {
        self.known.push(name);
        self.given.remove(name).filter(|text| !text.is_empty())
    }

    pub(super) fn number(
        &mut self,
        name: &'static str,
        least: u32,
        most: u32,
    ) -> Result<Option<u32>, Invalid> {
        let Some(text) = self.text(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        let told = || Invalid::new(name, format!("must be a whole number from {least} to {most}"));
        number.ok_or_else(told).map(Some)
    }

    /// Refuses what nobody has asked for until now.
    pub(super) fn end(self) -> Result<(), Invalid> {
        match self.given.into_keys().next() {
            None => Ok(()),
            Some(name) => {
                let hint = suggestion(&name, &self.known);
                Err(Invalid::new(name, format!("unknown parameter{hint}")))
            }
        }
    }
}
