//! A body put in another's place.

use std::io::{self, Write};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, TRAILER};
use http::{HeaderValue, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::values::Text;
use super::{Body, Response};

/// How a body is compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(inline)]
pub enum Coding {
    /// Not at all.
    #[default]
    #[serde(rename = "")]
    Identity,
    /// As gzip does it.
    Gzip,
    /// The zlib format, which HTTP calls by this name (RFC 9110, section 8.4.1.2).
    Deflate,
}

impl Coding {
    fn name(self) -> Option<HeaderValue> {
        match self {
            Self::Identity => None,
            Self::Gzip => Some(HeaderValue::from_static("gzip")),
            Self::Deflate => Some(HeaderValue::from_static("deflate")),
        }
    }

    /// `data` compressed so.
    ///
    /// # Errors
    /// None in truth: what is written to lies in memory.
    fn encode(self, data: &[u8]) -> io::Result<Bytes> {
        let encoded = match self {
            Self::Identity => data.to_vec(),
            Self::Gzip => {
                let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(data)?;
                encoder.finish()?
            }
            Self::Deflate => {
                let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
                encoder.write_all(data)?;
                encoder.finish()?
            }
        };
        Ok(encoded.into())
    }
}

/// Gives the answer another body, and headers that fit it. An empty `content_type`
/// keeps the one that is there.
pub(crate) fn replace(response: &mut Response, body: &str, coding: Coding, content_type: &Text) {
    let (data, coding) = match coding.encode(body.as_bytes()) {
        Ok(data) => (data, coding.name()),
        Err(_) => (Bytes::copy_from_slice(body.as_bytes()), None),
    };
    let headers = response.headers_mut();
    // The new length is known by the body; trailers go with the old one.
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRAILER);
    match coding {
        Some(coding) => drop(headers.insert(CONTENT_ENCODING, coding)),
        None => drop(headers.remove(CONTENT_ENCODING)),
    }
    if !content_type.0.is_empty() {
        headers.insert(CONTENT_TYPE, content_type.0.clone());
    }
    *response.body_mut() = if has_content(response.status()) { Body::full(data) } else { Body::empty() };
}

/// Whether an answer of that status may have a body (RFC 9110, section 6.4.1; 205 has
/// none either, section 15.3.6).
pub(crate) fn has_content(status: StatusCode) -> bool {
    let without = [StatusCode::NO_CONTENT, StatusCode::RESET_CONTENT, StatusCode::NOT_MODIFIED];
    !status.is_informational() && !without.contains(&status)
}
