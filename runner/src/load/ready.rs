//! A plan that was checked as a whole and is ready to be sent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use sabot_client::Trust;
use sabot_toxics::{Invalid, Seed};

use super::engine::lane::AnyCall;
use super::kinds::Http;
use super::kinds::HttpCall;
use super::mix::{self, Mix};
use super::plan::{Class, Endpoint, Plan, Scalar};
use super::profile::Profile;
use super::target::Target;
use super::template::{Scope, Values};

/// Requests/s that one worker sends with ease.
const WORKER_RATE: f64 = 20_000.0;

/// A load that can be run: its plan, and all that follows from it.
pub struct Load {
    pub(crate) plan: Plan,
    pub(crate) profile: Profile,
    pub(crate) seed: Seed,
    pub(crate) tenants: Vec<String>,
    pub(crate) endpoints: Vec<Ready>,
    pub(crate) setup: Vec<ReadyStep>,
    mix: (Mix, Seed),
    tenant_mix: (Mix, Seed),
}

impl std::fmt::Debug for Load {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Load").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// An endpoint, ready.
pub(crate) struct Ready {
    pub name: String,
    pub class: Class,
    pub timeout: Duration,
    pub call: Arc<dyn AnyCall>,
}

/// A request of the setup, ready.
pub(crate) struct ReadyStep {
    pub call: HttpCall,
    /// Names, each with its JSON pointer.
    pub capture: BTreeMap<String, String>,
}

/// What the templates and targets of an endpoint are read with.
pub(crate) struct Compile<'a> {
    pub plan: &'a Plan,
    pub seed: &'a Seed,
    pub captured: &'a BTreeSet<String>,
    pub name: &'a str,
    /// The endpoint's own target.
    pub target: Option<&'a str>,
    tls: &'a ClientConfig,
}

impl<'a> Compile<'a> {
    /// A scope for the endpoint's templates.
    pub(crate) fn scope(&self) -> Scope<'a> {
        Scope::new(self.seed, self.name, &self.plan.vars, self.captured)
    }

    /// The target, which must have one of `schemes`.
    pub(crate) fn target(&self, schemes: &[&str]) -> Result<Target, Invalid> {
        match (self.target, &self.plan.target) {
            (Some(own), _) => Target::parse("target", own, schemes),
            (None, Some(url)) => Target::parse("target", url, schemes),
            (None, None) => {
                let example = schemes.first().copied().unwrap_or("http");
                let message =
                    format!("is missing: say where to, such as {example}://localhost, here or in the plan");
                Err(Invalid::new("target", message))
            }
        }
    }

    /// TLS, if the target speaks it, with these protocols to choose from.
    pub(crate) fn tls(&self, target: &Target, alpn: &[&[u8]]) -> Option<Arc<ClientConfig>> {
        target.tls().then(|| {
            let mut config = self.tls.clone();
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            Arc::new(config)
        })
    }
}

impl Load {
    /// Checks a plan as a whole and makes it ready.
    ///
    /// # Errors
    /// The first field that cannot be what it is.
    pub fn new(mut plan: Plan) -> Result<Self, Invalid> {
        check_limits(&plan)?;
        let profile = Profile::new(&plan)?;
        if plan.endpoints.is_empty() {
            plan.endpoints.push(only(&plan)?);
        }
        if plan.endpoints.len() > usize::from(u16::MAX) {
            return Err(Invalid::new("endpoints", "must be at most 65535"));
        }
        let (tenants, tenant_mix) = mix::tenants(plan.tenants.as_ref())?;
        let mix = Mix::of_endpoints(&plan.endpoints)?;
        let seed = Seed::new(plan.seed).split("load");
        let tls = tls(&plan)?;
        let mut captured = BTreeSet::new();
        let setup = steps(&plan, &seed, &tls, &mut captured)?;
        let mut endpoints: Vec<Ready> = Vec::with_capacity(plan.endpoints.len());
        for (at, endpoint) in plan.endpoints.iter().enumerate() {
            let within = |error: Invalid| error.within(&format!("endpoints[{at}]"));
            if endpoints.iter().any(|other| other.name == endpoint.name) {
                let message =
                    format!("`{}` is the name of an earlier endpoint too: give it another", endpoint.name);
                return Err(within(Invalid::new("name", message)));
            }
            let cx = Compile {
                plan: &plan,
                seed: &seed,
                captured: &captured,
                name: &endpoint.name,
                target: endpoint.target.as_deref(),
                tls: &tls,
            };
            let call = endpoint.request.compile(&cx).map_err(|error| {
                let of_plan = error.field == "target" && endpoint.target.is_none() && plan.target.is_some();
                if of_plan { error } else { within(error) }
            })?;
            let timeout = endpoint.timeout.unwrap_or(plan.timeout).get();
            if timeout.is_zero() {
                return Err(within(Invalid::new("timeout", "must be longer than 0")));
            }
            endpoints.push(Ready { name: endpoint.name.clone(), class: endpoint.class, timeout, call });
        }
        let mix = (mix, seed.split("endpoint"));
        let tenant_mix = (tenant_mix, seed.split("tenant"));
        Ok(Self { plan, profile, seed, tenants, endpoints, setup, mix, tenant_mix })
    }

    /// The plan, with what it left out.
    #[must_use]
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How the rate changes over time.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// Names and classes of the endpoints: outcomes name them by their place here.
    pub fn endpoints(&self) -> impl ExactSizeIterator<Item = (&str, Class)> {
        self.endpoints.iter().map(|endpoint| (endpoint.name.as_str(), endpoint.class))
    }

    /// Names of the tenants: outcomes name them by their place here.
    #[must_use]
    pub fn tenants(&self) -> &[String] {
        &self.tenants
    }

    /// Threads that are to send.
    #[must_use]
    pub fn workers(&self) -> u16 {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let needed = (self.profile.peak() / WORKER_RATE).ceil().max(1.0) as usize;
        let asked = self.plan.workers.unwrap_or_else(|| needed.min(cores).min(64) as u16);
        // A worker without a connection of its own could send nothing.
        asked.min(u16::try_from(self.plan.connections).unwrap_or(u16::MAX)).max(1)
    }

    /// Endpoint and tenant of a request: a pure function of the seed and its number.
    #[must_use]
    pub fn choose(&self, number: u64) -> (u16, u16) {
        let endpoint =
            if self.endpoints.len() == 1 { 0 } else { self.mix.0.draw(&mut self.mix.1.at(number)) };
        let tenant = if self.tenants.len() == 1 {
            0
        } else {
            self.tenant_mix.0.draw(&mut self.tenant_mix.1.at(number))
        };
        (endpoint as u16, tenant as u16)
    }

    /// All that a request sends: a pure function of the seed and its number. What the setup captures
    /// stands as its name.
    #[must_use]
    pub fn request(&self, number: u64) -> Vec<u8> {
        let (endpoint, tenant) = self.choose(number);
        let tenant = self.tenants.get(usize::from(tenant)).map_or("", String::as_str);
        let values = Values { number, tenant, captured: None };
        self.endpoints.get(usize::from(endpoint)).map(|ready| ready.call.show(&values)).unwrap_or_default()
    }
}

fn check_limits(plan: &Plan) -> Result<(), Invalid> {
    let between = |field: &str, value: u32, most: u32| {
        if (1..=most).contains(&value) {
            return Ok(());
        }
        Err(Invalid::new(field, format!("must lie between 1 and {most}")))
    };
    between("connections", plan.connections, 10_000)?;
    between("max_in_flight", plan.max_in_flight, 1_000_000)?;
    between("workers", plan.workers.map_or(1, u32::from), 64)?;
    for (field, span) in [("timeout", plan.timeout), ("connect_timeout", plan.connect_timeout)] {
        if span.is_zero() {
            return Err(Invalid::new(field, "must be longer than 0"));
        }
    }
    Ok(())
}

/// The endpoint of a plan that names none: GET of the target's own path.
fn only(plan: &Plan) -> Result<Endpoint, Invalid> {
    let Some(url) = &plan.target else {
        return Err(Invalid::new("target", "is missing: say where to, such as http://localhost:8080"));
    };
    let target = Target::parse("target", url, &["http", "https"])?;
    let query = url.parse::<http::Uri>().ok().and_then(|uri| uri.query().map(|query| format!("?{query}")));
    let request = Http::get(query.unwrap_or_default());
    let path = if target.path.is_empty() { "/" } else { &target.path };
    let name = format!("GET {path}");
    Ok(Endpoint {
        name,
        weight: None,
        class: Class::Read,
        target: None,
        timeout: None,
        request: request.into(),
    })
}

fn steps(
    plan: &Plan,
    seed: &Seed,
    tls: &ClientConfig,
    captured: &mut BTreeSet<String>,
) -> Result<Vec<ReadyStep>, Invalid> {
    let mut steps = Vec::with_capacity(plan.setup.len());
    // The plan's headers are the endpoints': often they hold what the setup has yet to fetch.
    let plan = &Plan { headers: BTreeMap::new(), ..plan.clone() };
    for (at, step) in plan.setup.iter().enumerate() {
        let within = |error: Invalid| error.within(&format!("setup[{at}]"));
        let name = format!("setup {at}");
        let cx = Compile { plan, seed, captured, name: &name, target: step.target.as_deref(), tls };
        let spec = Http {
            method: step.method.clone(),
            path: step.path.clone(),
            headers: step.headers.clone(),
            body: step.body.clone(),
            expect: Vec::new(),
        };
        let call = HttpCall::new(&spec, &cx).map_err(within)?;
        for (name, pointer) in &step.capture {
            let field = format!("capture.{name}");
            if !pointer.starts_with('/') {
                return Err(within(Invalid::new(field, "must be a JSON pointer, such as /token")));
            }
            if plan.vars.contains_key(name) {
                return Err(within(Invalid::new(field, "is the name of one of `vars` too: choose another")));
            }
        }
        captured.extend(step.capture.keys().cloned());
        steps.push(ReadyStep { call, capture: step.capture.clone() });
    }
    Ok(steps)
}

fn tls(load: &Plan) -> Result<ClientConfig, Invalid> {
    let plan = &load.tls;
    // Reading the system's roots costs as much as thousands of requests; where no target speaks TLS
    // nobody will ever be believed.
    let targets = load.target.iter().chain(load.endpoints.iter().filter_map(|each| each.target.as_ref()));
    let targets = targets.chain(load.setup.iter().filter_map(|step| step.target.as_ref()));
    let plain = targets.into_iter().all(|url| url.starts_with("http://") || url.starts_with("redis://"));
    let insecure = plan.insecure || (plain && plan.roots.is_none());
    let trust = Trust { ca: plan.roots.clone(), also: Vec::new(), insecure };
    let builder = trust.builder().map_err(|error| Invalid::new("tls.roots", error.to_string()))?;
    match (&plan.cert, &plan.key) {
        (None, None) => Ok(builder.with_no_client_auth()),
        (Some(cert), Some(key)) => {
            use rustls::pki_types::pem::PemObject;
            use rustls::pki_types::{CertificateDer, PrivateKeyDer};
            let failed = |field: &str, file: &std::path::Path, why: &dyn std::fmt::Display| {
                Invalid::new(field, format!("failed to read {}: {why}", file.display()))
            };
            let chain = CertificateDer::pem_file_iter(cert)
                .and_then(Iterator::collect::<Result<Vec<_>, _>>)
                .map_err(|error| failed("tls.cert", cert, &error))?;
            let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| failed("tls.key", key, &error))?;
            builder.with_client_auth_cert(chain, secret).map_err(|error| failed("tls.cert", cert, &error))
        }
        (Some(_), None) => Err(Invalid::new("tls.key", "is missing: a certificate needs its private key")),
        (None, Some(_)) => Err(Invalid::new("tls.cert", "is missing: a private key needs its certificate")),
    }
}

/// A scalar from text, for callers that build plans.
impl From<&str> for Scalar {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}
