//! Tokens.

use std::time::Duration;

use sabot_injections::access::secret::Secret;
use sabot_injections::access::{self, Token as Kept};
use sabot_injections::request::Selector;
use sabot_injections::rules::moment;
use sabot_toxics::Invalid;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What is known of a token.
#[derive(Serialize, ToSchema)]
pub(crate) struct Token {
    /// Its name.
    id: String,
    /// Whose it is.
    owner: String,
    /// What it is for: `viewer`, `operator`, `approver` or `admin`.
    role: &'static str,
    /// Which proxies it may change, by their labels; empty is all.
    scope: String,
    /// When it was created (RFC 3339).
    created_at: String,
    /// From when on it is worth nothing (RFC 3339); null is until it is revoked.
    expires_at: Option<String>,
    /// Whether it is worth nothing already.
    expired: bool,
}

impl From<(bool, Kept)> for Token {
    fn from((expired, token): (bool, Kept)) -> Self {
        Self {
            id: token.id,
            owner: token.owner,
            role: token.role.as_str(),
            scope: token.scope.to_string(),
            created_at: moment(token.created_at_ms),
            expires_at: token.expires_at_ms.map(moment),
            expired,
        }
    }
}

/// All tokens, the oldest first.
#[derive(Serialize, ToSchema)]
pub(crate) struct Tokens {
    pub(in crate::v1) tokens: Vec<Token>,
}

/// A token as it is shown once.
#[derive(Serialize, ToSchema)]
pub(crate) struct CreatedToken {
    #[serde(flatten)]
    known: Token,
    /// The token itself. It is kept nowhere: note it now.
    token: String,
}

impl CreatedToken {
    pub(in crate::v1) fn new(token: Kept, secret: &Secret) -> Self {
        Self { known: (false, token).into(), token: secret.reveal().to_owned() }
    }
}

/// A token to be created.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewToken {
    /// Whose it is: a name or an address, which the audit log tells of.
    #[schema(min_length = 1, max_length = 254)]
    owner: String,
    /// What it is for: `viewer`, `operator`, `approver` or `admin`.
    #[schema(example = "operator")]
    role: String,
    /// Which proxies it may change, as a selector of labels (`team=payments`); absent is all.
    #[serde(default)]
    #[schema(required = false)]
    scope: Option<String>,
    /// For how many seconds it is worth anything; absent is until it is revoked.
    #[schema(minimum = 1)]
    expires_in_seconds: Option<u64>,
}

impl NewToken {
    pub(in crate::v1) fn read(self) -> Result<access::NewToken, Invalid> {
        let span = self.expires_in_seconds.map(Duration::from_secs);
        Ok(access::NewToken {
            owner: self.owner,
            role: self.role.parse()?,
            scope: match &self.scope {
                None => Selector::default(),
                Some(text) => {
                    Selector::given(text).map_err(|error| Invalid { field: "scope".to_owned(), ..error })?
                }
            },
            expires_in: span,
        })
    }
}
