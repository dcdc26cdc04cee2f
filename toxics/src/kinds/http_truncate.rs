use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::{Answer, Cx, Fault, HttpToxic, Next, Request};
use crate::units::ByteSize;

/// Ends the body of answers after `bytes`, though more was announced.
///
/// The head is left as it was, so the client can notice: by a content length that is not
/// reached, a last chunk that never comes, or a stream that ends with an error. On HTTP/1
/// the connection is closed. Answers that are no longer than that are left alone, and an
/// answer that was cut stays so when the toxic is removed.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct HttpTruncate {
    /// Bytes of the body that still come.
    pub bytes: ByteSize,
}

impl HttpToxic for HttpTruncate {
    const KIND: &'static str = "http_truncate";

    fn passes_on(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let bytes = self.bytes.0;
        Ok(next.run(request).await?.map(|body| body.cut(bytes, Fault::Close, move || cx.acted())))
    }
}
