//! Unary calls of gRPC.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ::http::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, TE, USER_AGENT};
use ::http::{Method, Request, StatusCode, Uri, Version};
use bytes::{BufMut, Bytes, BytesMut};
use http_body_util::Full;
use prost_reflect::prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use sabot_toxics::{Invalid, suggestion};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Kind;
use super::http::named;
use crate::load::code::Code;
use crate::load::engine::call::{Answer, Call, Sent};
use crate::load::engine::dial::NoConnection;
use crate::load::engine::http::{HttpConnection, HttpTarget};
use crate::load::engine::lane::AnyCall;
use crate::load::plan::{Class, Http2};
use crate::load::ready::Compile;
use crate::load::template::{Escape, Template, Values};
use crate::outcome::Fate;

/// A unary call of gRPC. A status other than OK is an error.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Grpc {
    /// `package.Service/Method`.
    pub method: String,
    /// The `.proto` file that defines it; needed for a message that is an object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proto: Option<PathBuf>,
    /// The message: an object as gRPC's JSON mapping has it (text in it is a template), or its bytes in
    /// hexadecimal. Empty unless given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Value>,
    /// Metadata beside the plan's headers; templates.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl Kind for Grpc {
    const NAME: &'static str = "grpc";

    fn label(&self) -> String {
        self.method.clone()
    }

    fn class(&self) -> Class {
        let name = self.method.rsplit('/').next().unwrap_or_default();
        let reads = ["Get", "List", "Read", "Find", "Search", "Check", "Watch"];
        if reads.iter().any(|verb| name.starts_with(verb)) { Class::Read } else { Class::Write }
    }

    fn compile(&self, cx: &Compile<'_>) -> Result<Arc<dyn AnyCall>, Invalid> {
        let target = cx.target(&["http", "https"])?;
        let tls = cx.tls(&target, &[b"h2"]);
        let uri = format!("{}://{}/{}", target.scheme, target.authority, self.method);
        let uri: Uri = uri.parse().map_err(|_| method_expected())?;
        let mut scope = cx.scope();
        let mut constant = HeaderMap::new();
        constant.insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
        constant.insert(TE, HeaderValue::from_static("trailers"));
        constant.insert(USER_AGENT, HeaderValue::from_static("sabot-load"));
        let mut headers = Vec::new();
        for (field, name, text) in named("metadata", &cx.plan.headers, &self.metadata) {
            let template = scope.read(&field, text, Escape::None)?;
            let refuse = |what: &str| Invalid::new(field.clone(), format!("is no {what} of metadata"));
            let name: HeaderName = name.parse().map_err(|_| refuse("name"))?;
            match template.constant() {
                Some(text) => drop(constant.insert(name, text.parse().map_err(|_| refuse("value"))?)),
                None => headers.push((name, template)),
            }
        }
        let message = match &self.message {
            None => Body::Bytes(Bytes::new()),
            Some(Value::String(hex)) => Body::Bytes(from_hex(hex)?),
            Some(message @ Value::Object(_)) => {
                let proto = self.proto.as_deref().ok_or_else(|| {
                    Invalid::new(
                        "proto",
                        "is missing: a message that is an object needs the file that defines it",
                    )
                })?;
                Body::Json { template: scope.body("message", message)?, of: input(proto, &self.method)? }
            }
            Some(_) => return Err(Invalid::new("message", "must be an object, or bytes in hexadecimal")),
        };
        let first = Values { number: 0, tenant: "tenant", captured: Some(&BTreeMap::new()) };
        message.bytes(&first).map_err(|error| Invalid::new("message", error))?;
        let target = HttpTarget { target, tls, http2: Http2::Always };
        let reads = Kind::class(self) == Class::Read;
        Ok(Arc::new(GrpcCall { target, uri, constant, headers, message, reads }))
    }
}

/// An endpoint's calls.
struct GrpcCall {
    target: HttpTarget,
    uri: Uri,
    constant: HeaderMap,
    headers: Vec<(HeaderName, Template)>,
    message: Body,
    reads: bool,
}

enum Body {
    Bytes(Bytes),
    Json { template: Template, of: MessageDescriptor },
}

impl Body {
    fn bytes(&self, values: &Values<'_>) -> Result<Bytes, String> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.clone()),
            Self::Json { template, of } => {
                let text = template.text(values);
                let mut json = serde_json::Deserializer::from_str(&text);
                let message = DynamicMessage::deserialize(of.clone(), &mut json)
                    .map_err(|error| format!("is no {}: {error}", of.full_name()))?;
                Ok(message.encode_to_vec().into())
            }
        }
    }
}

impl GrpcCall {
    fn request(&self, values: &Values<'_>) -> Option<Request<Full<Bytes>>> {
        let message = self.message.bytes(values).ok()?;
        // A frame: not compressed, the length, the message.
        let mut frame = BytesMut::with_capacity(5 + message.len());
        frame.put_u8(0);
        frame.put_u32(u32::try_from(message.len()).ok()?);
        frame.put(message);
        let mut request = Request::new(Full::new(frame.freeze()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = self.constant.clone();
        for (name, template) in &self.headers {
            request.headers_mut().insert(name.clone(), template.text(values).parse().ok()?);
        }
        Some(request)
    }
}

impl Call for GrpcCall {
    type Connection = HttpConnection;

    fn pool_key(&self) -> String {
        self.target.key()
    }

    fn multiplexed(&self) -> Option<bool> {
        Some(true)
    }

    fn is_idempotent(&self) -> bool {
        self.reads
    }

    fn connect(&self) -> impl Future<Output = Result<HttpConnection, NoConnection>> + 'static {
        self.target.clone().connect()
    }

    async fn send(&self, connection: &HttpConnection, values: &Values<'_>, _: &Sent) -> Answer {
        let Some(request) = self.request(values) else {
            return Answer {
                fate: Fate::Dropped,
                code: Some(Code::word("unsendable")),
                cause: None,
                keep: true,
                unsent: true,
            };
        };
        let mut response = match connection.send(request).await {
            Ok(response) => response,
            Err(broken) => return broken.into(),
        };
        let status = response.status();
        let mut framing = Framing::default();
        let trailers = match connection.read(response.body_mut(), |data| framing.take(data)).await {
            Ok(trailers) => trailers,
            Err(broken) => return broken.into(),
        };
        // An answer without a message has its status in the head.
        let told = trailers.as_ref().and_then(grpc_status).or_else(|| grpc_status(response.headers()));
        match told {
            Some(0) if framing.is_one_message() => Answer::told(true, Code::Grpc(0)),
            Some(0) => Answer { keep: true, ..Answer::broken(Fate::Protocol) },
            Some(code) => Answer::told(false, Code::Grpc(code)),
            None if status != StatusCode::OK => Answer::told(false, Code::Status(status.as_u16())),
            None => Answer { keep: true, ..Answer::broken(Fate::Protocol) },
        }
    }

    fn show(&self, values: &Values<'_>) -> Vec<u8> {
        let Ok(message) = self.message.bytes(values) else { return b"(unsendable)".to_vec() };
        let mut shown = format!("POST {}\n", self.uri).into_bytes();
        for (name, value) in &self.constant {
            shown.extend_from_slice(format!("{name}: ").as_bytes());
            shown.extend_from_slice(value.as_bytes());
            shown.push(b'\n');
        }
        for (name, template) in &self.headers {
            shown.extend_from_slice(format!("{name}: {}\n", template.text(values)).as_bytes());
        }
        shown.push(b'\n');
        shown.extend(message.iter().flat_map(|byte| format!("{byte:02x}").into_bytes()));
        shown.push(b'\n');
        shown
    }
}

/// Counts messages without keeping them.
#[derive(Default)]
struct Framing {
    head: Vec<u8>,
    missing: u64,
    messages: u32,
}

impl Framing {
    fn take(&mut self, mut data: &[u8]) {
        while !data.is_empty() {
            if self.missing > 0 {
                let step = data.len().min(usize::try_from(self.missing).unwrap_or(usize::MAX));
                self.missing -= step as u64;
                data = &data[step..];
                continue;
            }
            let step = data.len().min(5 - self.head.len());
            self.head.extend_from_slice(&data[..step]);
            data = &data[step..];
            if let [_, a, b, c, d] = self.head[..] {
                self.missing = u64::from(u32::from_be_bytes([a, b, c, d]));
                self.messages += 1;
                self.head.clear();
            }
        }
    }

    fn is_one_message(&self) -> bool {
        self.messages == 1 && self.missing == 0 && self.head.is_empty()
    }
}

fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    headers.get("grpc-status")?.to_str().ok()?.parse().ok()
}

fn method_expected() -> Invalid {
    Invalid::new("method", "must name service and method, such as shop.Orders/Get")
}

/// The type that a method takes, as a `.proto` file defines it.
fn input(proto: &Path, method: &str) -> Result<MessageDescriptor, Invalid> {
    let refuse = |message: String| Invalid::new("proto", message);
    let folder = proto.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let files = protox::compile([proto], [folder])
        .map_err(|error| refuse(format!("failed to read {}: {error}", proto.display())))?;
    let pool = DescriptorPool::from_file_descriptor_set(files).map_err(|error| refuse(error.to_string()))?;
    let (service, name) = method.rsplit_once('/').ok_or_else(method_expected)?;
    let Some(found) = pool.get_service_by_name(service) else {
        let known: Vec<String> = pool.services().map(|service| service.full_name().to_owned()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        return Err(Invalid::new(
            "method",
            format!("there is no service `{service}`{}", suggestion(service, &known)),
        ));
    };
    let Some(found) = found.methods().find(|method| method.name() == name) else {
        let known: Vec<String> = found.methods().map(|method| method.name().to_owned()).collect();
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        return Err(Invalid::new("method", format!("{service} has no `{name}`{}", suggestion(name, &known))));
    };
    if found.is_client_streaming() || found.is_server_streaming() {
        return Err(Invalid::new("method", "streams: only unary calls are sent"));
    }
    Ok(found.input())
}

fn from_hex(text: &str) -> Result<Bytes, Invalid> {
    let refuse =
        || Invalid::new("message", "must be an object, or whole bytes in hexadecimal such as 0a03616263");
    let digits: Vec<u32> = text
        .chars()
        .filter(|char| !char.is_whitespace())
        .map(|char| char.to_digit(16).ok_or_else(refuse))
        .collect::<Result<_, _>>()?;
    if !digits.len().is_multiple_of(2) {
        return Err(refuse());
    }
    Ok(digits.chunks(2).map(|pair| (pair[0] << 4 | pair[1]) as u8).collect())
}
