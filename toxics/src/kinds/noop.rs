use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Cx, Frame, Out, Toxic};

/// Does nothing.
///
/// Every byte takes the way it would take under a toxic, which shows what the
/// machinery itself costs.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Noop {}

impl Toxic for Noop {
    const KIND: &'static str = "noop";
    const CLASSIC: Option<&'static [&'static str]> = Some(&[]);

    type State = ();

    fn on_frame(&self, (): &mut (), _: &Cx<'_>, frame: Frame, out: &mut Out<'_>) {
        out.send(frame);
    }
}
