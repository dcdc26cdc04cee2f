//! The functions of `chaostoolkit-toxiproxy`, over the same routes of the API.

mod functions;
mod leases;

use std::collections::BTreeMap;
use std::time::Duration;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value, json};

use super::Around;
use super::python::Function;
use crate::chaostoolkit::scope::{Scope, to_text};
use crate::fetch::{Answer, Fetch, fetch};
use functions::Call;
pub(super) use functions::FUNCTIONS;
pub(in crate::chaostoolkit) use leases::Leases;

/// A call of the API on the same machine or near it answers in milliseconds.
const LIMIT: Duration = Duration::from_secs(30);

/// One call.
#[derive(Clone, Debug)]
pub(in crate::chaostoolkit) struct Toxiproxy {
    pub(super) function: &'static Function<Call>,
    pub(super) arguments: Map<String, Value>,
}

impl Toxiproxy {
    pub(super) async fn run(&self, around: &Around) -> Result<Value, String> {
        let scope = around.scope();
        let arguments = scope.fill_arguments(&Value::Object(self.arguments.clone()));
        let api = Api { server: server(&scope, &around.toxiproxy), arguments };
        match &self.function.call {
            Call::CreateProxy => {
                let body = api.new_proxy(&scope)?;
                let proxy = api.json("POST", "/proxies", Some(&body)).await?;
                tell_port(around, &proxy);
                Ok(Value::Bool(true))
            }
            Call::ModifyProxy => api.patch_proxy(around, &api.patch()).await,
            Call::Enable(enabled) => api.patch_proxy(around, &json!({"enabled": enabled})).await,
            Call::DeleteProxy => {
                // As there, a proxy that is not there is a warning.
                if let Err(reason) = api.json("DELETE", &api.proxy(), None).await {
                    (around.said)(&format!("warning: the proxy was not deleted: {reason}"));
                }
                Ok(Value::Null)
            }
            Call::Reset => Ok(Value::Bool(is_ok(&api.send("POST", "/reset", None).await?))),
            Call::ProxyExist => Ok(Value::Bool(is_ok(&api.send("GET", &api.proxy(), None).await?))),
            Call::ProxyAttribute => {
                let answer = api.send("GET", &api.proxy(), None).await?;
                if !is_ok(&answer) {
                    return Ok(Value::Null);
                }
                let name = api.text("attribute");
                let proxy = parse(&answer)?;
                proxy.get(&name).cloned().ok_or_else(|| format!("a proxy has no `{name}`"))
            }
            Call::CreateToxic => {
                let given = |name: &str, unless: Value| api.arguments.get(name).cloned().unwrap_or(unless);
                let attributes = given("attributes", json!({}));
                api.add_toxic(
                    &around.leases,
                    &api.text("toxic_type"),
                    given("stream", json!("downstream")),
                    given("toxicity", json!(1.0)),
                    attributes,
                )
                .await
            }
            Call::Toxic(kind, attributes) => {
                let attribute = |(argument, attribute): &(&str, &str)| {
                    Some(((*attribute).to_owned(), api.arguments.get(*argument)?.clone()))
                };
                let attributes = attributes.iter().filter_map(attribute).collect();
                let attributes = Value::Object(attributes);
                api.add_toxic(&around.leases, kind, json!("downstream"), json!(1.0), attributes).await
            }
            Call::DeleteToxic => {
                let path = format!("{}/toxics/{}", api.proxy(), encode(&api.text("toxic_name")));
                Ok(Value::Bool(is_ok(&api.send("DELETE", &path, None).await?)))
            }
        }
    }
}

/// An API. It has no `Debug`, so that nothing prints the token.
#[derive(Clone, PartialEq, Eq)]
pub(in crate::chaostoolkit) struct Server {
    /// Its URL, without a slash at the end.
    pub(in crate::chaostoolkit) url: String,
    /// The token that is shown to it.
    pub(in crate::chaostoolkit) token: Option<String>,
}

impl Server {
    fn headers(&self) -> BTreeMap<String, String> {
        let bearer = |token: &String| ("authorization".to_owned(), format!("Bearer {token}"));
        self.token.iter().map(bearer).collect()
    }
}

/// The API and the arguments of one call.
struct Api {
    server: Server,
    arguments: Value,
}

impl Api {
    fn text(&self, name: &str) -> String {
        self.arguments.get(name).map(to_text).unwrap_or_default()
    }

    /// The name of the proxy that is meant.
    fn proxy_name(&self) -> String {
        let name = self.arguments.get("proxy_name").or_else(|| self.arguments.get("for_proxy"));
        name.map(to_text).unwrap_or_default()
    }

    /// Its path.
    fn proxy(&self) -> String {
        format!("/proxies/{}", encode(&self.proxy_name()))
    }

    fn new_proxy(&self, scope: &Scope) -> Result<Value, String> {
        let given =
            |name: &str, unless: &str| self.arguments.get(name).map_or_else(|| unless.to_owned(), to_text);
        let upstream = |name: &str| from_environment(scope, self.text(name));
        Ok(json!({
            "name": self.text("proxy_name"),
            "listen": format!("{}:{}", given("listen_host", "0.0.0.0"), given("listen_port", "0")),
            "upstream": format!("{}:{}", upstream("upstream_host")?, upstream("upstream_port")?),
            "enabled": self.arguments.get("enabled").cloned().unwrap_or(Value::Bool(true)),
        }))
    }

    fn patch(&self) -> Value {
        let names = [("listen_address", "listen"), ("upstream_address", "upstream"), ("enabled", "enabled")];
        let given = |(argument, field): &(&str, &str)| {
            let value = self.arguments.get(*argument).filter(|value| !value.is_null())?;
            Some(((*field).to_owned(), value.clone()))
        };
        Value::Object(names.iter().filter_map(given).collect())
    }

    async fn patch_proxy(&self, around: &Around, patch: &Value) -> Result<Value, String> {
        let proxy = self.json("POST", &self.proxy(), Some(patch)).await?;
        tell_port(around, &proxy);
        Ok(Value::Bool(true))
    }

    async fn add_toxic(
        &self,
        leases: &Leases,
        kind: &str,
        stream: Value,
        toxicity: Value,
        attributes: Value,
    ) -> Result<Value, String> {
        let name = self.text("toxic_name");
        let toxic = json!({
            "name": name, "type": kind, "stream": stream, "toxicity": toxicity, "attributes": attributes,
            "when": leases::condition(),
        });
        let path = format!("{}/toxics", self.proxy());
        let answer = self.send("POST", &path, Some(&toxic)).await;
        // An answer that got lost may have been carried out; after a refusal one of that name is another's.
        if answer.as_ref().map_or(true, is_ok) {
            leases.begin(&self.server, &self.proxy_name(), &name);
        }
        let made = self.made("POST", &path, &answer?)?;
        Ok(Value::Bool(made["name"] == name.as_str()))
    }

    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Answer, String> {
        let url = format!("{}{path}", self.server.url);
        let headers = self.server.headers();
        let request = Fetch { method, url: &url, headers: &headers, body, limit: LIMIT };
        fetch(&request).await.map_err(|reason| format!("failed to {method} {url}: {reason}"))
    }

    async fn json(&self, method: &str, path: &str, body: Option<&Value>) -> Result<Value, String> {
        self.made(method, path, &self.send(method, path, body).await?)
    }

    /// What an answer says, if it is none that refuses.
    fn made(&self, method: &str, path: &str, answer: &Answer) -> Result<Value, String> {
        if !is_ok(answer) {
            let told: String = answer.text().chars().take(200).collect();
            return Err(format!(
                "{method} {}{path} was answered by {}: {}",
                self.server.url,
                answer.status,
                told.trim()
            ));
        }
        if answer.body.is_empty() { Ok(Value::Null) } else { parse(answer) }
    }
}

fn parse(answer: &Answer) -> Result<Value, String> {
    serde_json::from_slice(&answer.body)
        .map_err(|_| "the answer is no JSON: is it Toxiproxy or Sabot?".to_owned())
}

fn is_ok(answer: &Answer) -> bool {
    answer.status < 400
}

fn encode(name: &str) -> String {
    utf8_percent_encode(name, NON_ALPHANUMERIC).to_string()
}

/// The API that the configuration names, as `chaostoolkit-toxiproxy` reads it.
fn server(scope: &Scope, unless_given: &Server) -> Server {
    let value = |name: &str| {
        let value = scope.configuration.get(name).filter(|value| !value.is_null());
        value.map(to_text).filter(|text| !text.is_empty())
    };
    let url = value("toxiproxy_url").or_else(|| {
        let host = value("toxiproxy_host")?;
        Some(format!("http://{host}:{}", value("toxiproxy_port").unwrap_or_else(|| "8474".to_owned())))
    });
    let trimmed = |url: &str| url.trim_end_matches('/').to_owned();
    let usual = trimmed(&unless_given.url);
    let url = url.as_deref().map_or_else(|| usual.clone(), trimmed);
    // A token is for the server that it was given for.
    let token = unless_given.token.clone().filter(|_| url == usual);
    Server { url, token }
}

/// What a text that begins with `env:` names.
fn from_environment(scope: &Scope, text: String) -> Result<String, String> {
    let Some(name) = text.strip_prefix("env:") else { return Ok(text) };
    let set = scope.environment.get(name).cloned().or_else(|| std::env::var(name).ok());
    set.ok_or_else(|| format!("`{name}` is not set in the environment"))
}

/// Leaves the proxy's port where later activities look for it.
fn tell_port(around: &Around, proxy: &Value) {
    let (Some(name), Some(listen)) = (proxy["name"].as_str(), proxy["listen"].as_str()) else { return };
    let port = listen.rsplit(':').next().unwrap_or_default().to_owned();
    around.change(|scope| {
        scope.configuration.insert(format!("{name}_PORT"), Value::String(port.clone()));
        scope.environment.insert(format!("{name}_PORT"), port);
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_the_one_that_the_configuration_names() {
        let usual = Server { url: "http://sabot".to_owned(), token: Some("sabot_x".to_owned()) };
        for (configuration, expected, token) in [
            (json!({}), "http://sabot", true),
            (json!({"toxiproxy_url": "http://sabot/"}), "http://sabot", true),
            (json!({"toxiproxy_host": "a"}), "http://a:8474", false),
            (json!({"toxiproxy_host": "a", "toxiproxy_port": 1}), "http://a:1", false),
            (json!({"toxiproxy_host": "a", "toxiproxy_url": "http://b/"}), "http://b", false),
        ] {
            let configuration = configuration.as_object().cloned().unwrap();
            let scope = Scope { configuration, ..Scope::default() };
            let server = server(&scope, &usual);
            assert_eq!((server.url.as_str(), server.token.is_some()), (expected, token));
            assert_eq!(server.headers().contains_key("authorization"), token);
        }
    }
}
