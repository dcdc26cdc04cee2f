use std::time::Duration;

use clap::{Args, Subcommand};
use sabot_lab::{
    ApiOptions, Behaviour, Common, Instance, Listen, Listeners, Memory, Mitigations, OrdersOptions,
    RealOptions, Sockets, StoreOptions,
};
use serde_json::Value;

use super::{Run, block_on};
use crate::context::Context;
use crate::failure::Failure;
use crate::serve::{self, LogFormat};

/// Run one service of the lab, in the foreground
#[derive(Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(super) struct Service {
    #[command(subcommand)]
    which: Which,
}

#[derive(Subcommand)]
enum Which {
    Api(Api),
    Orders(Orders),
    Payments(Payments),
    Check(Check),
}

#[derive(Args)]
struct Shared {
    /// The instance's name, in metrics and logs [default: the service's]
    #[arg(long)]
    name: Vec<String>,
    /// Where requests are answered
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    listen: Vec<Listen>,
    /// Where health, metrics and switches are
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:0")]
    control: Vec<Listen>,
    /// What tokens are signed with: the same for api and orders
    #[arg(long, env = "SABOT_LAB_SECRET", hide_env_values = true)]
    secret: String,
    /// The mitigations to begin with: on, off, or JSON such as {"timeout": true}
    #[arg(long, value_name = "WHICH", default_value = "off", value_parser = mitigations)]
    mitigations: Mitigations,
    /// For jitter and errors
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// The gateway: tokens, and every request of clients
#[derive(Args)]
struct Api {
    #[command(flatten)]
    shared: Shared,
    /// Where a replica of orders answers; may be given several times
    #[arg(long, value_name = "URL", required = true)]
    orders: Vec<String>,
    /// How long a token is good
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = crate::span::positive)]
    token_lasts: Duration,
}

/// Places and finds orders; several instances in one process share one store
#[derive(Args)]
struct Orders {
    #[command(flatten)]
    shared: Shared,
    /// Where payments answers
    #[arg(long, value_name = "URL")]
    payments: String,
    #[command(flatten)]
    real: Real,
    /// Tenants that have orders from the beginning
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=100))]
    tenants: u32,
    /// Orders of each
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=5000))]
    orders_per_tenant: u32,
}

/// Without these, orders are kept in memory.
#[derive(Args)]
struct Real {
    /// Write orders to this PostgreSQL: "host=… port=… user=… dbname=…"
    #[arg(long, value_name = "SETTINGS", requires_all = ["replica", "redis"])]
    primary: Option<String>,
    /// Read them from this one, its streaming replica
    #[arg(long, value_name = "SETTINGS", requires = "primary")]
    replica: Option<String>,
    /// Read them from this Redis first: redis://HOST:PORT
    #[arg(long, value_name = "URL", requires = "primary")]
    redis: Option<String>,
}

impl Real {
    fn store(self) -> Option<StoreOptions> {
        let (primary, replica, redis) = (self.primary?, self.replica?, self.redis?);
        Some(StoreOptions::Real(RealOptions { primary, replica, redis }))
    }
}

/// Charges, as slowly and as badly as it is told
#[derive(Args)]
struct Payments {
    #[command(flatten)]
    shared: Shared,
}

/// Ask a control address; exit code 1 unless it answers well. For health checks of containers
#[derive(Args)]
struct Check {
    /// Such as http://127.0.0.1:9090/ready
    #[arg(value_name = "URL")]
    url: String,
}

fn mitigations(text: &str) -> Result<Mitigations, String> {
    match text {
        "on" => Ok(Mitigations::ALL),
        "off" => Ok(Mitigations::NONE),
        json => match serde_json::from_str(json) {
            Ok(Value::Object(change)) => {
                Mitigations::NONE.changed(&change).map_err(|error| error.to_string())
            }
            _ => Err("expected on, off or a JSON object".to_owned()),
        },
    }
}

impl Run for Service {
    fn run(self, _: &Context) -> anyhow::Result<()> {
        serve::start_logging(LogFormat::Text, &std::env::var("LOG_LEVEL").unwrap_or_default())?;
        let outcome = match self.which {
            Which::Check(Check { url }) => {
                return block_on(async {
                    sabot_lab::up::check(&url).await.map_err(Failure::from)?;
                    Ok(())
                });
            }
            Which::Api(Api { shared, orders, token_lasts }) => {
                let options = ApiOptions { orders, token_lasts };
                shared.run("api", move |common| sabot_lab::api(common, &options))
            }
            Which::Orders(Orders { shared, payments, real, tenants, orders_per_tenant }) => {
                let memory = || StoreOptions::Memory(Memory::preloaded(tenants, orders_per_tenant));
                let options = OrdersOptions { payments, store: real.store().unwrap_or_else(memory) };
                shared.run("orders", move |common| sabot_lab::orders(common, &options))
            }
            Which::Payments(Payments { shared }) => {
                shared.run("payments", |common| sabot_lab::payments(common, Behaviour::default()))
            }
        };
        Ok(outcome?)
    }
}

impl Shared {
    /// Every instance of this process, each with its own sockets.
    fn run<M>(self, service: &str, make: M) -> Result<(), Failure>
    where
        M: Fn(&Common) -> Result<sabot_lab::Service, sabot_lab::LabError> + Clone + Send + 'static,
    {
        if self.listen.len() != self.control.len() || self.name.len() > self.listen.len() {
            let message = "--listen, --control and --name must be given as often as each other";
            return Err(Failure::new(message, "each instance has one of each"));
        }
        let mut sockets = Sockets::inherited();
        let mut instances = Vec::new();
        for (number, (listen, control)) in self.listen.iter().zip(&self.control).enumerate() {
            let common = Common {
                name: self.name.get(number).cloned().unwrap_or_else(|| service.to_owned()),
                secret: self.secret.clone(),
                mitigations: self.mitigations,
                seed: self.seed.wrapping_add(number as u64),
            };
            let listeners =
                Listeners { requests: sockets.listen(listen)?, control: sockets.listen(control)? };
            tell(&common.name, &listeners);
            let make = make.clone();
            instances.push(Instance {
                name: common.name.clone(),
                make: Box::new(move || make(&common)),
                listeners,
            });
        }
        Ok(sabot_lab::run(instances)?)
    }
}

fn tell(name: &str, listeners: &Listeners) {
    let address =
        |listener: &std::net::TcpListener| listener.local_addr().map(|it| it.to_string()).unwrap_or_default();
    let (requests, control) = (address(&listeners.requests), address(&listeners.control));
    tracing::info!(name, requests, control, "listening");
}
