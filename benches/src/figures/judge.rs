//! From samples to medians, ratios and verdicts.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{Figure, Need};
use crate::peers::{DIRECT, SABOT};
use crate::statistics::median;

/// Row id → column → one value a round.
pub(crate) type Samples = BTreeMap<String, BTreeMap<String, Vec<f64>>>;

/// A row with its verdict.
#[derive(Debug, Serialize)]
pub struct Judged {
    /// The row's id.
    pub id: &'static str,
    /// What a reader calls it.
    pub title: &'static str,
    /// Column → median.
    pub medians: BTreeMap<String, f64>,
    /// The best of the peers, Sabot and direct left out.
    pub best_peer: Option<String>,
    /// Sabot against the best peer; above 1 is better.
    pub to_best_peer: Option<f64>,
    /// What is required.
    pub required: Option<f64>,
    /// Sabot against what is required; 1 and above meets it.
    pub to_required: Option<f64>,
    /// Whether it is met.
    pub met: Option<bool>,
}

/// Judges one row.
#[must_use]
pub fn judge(figure: &Figure, samples: &Samples) -> Judged {
    let medians = medians(samples, figure.id);
    let peers = medians.iter().filter(|(name, _)| ![DIRECT, SABOT].contains(&name.as_str()));
    let best = if figure.more {
        peers.max_by(|one, other| one.1.total_cmp(other.1))
    } else {
        peers.min_by(|one, other| one.1.total_cmp(other.1))
    };
    let best = best.map(|(name, value)| (name.clone(), *value));
    let required = match figure.need {
        Need::Nothing => None,
        Need::Best => best.as_ref().map(|(_, value)| *value),
        Need::Peer(name) => medians.get(name).copied(),
        Need::Value(value) => Some(value),
        Need::OfDirect(share, id) => self::medians(samples, id).get(DIRECT).map(|direct| direct * share),
        Need::OfOwn(share, id) => self::medians(samples, id).get(SABOT).map(|own| own * share),
    };
    let sabot = medians.get(SABOT).copied();
    let against = |other: f64| sabot.map(|own| if figure.more { own / other } else { other / own });
    let to_best_peer = best.as_ref().and_then(|(_, value)| against(*value));
    let to_required = required.and_then(against);
    Judged {
        id: figure.id,
        title: figure.title,
        best_peer: best.map(|(name, _)| name),
        to_best_peer,
        required,
        to_required,
        met: to_required.map(|ratio| ratio >= 1.0),
        medians,
    }
}

fn medians(samples: &Samples, id: &str) -> BTreeMap<String, f64> {
    let columns = samples.get(id).into_iter().flatten();
    columns.map(|(name, values)| (name.clone(), median(values))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(id: &str, columns: &[(&str, &[f64])]) -> Samples {
        let columns = columns.iter().map(|(name, values)| ((*name).to_owned(), values.to_vec())).collect();
        Samples::from([(id.to_owned(), columns)])
    }

    fn row(more: bool, need: Need) -> Figure {
        Figure { id: "x", title: "x", decimals: 1, more, toxiproxy: "–", need }
    }

    #[test]
    fn less_is_judged_the_other_way_round() {
        let taken = samples("x", &[("direct", &[1.0]), ("nginx", &[9.0, 10.0, 30.0]), ("sabot", &[8.0])]);
        let judged = judge(&row(false, Need::Peer("nginx")), &taken);
        assert_eq!((judged.to_required, judged.met), (Some(1.25), Some(true)));
        assert_eq!(judged.best_peer.as_deref(), Some("nginx"));
    }

    #[test]
    fn the_best_peer_is_required_not_direct() {
        let taken = samples(
            "x",
            &[("direct", &[37.0]), ("haproxy", &[12.0]), ("envoy", &[20.0]), ("sabot", &[15.0])],
        );
        let judged = judge(&row(true, Need::Best), &taken);
        assert_eq!((judged.to_required, judged.met), (Some(0.75), Some(false)));
    }

    #[test]
    fn another_row_of_its_own_is_a_measure_too() {
        let mut taken = samples("x", &[("sabot", &[20.5])]);
        taken.extend(samples("y", &[("sabot", &[20.0]), ("nginx", &[10.0])]));
        let judged = judge(&row(false, Need::OfOwn(1.03, "y")), &taken);
        assert_eq!((judged.required, judged.met), (Some(20.6), Some(true)));
        assert_eq!(judge(&row(false, Need::OfOwn(1.0, "y")), &taken).met, Some(false));
    }

    #[test]
    fn a_row_without_sabot_has_no_verdict() {
        let judged = judge(&row(true, Need::Value(1.0)), &samples("x", &[("nginx", &[2.0])]));
        assert_eq!(judged.met, None);
    }
}
