use clap::Args;
use sabot_client::ToxicPatch;
use serde_json::Value;

use super::{Run, VALUES_HELP, block_on};
use crate::context::{Api, Context};
use crate::failure::Failure;
use crate::shape::Shape;
use crate::{pairs, share, words};

/// Change a toxic; what is not named stays
#[derive(Args)]
#[command(
    visible_alias = "u",
    after_help = VALUES_HELP,
    after_long_help = VALUES_HELP,
)]
pub(crate) struct Update {
    /// The proxy
    proxy: String,
    /// The toxic
    #[arg(short, long, alias = "toxicName")]
    name: String,
    /// The new share of connections, or of requests for kinds that act on HTTP, such as 0.2 or 20%
    #[arg(long, visible_alias = "tox", value_name = "SHARE", value_parser = share::parse)]
    toxicity: Option<f64>,
    /// An attribute; may be given several times, null brings back its default
    #[arg(short, long = "attribute", value_name = "KEY=VALUE", value_parser = pairs::parse)]
    attributes: Vec<pairs::Pair>,
    /// A condition; may be given several times, null takes it away
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pairs::parse_when)]
    when: Vec<(String, Value)>,
    #[command(flatten)]
    api: Api,
}

impl Run for Update {
    fn run(self, cx: &Context) -> anyhow::Result<()> {
        let client = cx.client(&self.api)?;
        if self.toxicity.is_none() && self.attributes.is_empty() && self.when.is_empty() {
            let help = "say what to change: -a latency=50, --toxicity 0.5 or --when first=10";
            return Err(Failure::new("nothing to change", help).into());
        }
        block_on(async {
            let (shape, kind) = match self.attributes.is_empty() {
                true => (Shape::UNKNOWN, String::new()),
                // What a text stands for hangs on the kind.
                false => {
                    let toxic = client.toxic(&self.proxy, &self.name).await.map_err(Failure::from)?;
                    (Shape::of_kind(&toxic.kind), toxic.kind)
                }
            };
            let patch = self.patch(shape.of_change());
            let given = patch.attributes.clone().unwrap_or_default();
            let updated = client.update_toxic(&self.proxy, &self.name, &patch).await;
            let toxic = updated.map_err(|error| Failure::from(error).about_kind(&kind))?;
            cx.output.answer(&toxic, |out| {
                let (share, attributes) = (words::share(toxic.toxicity), words::changed(&toxic, &given));
                let taken = words::taken(&toxic);
                writeln!(out, "updated {} on {}: {attributes}, {share} of {taken}", toxic.name, self.proxy)
            })
        })
    }
}

impl Update {
    fn patch(&self, shape: Shape) -> ToxicPatch {
        let attributes = pairs::map(&self.attributes, shape);
        let mut patch = ToxicPatch { toxicity: self.toxicity, ..ToxicPatch::default() };
        if !attributes.is_empty() {
            patch.attributes = Some(attributes);
        }
        if !self.when.is_empty() {
            patch.when = Some(self.when.iter().cloned().collect());
        }
        patch
    }
}
