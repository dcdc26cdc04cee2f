//! Faults of TLS: how a handshake goes, and how a connection under TLS ends.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, DeserializeOwned, Deserializer};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::plan::Entry;
use crate::{Invalid, Seed, Time};

/// A fault of TLS on the client's side.
///
/// As with [`crate::Toxic`] the implementing type is the settings, its doc
/// comment the documentation.
pub trait TlsToxic: Serialize + DeserializeOwned + JsonSchema + Default + Send + Sync + 'static {
    /// The `type` of the toxic on the wire.
    const KIND: &'static str;
    /// The part of the connection's life that it changes.
    const STEP: TlsStep;

    /// Refuses settings that types alone allow.
    ///
    /// # Errors
    /// The first field that cannot be what it is.
    fn validate(&self) -> Result<(), Invalid> {
        Ok(())
    }

    /// Changes what is to become of a connection whose `ClientHello` was read.
    fn on_tls(&self, cx: &TlsCx<'_>, plan: &mut TlsPlan);
}

/// What a fault of TLS is told.
pub struct TlsCx<'a> {
    /// The seed of this toxic on this connection.
    pub seed: &'a Seed,
}

/// The steps of a connection under TLS, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsStep {
    /// The `ClientHello` was read and nothing answered.
    Wait,
    /// An alert instead of an answer.
    Refuse,
    /// The handshake itself.
    Handshake,
    /// Application data towards the client.
    Data,
    /// The end of what goes to the client.
    Close,
}

impl TlsStep {
    /// Whether it needs no key of the connection: such a fault acts also where TLS only
    /// passes through.
    #[must_use]
    pub fn is_outside(self) -> bool {
        matches!(self, Self::Wait | Self::Refuse)
    }
}

/// What is to become of a connection under TLS.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsPlan {
    /// How long after the `ClientHello` the handshake goes on.
    pub delay: Duration,
    /// It never goes on.
    pub hang: bool,
    /// The alert that is sent in its stead.
    pub alert: Option<Alert>,
    /// What is wrong with the certificate.
    pub certificate: Option<Problem>,
    /// The one version that is spoken.
    pub only: Option<TlsVersion>,
    /// After so many bytes of application data a record is cut off, and the stream ends.
    pub truncate: Option<u64>,
    /// The stream ends by a FIN alone.
    pub no_close_notify: bool,
}

/// A [`TlsPlan`], and who made it so.
#[derive(Clone, Default)]
pub struct TlsFate {
    /// What is to happen.
    pub plan: TlsPlan,
    /// The faults that are in it, with the step that they change.
    pub by: Vec<(TlsStep, Arc<Entry>)>,
    /// When a fault's window opens or closes next.
    pub changes: Option<Time>,
}

impl TlsFate {
    /// The faults that act when that step is done as planned.
    pub fn at(&self, step: TlsStep) -> impl Iterator<Item = &Arc<Entry>> {
        self.by.iter().filter(move |(of, _)| *of == step).map(|(_, entry)| entry)
    }
}

/// What is wrong with a certificate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, serde::Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// Its time was over yesterday.
    #[default]
    Expired,
    /// Its time begins tomorrow.
    NotYetValid,
    /// It is for `wrong-host.sabot.invalid`.
    WrongHost,
    /// It signed itself.
    SelfSigned,
    /// A CA that nobody knows signed it.
    UnknownCa,
    /// Sabot's CA has revoked it: it stands in the list at `/v1/ca/crl`.
    Revoked,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum TlsVersion {
    /// RFC 5246.
    #[default]
    Tls12,
    /// RFC 8446.
    Tls13,
}

impl TlsVersion {
    /// As people write it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tls12 => "1.2",
            Self::Tls13 => "1.3",
        }
    }
}

impl Serialize for TlsVersion {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.as_str().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for TlsVersion {
    /// A number is taken as well: YAML and the command line read `1.2` as one.
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Value::deserialize(deserializer)?;
        let text = given.as_str().map_or_else(|| given.to_string(), str::to_owned);
        match text.as_str() {
            "1.2" => Ok(Self::Tls12),
            "1.3" => Ok(Self::Tls13),
            _ => Err(de::Error::custom(format!(
                "{given} is no version of TLS that is spoken: give 1.2 or 1.3"
            ))),
        }
    }
}

impl JsonSchema for TlsVersion {
    fn schema_name() -> Cow<'static, str> {
        "TlsVersion".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"enum": ["1.2", "1.3", 1.2, 1.3]})
    }
}

/// An alert of TLS, by name or number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert(pub u8);

/// As RFC 8446, section 6 and the registry of TLS alerts number them.
const ALERTS: [(&str, u8); 34] = [
    ("close_notify", 0),
    ("unexpected_message", 10),
    ("bad_record_mac", 20),
    ("decryption_failed", 21),
    ("record_overflow", 22),
    ("decompression_failure", 30),
    ("handshake_failure", 40),
    ("no_certificate", 41),
    ("bad_certificate", 42),
    ("unsupported_certificate", 43),
    ("certificate_revoked", 44),
    ("certificate_expired", 45),
    ("certificate_unknown", 46),
    ("illegal_parameter", 47),
    ("unknown_ca", 48),
    ("access_denied", 49),
    ("decode_error", 50),
    ("decrypt_error", 51),
    ("export_restriction", 60),
    ("protocol_version", 70),
    ("insufficient_security", 71),
    ("internal_error", 80),
    ("inappropriate_fallback", 86),
    ("user_canceled", 90),
    ("no_renegotiation", 100),
    ("missing_extension", 109),
    ("unsupported_extension", 110),
    ("certificate_unobtainable", 111),
    ("unrecognized_name", 112),
    ("bad_certificate_status_response", 113),
    ("bad_certificate_hash_value", 114),
    ("unknown_psk_identity", 115),
    ("certificate_required", 116),
    ("no_application_protocol", 120),
];

impl Alert {
    /// The record that says it, fatally and in the clear (RFC 8446, section 5.1).
    #[must_use]
    pub fn record(self) -> [u8; 7] {
        [21, 3, 3, 0, 2, 2, self.0]
    }

    fn name(self) -> Option<&'static str> {
        ALERTS.iter().find(|(_, number)| *number == self.0).map(|(name, _)| *name)
    }
}

impl Default for Alert {
    fn default() -> Self {
        Self(40)
    }
}

impl Serialize for Alert {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.name() {
            Some(name) => name.serialize(serializer),
            None => self.0.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Alert {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let given = Value::deserialize(deserializer)?;
        let number = match given.as_str() {
            Some(text) => {
                let name = text.to_ascii_lowercase().replace('-', "_");
                let named = ALERTS.iter().find(|(known, _)| *known == name).map(|(_, number)| *number);
                named.or_else(|| text.parse().ok())
            }
            None => given.as_u64().and_then(|number| u8::try_from(number).ok()),
        };
        number.map(Self).ok_or_else(|| {
            let names = ALERTS.map(|(name, _)| name);
            let near = crate::suggestion(given.as_str().unwrap_or_default(), &names);
            de::Error::custom(format!("{given} is no alert of TLS: give 0 to 255 or its name{near}"))
        })
    }
}

impl JsonSchema for Alert {
    fn schema_name() -> Cow<'static, str> {
        "Alert".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<_> = ALERTS.iter().map(|(name, _)| Value::from(*name)).collect();
        json_schema!({"anyOf": [{"enum": names}, {"type": "integer", "minimum": 0, "maximum": 255}]})
    }
}
