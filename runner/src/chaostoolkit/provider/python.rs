//! Functions of Python modules: those that Sabot knows by name, and a refusal of all others.

use sabot_toxics::{Invalid, suggestion};
use serde_json::{Map, Value};

use super::Provider;
use super::prometheus::{self, Prometheus};
use super::toxiproxy::{self, Toxiproxy};
use crate::chaostoolkit::check::{Object, optional_object, text};

/// A function that Sabot does natively.
#[derive(Debug)]
pub(super) struct Function<C: 'static> {
    pub(super) module: &'static str,
    pub(super) name: &'static str,
    /// Arguments that have to be given.
    pub(super) required: &'static [&'static str],
    /// Arguments that may be.
    pub(super) optional: &'static [&'static str],
    pub(super) call: C,
}

/// Reads a provider of type `python`.
///
/// # Errors
/// Its function is none that Sabot does natively, or lacks an argument, or does not know one.
pub(super) fn read(provider: &Object) -> Result<Provider, Invalid> {
    let module = text(provider, "module")?;
    let name = text(provider, "func")?;
    let arguments = optional_object(provider, "arguments")?.cloned().unwrap_or_default();
    if let Some(function) = find(toxiproxy::FUNCTIONS, module, name, &arguments)? {
        return Ok(Provider::Toxiproxy(Toxiproxy { function, arguments }));
    }
    if let Some(function) = find(prometheus::FUNCTIONS, module, name, &arguments)? {
        let prometheus = Prometheus { function, arguments };
        prometheus.check()?;
        return Ok(Provider::Prometheus(prometheus));
    }
    Err(refusal(module, name))
}

fn find<C>(
    functions: &'static [Function<C>],
    module: &str,
    name: &str,
    arguments: &Map<String, Value>,
) -> Result<Option<&'static Function<C>>, Invalid> {
    let found = functions.iter().find(|function| function.module == module && function.name == name);
    let Some(function) = found else { return Ok(None) };
    if let Some(missing) = function.required.iter().find(|name| !arguments.contains_key(**name)) {
        return Err(Invalid::new(format!("arguments.{missing}"), "is missing"));
    }
    let known: Vec<&str> = function.required.iter().chain(function.optional).copied().collect();
    match arguments.keys().find(|name| !known.contains(&name.as_str())) {
        Some(other) => Err(Invalid::new(
            format!("arguments.{other}"),
            format!("unknown attribute{}", suggestion(other, &known)),
        )),
        None => Ok(Some(function)),
    }
}

/// What to do instead of calling that function.
fn refusal(module: &str, name: &str) -> Invalid {
    let own = toxiproxy::FUNCTIONS.iter().map(|function| (function.module, function.name));
    let own = own.chain(prometheus::FUNCTIONS.iter().map(|function| (function.module, function.name)));
    let own: Vec<&str> = own.filter(|(of, _)| *of == module).map(|(_, name)| name).collect();
    if !own.is_empty() {
        return Invalid::new(
            "func",
            format!("Sabot does not do `{module}.{name}`{}; call `chaos run` for it", suggestion(name, &own)),
        );
    }
    let instead = match module.split('.').next().unwrap_or_default() {
        "chaosprometheus" => "ask by `chaosprometheus.probes.query`, or by an `http` provider",
        "chaosk8s" => "call `kubectl` by a `process` provider",
        "chaosaws" => "call `aws` by a `process` provider",
        "chaosgcp" | "chaosgce" => "call `gcloud` by a `process` provider",
        "chaosazure" => "call `az` by a `process` provider",
        "chaoslib" | "chaosaddons" => "leave it out, or set `pauses` and `background` instead",
        "chaoswm" | "chaosgremlin" | "chaoshttp" | "chaosgrpc" | "chaosistio" => {
            "break the link by a toxic: `chaostoxi.toxic.actions.create_toxic` takes every kind that Sabot has"
        }
        _ => "call it by a `process` provider, `python -c '…'` or a program of your own, or by `http`",
    };
    Invalid::new("module", format!("`{module}.{name}` is Python, which Sabot does not run: {instead}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn refused(provider: &Value) -> Invalid {
        read(provider.as_object().unwrap()).unwrap_err()
    }

    #[test]
    fn known_functions_are_taken() {
        for (module, func, arguments) in [
            ("chaostoxi.proxy.actions", "reset", json!({})),
            ("chaostoxi.proxy.probes", "proxy_exist", json!({"proxy_name": "a"})),
            (
                "chaostoxi.toxic.actions",
                "create_latency_toxic",
                json!({"for_proxy": "a", "toxic_name": "b", "latency": 1}),
            ),
            ("chaosprometheus.probes", "query", json!({"query": "up", "when": "2 minutes ago"})),
        ] {
            let provider = json!({"module": module, "func": func, "arguments": arguments});
            read(provider.as_object().unwrap()).unwrap();
        }
    }

    #[test]
    fn all_others_are_refused_by_name() {
        let known = "chaostoxi.toxic.actions";
        for (provider, field, told) in [
            (json!({"module": "chaosk8s.pod.actions", "func": "terminate_pods"}), "module", "kubectl"),
            (json!({"module": "mine.probes", "func": "f"}), "module", "`mine.probes.f` is Python"),
            (json!({"module": known, "func": "create_latency"}), "func", "create_latency_toxic"),
            (json!({"module": "chaosprometheus.probes", "func": "compute_mean"}), "func", "chaos run"),
            (
                json!({"module": known, "func": "delete_toxic", "arguments": {"for_proxy": "a"}}),
                "arguments.toxic_name",
                "is missing",
            ),
            (
                json!({"module": known, "func": "delete_toxic",
                "arguments": {"for_proxy": "a", "toxic_name": "b", "toxicname": 1}}),
                "arguments.toxicname",
                "did you mean `toxic_name`",
            ),
            (
                json!({"module": "chaosprometheus.probes", "func": "query",
                "arguments": {"query": "up", "when": "when it was fine"}}),
                "arguments.when",
                "2 minutes ago",
            ),
            (json!({"module": known}), "func", "is missing"),
        ] {
            let error = refused(&provider);
            assert_eq!(error.field, field, "{provider}");
            assert!(error.message.contains(told), "{}", error.message);
        }
    }
}
