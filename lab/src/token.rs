//! Bearer tokens with an expiry, believed by every service that knows the secret.
//!
//! A token is `TENANT.ISSUED_MS.EXPIRES_MS.MAC`. Who verifies one asks its own wall
//! clock, as services do: a clock that runs ahead sees tokens expire early, one
//! that lags sees tokens from the future.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How far the clocks of two honest machines may differ.
const LEEWAY_MS: u64 = 5_000;

/// Longer than any tenant's name or number that a token can hold.
const MAX_TOKEN: usize = 256;

/// Signs and verifies tokens.
#[derive(Clone)]
pub(crate) struct Tokens {
    key: [u8; 32],
}

/// Why a token is not believed.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refused {
    /// There is none.
    #[error("there is no bearer token: ask POST /tokens for one")]
    Missing,
    /// It is none of ours.
    #[error("the token is not genuine")]
    NotGenuine,
    /// Its time is over, by the service's clock.
    #[error("the token expired {ago_ms} ms ago")]
    Expired {
        /// How long ago.
        ago_ms: u64,
    },
    /// It was issued after now, by the service's clock.
    #[error("the token is issued {ahead_ms} ms in the future: do the clocks agree?")]
    FromTheFuture {
        /// How far ahead.
        ahead_ms: u64,
    },
}

impl Tokens {
    /// Whoever has the same secret believes the same tokens.
    pub(crate) fn new(secret: &str) -> Self {
        Self { key: blake3::derive_key("sabot lab tokens", secret.as_bytes()) }
    }

    /// A token for `tenant` from `now_ms` on, and when it expires (ms since 1970).
    pub(crate) fn issue(&self, tenant: &str, now_ms: u64, lasts: Duration) -> (String, u64) {
        let lasts_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
        let expires_ms = now_ms.saturating_add(lasts_ms);
        let claims = format!("{tenant}.{now_ms}.{expires_ms}");
        let mac = self.mac(&claims);
        (format!("{claims}.{}", mac.to_hex()), expires_ms)
    }

    /// The tenant of the token in an `Authorization` header, at `now_ms`.
    ///
    /// # Errors
    /// Says why it is not believed.
    pub(crate) fn verify(&self, header: Option<&str>, now_ms: u64) -> Result<String, Refused> {
        let token = header.and_then(|it| it.strip_prefix("Bearer ")).ok_or(Refused::Missing)?;
        let read = |text: &str| text.parse::<u64>().map_err(|_| Refused::NotGenuine);
        let (claims, mac) = token.rsplit_once('.').ok_or(Refused::NotGenuine)?;
        // The comparison of hashes takes the same time wherever they differ.
        let genuine =
            token.len() <= MAX_TOKEN && blake3::Hash::from_hex(mac).is_ok_and(|mac| mac == self.mac(claims));
        let mut parts = claims.split('.');
        let (Some(tenant), Some(issued), Some(expires)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Refused::NotGenuine);
        };
        let (issued_ms, expires_ms) = (read(issued)?, read(expires)?);
        if !genuine {
            Err(Refused::NotGenuine)
        } else if issued_ms > now_ms.saturating_add(LEEWAY_MS) {
            Err(Refused::FromTheFuture { ahead_ms: issued_ms - now_ms })
        } else if expires_ms <= now_ms {
            Err(Refused::Expired { ago_ms: now_ms - expires_ms })
        } else {
            Ok(tenant.to_owned())
        }
    }

    fn mac(&self, claims: &str) -> blake3::Hash {
        blake3::keyed_hash(&self.key, claims.as_bytes())
    }
}

/// Whether a tenant may be called so: it stands in tokens, ids and metrics.
pub(crate) fn is_tenant(name: &str) -> bool {
    (1..=16).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

/// This machine's wall clock, in ms since 1970.
pub(crate) fn wall_clock_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000_000;

    fn bearer(tokens: &Tokens, tenant: &str) -> String {
        format!("Bearer {}", tokens.issue(tenant, NOW, Duration::from_secs(60)).0)
    }

    #[test]
    fn a_token_is_believed_until_it_expires() {
        let tokens = Tokens::new("s");
        let header = bearer(&tokens, "t1");
        let verify = |now| tokens.verify(Some(&header), now);
        assert_eq!(verify(NOW), Ok("t1".to_owned()));
        assert_eq!(verify(NOW + 59_999), Ok("t1".to_owned()));
        assert_eq!(verify(NOW + 60_000), Err(Refused::Expired { ago_ms: 0 }));
        assert_eq!(verify(NOW + 3_660_000), Err(Refused::Expired { ago_ms: 3_600_000 }));
        assert_eq!(verify(NOW - 5_000), Ok("t1".to_owned()));
        assert_eq!(verify(NOW - 60_000), Err(Refused::FromTheFuture { ahead_ms: 60_000 }));
    }

    #[test]
    fn what_was_not_signed_is_refused() {
        let tokens = Tokens::new("s");
        let header = bearer(&tokens, "t1");
        let refused = [
            header.replace("t1.", "t2."),
            header.replace(&NOW.to_string(), &(NOW - 1).to_string()),
            header[..header.len() - 1].to_owned(),
            "Bearer ".to_owned(),
            "Bearer a.b.c.d".to_owned(),
            "Bearer ...".to_owned(),
            bearer(&Tokens::new("other"), "t1"),
        ];
        for header in refused {
            assert_eq!(tokens.verify(Some(&header), NOW), Err(Refused::NotGenuine), "{header}");
        }
        assert_eq!(tokens.verify(None, NOW), Err(Refused::Missing));
        assert_eq!(tokens.verify(Some("Basic abc"), NOW), Err(Refused::Missing));
    }

    #[test]
    fn names_of_tenants_are_plain() {
        assert!(is_tenant("t1") && is_tenant("acme2026"));
        assert!(["", "T1", "a.b", "a-b", "a b", "abcdefghijklmnopq"].iter().all(|name| !is_tenant(name)));
    }
}
