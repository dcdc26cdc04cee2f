//! Heads of requests from arbitrary bytes.

use http::request::Parts;
use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};

/// What comes before the first zero byte, and what comes behind.
pub(crate) fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let end = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    (&data[..end], data.get(end + 1..).unwrap_or_default())
}

/// A head: a line with the method, the target and the status of the answer, then a
/// header in each line, its name and value parted by the first colon. What is none is
/// left out.
pub(crate) fn read(data: &[u8]) -> Option<(Parts, StatusCode)> {
    let mut lines = data.split(|byte| *byte == b'\n');
    let mut first = lines.next()?.split(|byte| *byte == b' ');
    let mut request = http::Request::new(());
    *request.method_mut() = Method::from_bytes(first.next()?).ok()?;
    *request.uri_mut() = Uri::try_from(first.next()?).ok()?;
    let status = first.next().and_then(|text| StatusCode::from_bytes(text).ok()).unwrap_or_default();
    for line in lines.take(100) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let name = HeaderName::from_bytes(&line[..colon]);
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(&line[colon + 1..])) {
            request.headers_mut().append(name, value);
        }
    }
    Some((request.into_parts().0, status))
}
