//! The matrix: each route of the description, with each kind of token. What is expected is written here
//! once more, apart from the table that the server goes by.

use std::time::Duration;

use sabot_injections::access::role::Role;
use sabot_injections::engine::Asked;
use sabot_injections::event::Actor;
use sabot_injections::request::Request;
use serde_json::Value;

use super::{Guarded, TEAMS, injection, passed};

/// The least role for a route.
fn least(method: &str, path: &str) -> &'static str {
    match (method, path) {
        ("GET", "/version" | "/v1/ca" | "/v1/ca/crl" | "/v1/ca/crl.pem") => "none",
        (_, path) if path.starts_with("/v1/tokens") => "admin",
        (_, path) if path.ends_with("/approve") => "approver",
        ("GET", _) => "viewer",
        _ => "operator",
    }
}

/// Who may what, by the least role of a route.
fn may(role: Role, least: &str) -> bool {
    match least {
        "viewer" => true,
        "operator" => matches!(role, Role::Operator | Role::Admin),
        "approver" => matches!(role, Role::Approver | Role::Admin),
        _ => role == Role::Admin,
    }
}

/// Whether a route changes what is of one team alone, of all teams, or what its body says.
#[derive(PartialEq)]
enum Changes {
    Nothing,
    OneTeam,
    AllTeams,
    Body,
}

fn changes(method: &str, path: &str) -> Changes {
    match (method, path) {
        ("GET", _) if !path.starts_with("/v1/tokens") => Changes::Nothing,
        (_, "/v1/proxies" | "/injections" | "/injections/halt" | "/chaos/inject" | "/v1/schedules") => {
            Changes::Body
        }
        (_, path) if path.starts_with("/v1/tokens") => Changes::AllTeams,
        (_, path) if path.contains('{') => Changes::OneTeam,
        _ => Changes::AllTeams,
    }
}

struct Route {
    method: String,
    path: String,
}

fn routes() -> Vec<Route> {
    let document = sabot_admin_api::openapi();
    let of = |(path, item): (&String, &Value)| {
        let methods: Vec<_> = item.as_object().unwrap().keys().map(|method| method.to_uppercase()).collect();
        methods.into_iter().map(|method| Route { method, path: path.clone() }).collect::<Vec<_>>()
    };
    document["paths"].as_object().unwrap().iter().flat_map(of).collect()
}

impl Route {
    /// The request line, about what is of a team.
    fn line(&self, guarded: &Guarded, team: &str) -> String {
        let id = match self.path.as_str() {
            path if path.starts_with("/injections") || path.starts_with("/chaos") => {
                injection_of(guarded, team)
            }
            path if path.contains("connections") => "1".to_owned(),
            _ => "tok-none".to_owned(),
        };
        let path = self.path.replace("{proxy}", team).replace("{name}", team).replace("{id}", &id);
        let path = path.replace("{toxic}", "slow").replace("{kind}", "latency");
        let query = if path.starts_with("/chaos/revert") { "?wait_seconds=0" } else { "" };
        format!("{} {path}{query}", self.method)
    }
}

/// The one that runs on the team's proxy.
fn injection_of(guarded: &Guarded, team: &str) -> String {
    let all = guarded.engine.injections();
    let running = all.iter().find(|it| !it.state.is_over() && it.targets.iter().any(|target| target == team));
    running.map_or_else(|| guarded.inject(team), |it| it.id.clone())
}

#[test]
fn every_route_asks_for_its_role() {
    let guarded = Guarded::start();
    let revoked = guarded.created(Role::Admin, "", None);
    guarded.access.revoke(&Actor::new("test", ""), &revoked.0.id).unwrap();
    let (token, expired) = guarded.created(Role::Admin, "", Some(Duration::from_millis(1)));
    while !guarded.access.expired(&token) {
        std::thread::yield_now();
    }
    let worthless = [
        ("none", None),
        ("an unknown one", Some("sabot_0000000000000000000000000000000000000000000".to_owned())),
        ("an empty one", Some(String::new())),
        ("an expired one", Some(expired)),
        ("a revoked one", Some(revoked.1)),
    ];
    let roles = Role::ALL.map(|role| (role, guarded.token(role, "")));
    for route in routes() {
        let least = least(&route.method, &route.path);
        for (what, token) in &worthless {
            let line = route.line(&guarded, "payments");
            let answer = guarded.ask(&line, token.as_deref(), "");
            assert_eq!(answer.status != 401, least == "none", "{line} with {what}: {}", answer.body);
            if answer.status == 401 {
                let ways: Vec<_> =
                    answer.headers.iter().filter(|(name, _)| name == "www-authenticate").collect();
                assert_eq!(ways.len(), 2, "{line}");
                assert_eq!(answer.json()["status"], 401, "{line}");
                assert!(!answer.body.contains("sabot_"), "{line}: {}", answer.body);
            }
        }
        for (role, token) in &roles {
            let line = route.line(&guarded, "payments");
            let answer = guarded.ask(&line, Some(token), "");
            let allowed = least == "none" || may(*role, least);
            assert_eq!(passed(&answer), allowed, "{line} as {role}: {} {}", answer.status, answer.body);
            if !allowed {
                let told = format!(
                    "this takes the role {least}, and this token of {role}@example.com has the role {role}"
                );
                assert_eq!((answer.status, answer.json()["error"].as_str()), (403, Some(&*told)), "{line}");
            }
            guarded.restore();
        }
    }
}

#[test]
fn every_route_keeps_to_the_scope() {
    let guarded = Guarded::start();
    let scope = "team=payments";
    let roles = Role::ALL.map(|role| (role, guarded.token(role, scope)));
    for team in TEAMS {
        schedule(&guarded, team);
    }
    for route in routes() {
        let least = least(&route.method, &route.path);
        let changes = changes(&route.method, &route.path);
        for (role, token) in roles.iter().filter(|(role, _)| least != "none" && may(*role, least)) {
            for team in TEAMS {
                let line = route.line(&guarded, team);
                let answer = guarded.ask(&line, Some(token), "");
                let allowed = match changes {
                    Changes::Nothing | Changes::Body => true,
                    Changes::OneTeam => team == "payments",
                    Changes::AllTeams => false,
                };
                assert_eq!(passed(&answer), allowed, "{line} as {role}: {} {}", answer.status, answer.body);
                assert!(allowed || answer.body.contains(scope), "{line}: {}", answer.body);
                guarded.restore();
                schedule(&guarded, team);
            }
        }
    }
}

/// A schedule of each team, by its name.
fn schedule(guarded: &Guarded, team: &str) {
    let request = Request::read(injection(team)).unwrap();
    let scope = format!("team={team}").parse().unwrap();
    let asked = Asked { request, actor: Actor::new("test", ""), scope };
    let when = "@every 1h".parse().unwrap();
    // It may be there still.
    let _ = guarded.api.wait_for(guarded.engine.add_schedule(team.to_owned(), when, asked));
}
