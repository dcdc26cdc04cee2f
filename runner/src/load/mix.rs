//! Which endpoint a request goes to, and on whose behalf.

use sabot_toxics::{Draws, Invalid};

use super::plan::{Class, Endpoint, Tenants};

/// A choice among numbered things, each with its weight.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    /// Sums of weights, the last is 1.
    upto: Vec<f64>,
}

/// The share of reads where endpoints have no weights.
const READS: f64 = 0.8;

/// Tables of weights are kept in memory, 8 bytes each.
pub(super) const MOST: u64 = 1_000_000;

impl Mix {
    /// The choice among things of these weights; none if they are all 0.
    #[must_use]
    pub fn new(weights: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut sum = 0.0;
        let mut upto: Vec<f64> = weights
            .into_iter()
            .map(|weight| {
                sum += weight;
                sum
            })
            .collect();
        if !(sum > 0.0 && sum.is_finite()) {
            return None;
        }
        upto.iter_mut().for_each(|weight| *weight /= sum);
        Some(Self { upto })
    }

    /// Weights by Zipf's law: the k-th of `count` weighs 1/k^`exponent`.
    #[must_use]
    pub fn zipf(count: u64, exponent: f64) -> Option<Self> {
        Self::new((1..=count.min(MOST)).map(|rank| (rank as f64).powf(-exponent)))
    }

    /// The mix of a load's endpoints.
    ///
    /// # Errors
    /// All weights are 0.
    pub(super) fn of_endpoints(endpoints: &[Endpoint]) -> Result<Self, Invalid> {
        let count = |class| endpoints.iter().filter(|endpoint| endpoint.class == class).count() as f64;
        let (reads, writes) = (count(Class::Read), count(Class::Write));
        let weighted = endpoints.iter().any(|endpoint| endpoint.weight.is_some());
        let weight = |endpoint: &Endpoint| match (endpoint.weight, endpoint.class) {
            (Some(weight), _) => weight,
            (None, _) if weighted || reads == 0.0 || writes == 0.0 => 1.0,
            (None, Class::Read) => READS / reads,
            (None, Class::Write) => (1.0 - READS) / writes,
        };
        Self::new(endpoints.iter().map(weight))
            .ok_or_else(|| Invalid::new("endpoints", "must not all have weight 0: nothing would be sent"))
    }

    /// Draws one: its number, from 0.
    pub fn draw(&self, draws: &mut Draws) -> usize {
        let unit = draws.unit();
        // Below 1 always, and the last sum is 1 but for rounding.
        self.upto.partition_point(|upto| *upto <= unit).min(self.upto.len() - 1)
    }
}

/// The names of a load's tenants, and the choice among them.
pub(super) fn tenants(tenants: Option<&Tenants>) -> Result<(Vec<String>, Mix), Invalid> {
    let fallback = Tenants { count: Some(1), ..Tenants::default() };
    let given = tenants.unwrap_or(&fallback);
    let within = |field: &str, message: &str| Err(Invalid::new(format!("tenants.{field}"), message));
    let names = match (given.count, given.names.as_slice()) {
        (Some(_), [_, ..]) => return within("count", "stands beside `names`: give one of them"),
        (None, []) => return within("count", "is missing: say how many, or their `names`"),
        (Some(count), []) if !(1..=10_000).contains(&count) => {
            return within("count", "must lie between 1 and 10000");
        }
        (Some(count), []) => (1..=count).map(|number| format!("tenant-{number}")).collect(),
        (None, names) if names.len() > 10_000 => return within("names", "must be at most 10000"),
        (None, names) => names.to_vec(),
    };
    for (at, name) in names.iter().enumerate() {
        Invalid::unless_printable(&format!("tenants.names[{at}]"), name)?;
        if names[..at].contains(name) && given.count.is_none() {
            return within(&format!("names[{at}]"), "is the name of an earlier tenant too");
        }
    }
    if !(0.0..=10.0).contains(&given.skew) {
        return within("skew", "must lie between 0 and 10");
    }
    match Mix::zipf(names.len() as u64, given.skew) {
        Some(mix) => Ok((names, mix)),
        None => within("skew", "leaves no tenant"),
    }
}

#[cfg(test)]
mod tests {
    use sabot_toxics::Seed;
    use serde_json::{Value, json};

    use super::{Mix, tenants};
    use crate::load::plan::{Endpoint, Tenants};

    fn shares(mix: &Mix, count: usize) -> Vec<f64> {
        let seed = Seed::new(5).split("mix");
        let mut hits = vec![0.0; count];
        (0..100_000).for_each(|number| hits[mix.draw(&mut seed.at(number))] += 1.0 / 100_000.0);
        hits
    }

    #[allow(clippy::needless_pass_by_value, reason = "values are written where they are passed")]
    fn endpoints(list: Value) -> Vec<Endpoint> {
        list.as_array().unwrap().iter().map(|value| Endpoint::read(value.clone()).unwrap()).collect()
    }

    #[test]
    fn reads_are_80_percent_unless_said() {
        let list = endpoints(json!([{"path": "/a"}, {"path": "/b"}, {"path": "/c", "method": "POST"}]));
        let shares = shares(&Mix::of_endpoints(&list).unwrap(), 3);
        assert!((shares[0] - 0.4).abs() < 0.01 && (shares[1] - 0.4).abs() < 0.01, "{shares:?}");
        let list =
            endpoints(json!([{"path": "/a", "weight": 1}, {"path": "/c", "method": "POST", "weight": 3}]));
        let shares = self::shares(&Mix::of_endpoints(&list).unwrap(), 2);
        assert!((shares[1] - 0.75).abs() < 0.01, "{shares:?}");
    }

    #[test]
    fn what_weighs_nothing_is_never_drawn() {
        let mix = Mix::new([0.0, 1.0, 0.0]).unwrap();
        assert_eq!(shares(&mix, 3)[1].round(), 1.0);
        assert_eq!(Mix::new([0.0, 0.0]), None);
        let list = endpoints(json!([{"path": "/a", "weight": 0}]));
        assert!(Mix::of_endpoints(&list).is_err());
    }

    #[test]
    fn skew_follows_zipf() {
        let (names, mix) =
            tenants(Some(&Tenants { count: Some(3), skew: 1.0, ..Tenants::default() })).unwrap();
        assert_eq!(names, ["tenant-1", "tenant-2", "tenant-3"]);
        let shares = shares(&mix, 3);
        let whole = 1.0 + 0.5 + 1.0 / 3.0;
        for (rank, share) in shares.iter().enumerate() {
            assert!((share - 1.0 / (rank as f64 + 1.0) / whole).abs() < 0.01, "{shares:?}");
        }
    }

    #[test]
    fn tenants_are_checked() {
        let refused = |given: Tenants| tenants(Some(&given)).unwrap_err().field;
        let names = vec!["a".to_owned(), "a".to_owned()];
        assert_eq!(refused(Tenants { names: names.clone(), ..Tenants::default() }), "tenants.names[1]");
        assert_eq!(refused(Tenants { names, count: Some(2), skew: 0.0 }), "tenants.count");
        assert_eq!(refused(Tenants { count: Some(2), skew: -1.0, ..Tenants::default() }), "tenants.skew");
        assert_eq!(refused(Tenants::default()), "tenants.count");
    }
}
