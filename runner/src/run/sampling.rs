//! Asks the SLIs, each in its own rhythm.

use std::collections::BTreeMap;

use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior};

use crate::judge::Samples;
use crate::sli::SliSpec;

/// A few seconds of all SLIs that a file can reasonably have.
const QUEUE: usize = 1024;

/// The SLIs of a run, asked by tasks that end with it.
pub(crate) struct Sampling {
    samples: BTreeMap<String, Samples>,
    incoming: mpsc::Receiver<Sample>,
    /// The last reason for which each had no number.
    silent: BTreeMap<String, String>,
    _tasks: JoinSet<()>,
}

struct Sample {
    name: String,
    second: u64,
    value: Result<f64, String>,
}

impl Sampling {
    /// Asks from now on; `started` is when the load began.
    pub(crate) fn start(slis: &BTreeMap<String, SliSpec>, started: Instant) -> Self {
        let (out, incoming) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        for (name, sli) in slis {
            tasks.spawn(ask(name.clone(), sli.clone(), started, out.clone()));
        }
        let samples = slis.keys().map(|name| (name.clone(), Samples::default())).collect();
        Self { samples, incoming, silent: BTreeMap::new(), _tasks: tasks }
    }

    /// All that was said so far.
    pub(crate) fn samples(&mut self) -> &BTreeMap<String, Samples> {
        while let Ok(Sample { name, second, value }) = self.incoming.try_recv() {
            let number = value.as_ref().ok().copied();
            if let Err(reason) = value {
                self.silent.insert(name.clone(), reason);
            }
            self.samples.entry(name).or_default().0.push((second, number));
        }
        &self.samples
    }

    /// What was said, and a sentence for each SLI that had no number at times.
    pub(crate) fn finish(mut self) -> (BTreeMap<String, Samples>, Vec<String>) {
        self.samples();
        let warning = |(name, reason): (&String, &String)| {
            let samples = &self.samples[name].0;
            let without = samples.iter().filter(|(_, value)| value.is_none()).count();
            format!("The SLI {name} had no number {without} times of {}: {reason}.", samples.len())
        };
        let warnings = self.silent.iter().map(warning).collect();
        (self.samples, warnings)
    }
}

async fn ask(name: String, sli: SliSpec, started: Instant, out: mpsc::Sender<Sample>) {
    tokio::time::sleep_until(started).await;
    let mut ticks = tokio::time::interval(sli.every.get().max(std::time::Duration::from_secs(1)));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    loop {
        let second = ticks.tick().await.saturating_duration_since(started).as_secs();
        let value = sli.sample().await;
        if out.send(Sample { name: name.clone(), second, value }).await.is_err() {
            return;
        }
    }
}
