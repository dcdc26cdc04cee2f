use clap::Args;
use clap::builder::PossibleValuesParser;
use sabot_client::{Direction, NewToxic};
use serde_json::Value;

use super::{Run, VALUES_HELP, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::shape::Shape;
use crate::{pairs, share, words};

/// Add a toxic to a proxy
#[derive(Args)]
#[command(
    visible_alias = "a",
    after_help = VALUES_HELP,
    after_long_help = VALUES_HELP,
)]
pub(crate) struct Add {
    /// The proxy
    proxy: String,
    /// What it does
    #[arg(short = 't', long = "type", value_name = "KIND", value_parser = kinds())]
    kind: String,
    /// Name of the toxic [default: type and stream, as in latency_downstream]
    #[arg(short, long, alias = "toxicName")]
    name: Option<String>,
    /// Share of connections, or of requests for kinds that act on HTTP, that it takes, such as 0.2 or 20%
    #[arg(long, visible_alias = "tox", default_value = "1", value_name = "SHARE", value_parser = share::parse)]
    toxicity: f64,
    /// An attribute; may be given several times
    #[arg(short, long = "attribute", value_name = "KEY=VALUE", value_parser = pairs::parse)]
    attributes: Vec<pairs::Pair>,
    /// A condition; may be given several times
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pairs::parse_when)]
    when: Vec<(String, Value)>,
    /// Act on what goes to the server
    #[arg(short, long, conflicts_with = "downstream")]
    upstream: bool,
    /// Act on what goes to the client (the default)
    #[arg(short, long)]
    downstream: bool,
    #[command(flatten)]
    api: Api,
}

fn kinds() -> PossibleValuesParser {
    sabot_toxics::kinds().iter().map(|kind| kind.name).collect::<Vec<_>>().into()
}

impl Run for Add {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        let given = pairs::map(&self.attributes, Shape::of_kind(&self.kind));
        let toxic = NewToxic {
            name: self.name,
            stream: if self.upstream { Direction::Upstream } else { Direction::Downstream },
            toxicity: self.toxicity,
            attributes: given.clone(),
            when: self.when.into_iter().collect(),
            ..NewToxic::new(self.kind.clone())
        };
        block_on(async {
            let toxic = client.add_toxic(&self.proxy, &toxic).await;
            let toxic = toxic.map_err(|error| Failure::from(error).about_kind(&self.kind))?;
            cx.output.answer(&toxic, |out| {
                let given = words::given(&toxic, &given);
                let comma = if given.is_empty() { "" } else { ", " };
                let stream = toxic.stream.as_str();
                writeln!(out, "added {} ({stream}{comma}{given}) to {}", toxic.name, self.proxy)
            })
        })
    }
}
