//! Tokens: what a client shows, and what an admin creates and revokes.

use std::fmt;

use http::{HeaderValue, Method};
use serde::{Deserialize, Serialize};

use crate::path::v1;
use crate::{Client, Error};

/// What is known of a token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    /// Its name.
    pub id: String,
    /// Whose it is.
    pub owner: String,
    /// What it is for: `viewer`, `operator`, `approver` or `admin`.
    pub role: String,
    /// Which proxies it may change, by their labels; empty is all.
    pub scope: String,
    /// When it was created (RFC 3339).
    pub created_at: String,
    /// From when on it is worth nothing (RFC 3339); none is until it is revoked.
    pub expires_at: Option<String>,
    /// Whether it is worth nothing already.
    pub expired: bool,
}

/// A token as it is shown once.
#[derive(Clone, Serialize, Deserialize)]
pub struct CreatedToken {
    /// What is known of it.
    #[serde(flatten)]
    pub known: Token,
    /// The token itself, which the server does not keep.
    pub token: String,
}

impl fmt::Debug for CreatedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreatedToken").field("known", &self.known).finish_non_exhaustive()
    }
}

/// A token to be created.
#[derive(Clone, Debug, Serialize)]
pub struct NewToken {
    /// Whose it is: a name or an address.
    pub owner: String,
    /// What it is for: `viewer`, `operator`, `approver` or `admin`.
    pub role: String,
    /// Which proxies it may change, as a selector of labels; empty is all.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub scope: String,
    /// For how many seconds it is worth anything; none is until it is revoked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_in_seconds: Option<u64>,
}

impl Client {
    /// All tokens, the oldest first.
    ///
    /// # Errors
    /// 401 and 403 unless this client's token is an admin's, 409 if the server asks for none; else as every call.
    pub async fn tokens(&self) -> Result<Vec<Token>, Error> {
        #[derive(Deserialize)]
        struct Answer {
            tokens: Vec<Token>,
        }
        let answer: Answer = self.http.get(&v1(&["tokens"])).await?;
        Ok(answer.tokens)
    }

    /// Creates a token. The answer is the only one that ever holds it.
    ///
    /// # Errors
    /// 400 for a bad field; else as [`Client::tokens`].
    pub async fn create_token(&self, token: &NewToken) -> Result<CreatedToken, Error> {
        self.http.send(Method::POST, &v1(&["tokens"]), token).await
    }

    /// Revokes a token: it is worth nothing from now on.
    ///
    /// # Errors
    /// 404 if there is none of that name; else as [`Client::tokens`].
    pub async fn revoke_token(&self, id: &str) -> Result<(), Error> {
        self.http.empty(Method::DELETE, &v1(&["tokens", id])).await
    }
}

/// A token as it is sent: nothing that prints headers shows it.
pub(crate) fn header(token: &str) -> Result<HeaderValue, Error> {
    let mut header = HeaderValue::from_str(&format!("Bearer {}", token.trim())).map_err(|_| Error::Token)?;
    header.set_sensitive(true);
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_never_shown() {
        let known = Token {
            id: "tok-1".to_owned(),
            owner: "ann".to_owned(),
            role: "admin".to_owned(),
            scope: String::new(),
            created_at: String::new(),
            expires_at: None,
            expired: false,
        };
        let created = CreatedToken { known, token: "sabot_secret".to_owned() };
        let client =
            Client::new("http://any:sabot_secret@localhost:1").unwrap().with_token("sabot_secret").unwrap();
        for shown in [format!("{created:?}"), format!("{client:?}"), format!("{:?}", header("sabot_secret"))]
        {
            assert!(!shown.contains("secret"), "{shown}");
        }
        assert_eq!(header(" sabot_x\n").unwrap(), "Bearer sabot_x");
        assert!(matches!(header("a\nb"), Err(Error::Token)));
    }
}
