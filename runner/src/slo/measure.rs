//! What a tally says of an indicator.

use std::time::Duration;

use super::{Endpoints, Indicator, Scope, Slo, Tenants};
use crate::load::{Class, Load};
use crate::outcome::Fate;
use crate::series::Tally;

/// The names behind the indices of a load's endpoints and tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// Endpoints and what they do, in the load's order.
    pub endpoints: Vec<(String, Class)>,
    /// Tenants, in the load's order; a load without tenants has one of no name.
    pub tenants: Vec<String>,
}

impl Names {
    /// Those of a load.
    #[must_use]
    pub fn of(load: &Load) -> Self {
        let endpoints = load.endpoints().map(|(name, class)| (name.to_owned(), class)).collect();
        let mut tenants = load.tenants().to_vec();
        if tenants.is_empty() {
            tenants.push(String::new());
        }
        Self { endpoints, tenants }
    }
}

/// A choice of a load's cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// One endpoint, or all of the scope.
    pub endpoint: Option<u16>,
    /// One tenant, or all of the scope.
    pub tenant: Option<u16>,
}

impl Indicator {
    /// What `tally`, gathered over `seconds`, says; none if no request ended, and for an SLI of one's
    /// own, which no tally knows. Where every request failed, latency is infinite.
    #[must_use]
    pub fn of(&self, tally: &Tally, seconds: f64) -> Option<f64> {
        let ok = tally.count(Fate::Ok) as f64;
        match self {
            Self::ErrorRate => tally.error_rate(),
            Self::Availability => tally.error_rate().map(|rate| 1.0 - rate),
            Self::Throughput => (seconds > 0.0).then(|| ok / seconds),
            Self::Quantile(q) => latency(tally, tally.ok.quantile(*q)),
            Self::Mean => latency(tally, tally.ok.mean()),
            Self::Sli(_) => None,
        }
    }

    /// How many requests a window must hold before it can say something: below it one slow or failed
    /// request would be all there is to a percentile.
    #[must_use]
    pub fn least(&self) -> u64 {
        match self {
            Self::Quantile(q) => ((1.0 / (1.0 - q).max(1e-3)).ceil() as u64).clamp(10, 100),
            Self::Throughput | Self::Sli(_) => 0,
            _ => 10,
        }
    }
}

/// Requests that all failed must not pass for fast ones.
fn latency(tally: &Tally, of_ok: Option<Duration>) -> Option<f64> {
    match of_ok {
        Some(latency) => Some(latency.as_secs_f64()),
        None => (tally.ended() > 0).then_some(f64::INFINITY),
    }
}

impl Scope {
    /// Whether the cell of that endpoint and tenant belongs to it.
    #[must_use]
    pub fn holds(&self, names: &Names, endpoint: u16, tenant: u16) -> bool {
        let of_endpoint = || names.endpoints.get(usize::from(endpoint));
        let endpoint = match &self.endpoints {
            Endpoints::All => true,
            Endpoints::Reads => of_endpoint().is_some_and(|(_, class)| *class == Class::Read),
            Endpoints::Writes => of_endpoint().is_some_and(|(_, class)| *class == Class::Write),
            Endpoints::Named(wanted) => of_endpoint().is_some_and(|(name, _)| name == wanted),
        };
        let tenant = match &self.tenants {
            Tenants::Together | Tenants::Each => true,
            Tenants::Named(wanted) => names.tenants.get(usize::from(tenant)) == Some(wanted),
        };
        endpoint && tenant
    }

    /// Its endpoints, as indices.
    #[must_use]
    pub fn endpoints(&self, names: &Names) -> Vec<u16> {
        let all = 0..names.endpoints.len().min(usize::from(u16::MAX)) as u16;
        let whatever = Self { endpoints: self.endpoints.clone(), tenants: Tenants::Together };
        all.filter(|endpoint| whatever.holds(names, *endpoint, 0)).collect()
    }

    /// Its tenants, as indices.
    #[must_use]
    pub fn tenants(&self, names: &Names) -> Vec<u16> {
        let all = 0..names.tenants.len().min(usize::from(u16::MAX)) as u16;
        let whatever = Self { endpoints: Endpoints::All, tenants: self.tenants.clone() };
        all.filter(|tenant| whatever.holds(names, 0, *tenant)).collect()
    }
}

impl Slo {
    /// What it is judged by: every tenant by itself if it says so, else all of its scope together.
    #[must_use]
    pub fn subjects(&self, names: &Names) -> Vec<Subject> {
        match self.scope.tenants {
            Tenants::Each => {
                let one = |tenant| Subject { endpoint: None, tenant: Some(tenant) };
                self.scope.tenants(names).into_iter().map(one).collect()
            }
            _ => vec![Subject { endpoint: None, tenant: None }],
        }
    }

    /// Whether a load with these names has what it is about.
    ///
    /// # Errors
    /// It names an endpoint or a tenant that there is not, or a class without endpoints.
    pub fn check(&self, names: &Names, slis: &[&str]) -> Result<(), String> {
        if let Indicator::Sli(name) = &self.indicator {
            if slis.contains(&name.as_str()) {
                return Ok(());
            }
            let mut known = vec!["error_rate", "availability", "throughput", "mean", "p50", "p99"];
            known.extend(slis);
            return Err(format!("unknown indicator `{name}`{}", sabot_toxics::suggestion(name, &known)));
        }
        if self.scope.endpoints(names).is_empty() {
            let Endpoints::Named(wanted) = &self.scope.endpoints else {
                return Err(format!("`{self}` is about endpoints that the load does not have"));
            };
            let known: Vec<&str> = names.endpoints.iter().map(|(name, _)| name.as_str()).collect();
            return Err(format!("unknown endpoint `{wanted}`{}", sabot_toxics::suggestion(wanted, &known)));
        }
        if self.scope.tenants(names).is_empty() {
            let known: Vec<&str> = names.tenants.iter().map(String::as_str).take(10).collect();
            return Err(format!("unknown tenant in `{self}`; there are {}, …", known.join(", ")));
        }
        Ok(())
    }
}
