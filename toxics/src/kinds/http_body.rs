use std::collections::BTreeMap;
use std::sync::Arc;

use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use http_body::Body as _;
use http_body::Frame;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::corrupt::{Corrupt, Hits};
use crate::Invalid;
use crate::http::body::Whole;
use crate::http::json;
use crate::http::values::{Side, Status};
use crate::http::{Answer, Body, Cx, Fault, HttpToxic, Next, Request};

/// Changes the body of requests or answers, and corrects its length.
///
/// It is replaced by a text, or, if it is JSON, gets a merge patch (RFC 7386) and then
/// values by JSON pointer (RFC 6901); of what results, bits may be flipped. Edits leave
/// alone what they cannot read: a body that is compressed, longer than 1 MiB, no JSON, or
/// of another `content-type`. What has no body gets none. For the request's side
/// `match.status` is refused. A body that is still waited for when the toxic is removed
/// passes as it is; flips go on to the end of a body that has begun.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpBody {
    /// Whose body.
    pub side: Side,
    /// The whole new body, as text; `null` leaves it.
    pub replace: Option<String>,
    /// A JSON merge patch: fields to set, or to remove by `null`.
    #[schemars(with = "BTreeMap<String, Value>")]
    pub merge: BTreeMap<String, Value>,
    /// New values by JSON pointer; `null` removes, what has no parent is left out.
    pub edits: BTreeMap<String, Value>,
    /// The chance of each byte to have one of its bits flipped.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub corrupt: f64,
}

/// Of a body that is read whole: requests in flight must not fill the memory.
const LIMIT: usize = 1 << 20;

impl HttpToxic for HttpBody {
    const KIND: &'static str = "http_body";

    fn validate(&self) -> Result<(), Invalid> {
        if self.replace.is_some() && self.edits() {
            return Err(Invalid::new("replace", "leaves nothing to edit: leave out merge and edits"));
        }
        if let Some(pointer) = self.edits.keys().find(|pointer| !json::is_pointer(pointer)) {
            let message = format!("`{pointer}` is no JSON pointer: write `/items/0/price`, `~0` for ~");
            return Err(Invalid::new("edits", message));
        }
        Invalid::unless_share("corrupt", self.corrupt)
    }

    fn acts_before_answer(&self) -> bool {
        self.side == Side::Request
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        match self.side {
            Side::Request => {
                if request.body().is_end_stream() {
                    return next.run(request).await;
                }
                let (mut head, body) = request.into_parts();
                let body = self.changed(&cx, &mut head.headers, body).await?;
                next.run(Request::from_parts(head, body)).await
            }
            Side::Response => {
                let asked_head = request.method() == Method::HEAD;
                let response = next.run(request).await?;
                let none = response.body().is_end_stream() || Status::is_bodiless(response.status());
                if asked_head || none {
                    return Ok(response);
                }
                let (mut head, body) = response.into_parts();
                let body = self.changed(&cx, &mut head.headers, body).await?;
                Ok(http::Response::from_parts(head, body))
            }
        }
    }
}

impl HttpBody {
    fn edits(&self) -> bool {
        !(self.merge.is_empty() && self.edits.is_empty())
    }

    async fn changed(&self, cx: &Cx, headers: &mut HeaderMap, body: Body) -> Result<Body, Fault> {
        let body = match &self.replace {
            Some(text) => {
                cx.acted();
                headers.remove(CONTENT_ENCODING);
                headers.insert(CONTENT_LENGTH, HeaderValue::from(text.len()));
                Body::full(text.clone())
            }
            None if self.edits() && is_plain_json(headers) => self.edited(cx, headers, body).await?,
            None => body,
        };
        Ok(if self.corrupt > 0.0 { self.corrupted(cx.clone(), body) } else { body })
    }

    async fn edited(&self, cx: &Cx, headers: &mut HeaderMap, body: Body) -> Result<Body, Fault> {
        let whole = match body.collect_until(LIMIT, cx.wait_for_end()).await? {
            Ok(whole) => whole,
            Err(body) => return Ok(body),
        };
        let Some(data) = self.edit(&whole.data) else { return Ok(whole.into()) };
        cx.acted();
        // Only where there was one: what is sent in chunks may have trailers.
        if headers.contains_key(CONTENT_LENGTH) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(data.len()));
        }
        Ok(Whole { data: data.as_slice().into(), trailers: whole.trailers }.into())
    }

    /// `None` if it is no JSON, or says the same as before.
    fn edit(&self, data: &[u8]) -> Option<Vec<u8>> {
        let before: Value = serde_json::from_slice(data).ok()?;
        let mut value = before.clone();
        if !self.merge.is_empty() {
            json::merge(&mut value, &Value::Object(self.merge.clone().into_iter().collect()));
        }
        for (pointer, new) in &self.edits {
            json::put(&mut value, pointer, new);
        }
        (value != before).then(|| serde_json::to_vec(&value).ok()).flatten()
    }

    fn corrupted(&self, cx: Cx, body: Body) -> Body {
        let toxic = Corrupt { probability: self.corrupt, bits: 1 };
        let begin = |body| (cx.seed("corrupt"), cx, toxic, body, None::<Hits>, 0);
        body.through(begin, |(seed, cx, toxic, mut body, mut hits, mut offset)| async move {
            let frame = match body.next().await?.map(Frame::into_data) {
                Ok(Ok(data)) if !data.is_empty() => {
                    let length = data.len() as u64;
                    let (data, hit) = toxic.corrupt(&mut hits, &seed, offset, data);
                    if hit {
                        cx.acted();
                    }
                    offset += length;
                    Ok(Frame::data(data))
                }
                Ok(Ok(data)) => Ok(Frame::data(data)),
                Ok(Err(trailers)) => Ok(trailers),
                Err(fault) => Err(fault),
            };
            Some((frame, (seed, cx, toxic, body, hits, offset)))
        })
    }
}

/// Whether the body can be read as JSON: not compressed, and not said to be anything else,
/// such as a stream of events that would be held back until it ends.
fn is_plain_json(headers: &HeaderMap) -> bool {
    let encoded = headers.get(CONTENT_ENCODING).is_some_and(|value| value != "identity");
    let kind = headers.get(CONTENT_TYPE).map(|value| value.to_str().unwrap_or_default());
    let json = kind.is_none_or(|kind| {
        let essence = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        essence.ends_with("/json") || essence.ends_with("+json")
    });
    json && !encoded
}
