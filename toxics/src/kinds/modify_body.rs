use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::http::content::{self, Coding};
use crate::http::values::Text;
use crate::http::{Answer, Cx, HttpToxic, Next, Request};

/// Gives answers another body, as Litmus' fork of Toxiproxy does.
///
/// The upstream is asked all the same; the status and the other headers stay as they
/// are. An answer that changes the protocol passes as it is. `http_body` knows more ways
/// to change a body.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct ModifyBody {
    /// The new body.
    pub body: String,
    /// How it is compressed: `gzip`, `deflate`, or nothing for not at all.
    pub content_encoding: Coding,
    /// Its type; nothing keeps the upstream's.
    pub content_type: Text,
}

impl HttpToxic for ModifyBody {
    const KIND: &'static str = "modify_body";
    const EXAMPLE: &'static [(&'static str, &'static str)] = &[("body", "no")];
    const CLASSIC: Option<&'static [&'static str]> = Some(&["body", "content_encoding", "content_type"]);

    fn passes_on(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, request: Request, next: Next) -> Answer {
        let mut response = next.run(request).await?;
        if !response.status().is_informational() {
            cx.acted();
            content::replace(&mut response, &self.body, self.content_encoding, &self.content_type);
        }
        Ok(response)
    }
}
