//! Numbers that have names: the statuses of gRPC and the errors of HTTP/2.

use std::borrow::Cow;

use http::StatusCode;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer};
use serde::{Serialize, Serializer};
use serde_json::Value;

/// A status of gRPC, by number or name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrpcStatus(pub u8);

/// As gRPC numbers them, from 0 (doc/statuscodes.md of gRPC).
const GRPC: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

impl GrpcStatus {
    /// What a client of gRPC makes of an HTTP status (doc/http-grpc-status-mapping.md of gRPC).
    #[must_use]
    pub fn of_http(status: StatusCode) -> Self {
        Self(match status.as_u16() {
            400 => 13,
            401 => 16,
            403 => 7,
            404 => 12,
            429 | 502 | 503 | 504 => 14,
            _ => 2,
        })
    }
}

impl Serialize for GrpcStatus {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        GRPC[usize::from(self.0) % GRPC.len()].serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for GrpcStatus {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let index = match number {
            Some(number) => usize::try_from(number).ok().filter(|index| *index < GRPC.len()),
            None => {
                let name = value.as_str().unwrap_or_default().to_ascii_uppercase().replace('-', "_");
                GRPC.iter().position(|known| *known == name)
            }
        };
        let index = index.and_then(|index| u8::try_from(index).ok());
        index.map(Self).ok_or_else(|| {
            let given = value.as_str().unwrap_or_default();
            let near = crate::suggestion(given, &GRPC);
            de::Error::custom(format!("{value} is no status of gRPC: give 0 to 16 or its name{near}"))
        })
    }
}

impl JsonSchema for GrpcStatus {
    fn schema_name() -> Cow<'static, str> {
        "GrpcStatus".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names = GRPC.map(Value::from).into_iter();
        let all: Vec<_> = names.chain((0..GRPC.len()).map(Value::from)).collect();
        json_schema!({"enum": all})
    }
}

/// An error code of HTTP/2, by number or name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode(pub u32);

/// As RFC 9113, section 7 numbers them, from 0.
const HTTP2: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];

impl ErrorCode {
    /// Nothing is wrong.
    pub const NO_ERROR: Self = Self(0);
    /// The stream is no longer wanted.
    pub const CANCEL: Self = Self(8);
}

impl Serialize for ErrorCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match usize::try_from(self.0).ok().and_then(|index| HTTP2.get(index)) {
            Some(name) => name.serialize(serializer),
            None => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for ErrorCode {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let number = value.as_u64().or_else(|| value.as_str()?.parse().ok());
        let code = match number {
            Some(number) => u32::try_from(number).ok(),
            None => {
                let name = value.as_str().unwrap_or_default().to_ascii_uppercase().replace('-', "_");
                HTTP2.iter().position(|known| *known == name).and_then(|index| u32::try_from(index).ok())
            }
        };
        code.map(Self).ok_or_else(|| {
            let near = crate::suggestion(value.as_str().unwrap_or_default(), &HTTP2);
            de::Error::custom(format!("{value} is no error code of HTTP/2: give a number or a name{near}"))
        })
    }
}

impl JsonSchema for ErrorCode {
    fn schema_name() -> Cow<'static, str> {
        "ErrorCode".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [{"enum": HTTP2}, {"type": "integer", "minimum": 0, "maximum": u32::MAX}]})
    }
}
