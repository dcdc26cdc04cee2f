//! What each route takes: the one table.
//!
//! A test holds it to the description of the API, in both directions, and the description says what stands
//! here (`x-sabot-role`). What is not in it takes an admin, so that a route that was forgotten is closed.

use http::Method;
use sabot_injections::access::role::Need::{self, Administer, Approve, Operate, View};

use super::reach::Reach;

/// What a request takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// No token.
    Nothing,
    /// A token for that, whose scope reaches that far.
    Role(Need, Reach),
}

type Row = (&'static str, &'static str, Takes);

const OPEN: Takes = Takes::Nothing;
const SEE: Takes = Takes::Role(View, Reach::Nothing);

const fn operate(reach: Reach) -> Takes {
    Takes::Role(Operate, reach)
}

const fn administer() -> Takes {
    Takes::Role(Administer, Reach::Everybody)
}

const ROUTES: &[Row] = &[
    // Whether it is there, and as what: probes of orchestrators and clients have no token.
    ("GET", "/version", OPEN),
    // Certificates are public, and who checks one asks for the revoked ones without a token.
    ("GET", "/v1/ca", OPEN),
    ("GET", "/v1/ca/crl", OPEN),
    ("GET", "/v1/ca/crl.pem", OPEN),
    // Toxiproxy's.
    ("GET", "/proxies", SEE),
    ("POST", "/proxies", operate(Reach::Unlabelled)),
    ("POST", "/populate", operate(Reach::Populate)),
    ("POST", "/reset", operate(Reach::All)),
    ("GET", "/proxies/{proxy}", SEE),
    ("POST", "/proxies/{proxy}", operate(Reach::Proxy)),
    ("PATCH", "/proxies/{proxy}", operate(Reach::Proxy)),
    ("DELETE", "/proxies/{proxy}", operate(Reach::Proxy)),
    ("GET", "/proxies/{proxy}/toxics", SEE),
    ("POST", "/proxies/{proxy}/toxics", operate(Reach::Proxy)),
    ("GET", "/proxies/{proxy}/toxics/{toxic}", SEE),
    ("POST", "/proxies/{proxy}/toxics/{toxic}", operate(Reach::Proxy)),
    ("PATCH", "/proxies/{proxy}/toxics/{toxic}", operate(Reach::Proxy)),
    ("DELETE", "/proxies/{proxy}/toxics/{toxic}", operate(Reach::Relief)),
    // Prometheus can send a token (`authorization`), and metrics name every proxy.
    ("GET", "/metrics", SEE),
    ("GET", "/v1/version", SEE),
    ("GET", "/v1/openapi.json", SEE),
    ("GET", "/v1/kinds", SEE),
    ("GET", "/v1/kinds/{kind}", SEE),
    ("GET", "/v1/proxies", SEE),
    ("POST", "/v1/proxies", operate(Reach::Body)),
    ("GET", "/v1/proxies/{proxy}", SEE),
    ("PATCH", "/v1/proxies/{proxy}", operate(Reach::Proxy)),
    ("DELETE", "/v1/proxies/{proxy}", operate(Reach::Proxy)),
    ("GET", "/v1/proxies/{proxy}/toxics", SEE),
    ("POST", "/v1/proxies/{proxy}/toxics", operate(Reach::Proxy)),
    ("GET", "/v1/proxies/{proxy}/toxics/{toxic}", SEE),
    ("PATCH", "/v1/proxies/{proxy}/toxics/{toxic}", operate(Reach::Proxy)),
    ("DELETE", "/v1/proxies/{proxy}/toxics/{toxic}", operate(Reach::Relief)),
    ("GET", "/v1/connections", SEE),
    ("GET", "/v1/proxies/{proxy}/connections", SEE),
    ("DELETE", "/v1/proxies/{proxy}/connections/{id}", operate(Reach::Proxy)),
    ("GET", "/v1/proxies/{proxy}/events", SEE),
    ("GET", "/v1/proxies/{proxy}/requests", SEE),
    ("POST", "/v1/reset", operate(Reach::All)),
    // Injections: the engine holds new ones, and halting, to the scope.
    ("GET", "/injections", SEE),
    ("POST", "/injections", operate(Reach::Body)),
    ("GET", "/injections/events", SEE),
    ("POST", "/injections/halt", operate(Reach::Body)),
    ("GET", "/injections/{id}", SEE),
    ("DELETE", "/injections/{id}", operate(Reach::Injection)),
    ("POST", "/injections/{id}/approve", Takes::Role(Approve, Reach::Injection)),
    ("POST", "/injections/{id}/renew", operate(Reach::Injection)),
    ("POST", "/chaos/inject", operate(Reach::Body)),
    ("POST", "/chaos/revert/{id}", operate(Reach::Injection)),
    ("GET", "/chaos/experiments", SEE),
    // What a schedule will inject is held to the scope of whoever added it.
    ("GET", "/v1/schedules", SEE),
    ("POST", "/v1/schedules", operate(Reach::Body)),
    ("DELETE", "/v1/schedules/{name}", operate(Reach::Schedule)),
    ("GET", "/v1/audit", SEE),
    ("GET", "/v1/audit/verify", SEE),
    ("GET", "/v1/audit/at", SEE),
    ("GET", "/v1/tokens", administer()),
    ("POST", "/v1/tokens", administer()),
    ("DELETE", "/v1/tokens/{id}", administer()),
];

/// What a request takes; without a path it asks for what is not there.
pub(super) fn takes(method: &Method, path: Option<&str>) -> Takes {
    let Some(path) = path else { return SEE };
    let method = if method == Method::HEAD { "GET" } else { method.as_str() };
    of(method, path).unwrap_or(const { administer() })
}

/// What is declared for a route.
pub(crate) fn of(method: &str, path: &str) -> Option<Takes> {
    ROUTES.iter().find(|(known, at, _)| *known == method && *at == path).map(|(.., takes)| *takes)
}

impl Takes {
    /// The least role that is enough, for the description.
    pub(crate) fn role(self) -> &'static str {
        match self {
            Self::Nothing => "none",
            Self::Role(need, _) => need.role().as_str(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A new route cannot be forgotten, nor an old one be left over.
    #[test]
    fn the_table_has_the_routes_of_the_description_and_no_others() {
        let document = crate::openapi();
        let mut described = BTreeSet::new();
        for (path, item) in document["paths"].as_object().unwrap() {
            for (method, operation) in item.as_object().unwrap() {
                let method = method.to_uppercase();
                let declared = of(&method, path).map(Takes::role);
                assert_eq!(operation["x-sabot-role"].as_str(), declared, "{method} {path}");
                described.insert(format!("{method} {path}"));
            }
        }
        let declared: Vec<_> = ROUTES.iter().map(|(method, path, _)| format!("{method} {path}")).collect();
        assert_eq!(declared.iter().cloned().collect::<BTreeSet<_>>(), described);
        assert_eq!(declared.len(), described.len(), "one is there twice");
    }

    #[test]
    fn what_changes_takes_more_than_to_see() {
        for (method, path, takes) in ROUTES {
            let sees = matches!(takes, Takes::Nothing | Takes::Role(View, _));
            // Who may do what is not for everybody to see.
            assert_eq!(sees, *method == "GET" && *path != "/v1/tokens", "{method} {path}");
        }
        assert_eq!(takes(&Method::HEAD, Some("/proxies")), SEE);
        assert_eq!(takes(&Method::PUT, Some("/proxies")), administer());
        assert_eq!(takes(&Method::GET, Some("/forgotten")), administer());
        assert_eq!(takes(&Method::POST, None), SEE);
    }
}
