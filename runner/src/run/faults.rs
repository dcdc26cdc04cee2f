//! Puts toxics on, sees that they act, and takes them off.

use std::time::Duration;

use sabot_client::{Client, Direction, Error, NewToxic};

use super::RunError;
use crate::experiment::{FaultSpec, Stream};
use crate::record::FaultRecord;

/// The server takes a toxic away by itself this long after the run should have: what covers a runner
/// that was killed, without cutting short one that is a little late.
const GRACE: Duration = Duration::from_secs(10);

/// How often taking a toxic off is tried; each try has the client's own time limit.
const TRIES: u32 = 3;

/// The faults of a run.
pub(super) struct Faults<'a> {
    client: &'a Client,
    all: Vec<Fault<'a>>,
}

struct Fault<'a> {
    spec: &'a FaultSpec,
    on: bool,
    record: FaultRecord,
    /// What keeps it from being evidence.
    doubt: Option<String>,
}

impl<'a> Faults<'a> {
    pub(super) fn new(specs: &'a [FaultSpec], client: &'a Client, run: &str) -> Self {
        let fault = |(at, spec): (usize, &'a FaultSpec)| {
            let stream = match spec.stream {
                Stream::Downstream => "downstream",
                Stream::Upstream => "upstream",
            };
            let record = FaultRecord {
                proxy: spec.proxy.clone(),
                name: format!("run-{run}-{at}"),
                kind: spec.kind.clone(),
                stream: stream.to_owned(),
                toxicity: spec.toxicity,
                attributes: spec.attributes.clone(),
                started_s: None,
                stopped_s: None,
                applied: 0,
            };
            Fault { spec, on: false, record, doubt: None }
        };
        Self { client, all: specs.iter().enumerate().map(fault).collect() }
    }

    /// Puts each on and off again with toxicity 0, so that whatever the server would refuse is known
    /// before the load begins. Answers the server's version.
    pub(super) async fn rehearse(&mut self) -> Result<Option<String>, RunError> {
        if self.all.is_empty() {
            return Ok(None);
        }
        let refused = |at: usize, error: &Error| RunError::Fault {
            field: format!("faults[{at}]"),
            message: error.to_string(),
        };
        let version = self.client.version().await.map_err(|error| refused(0, &error))?;
        for (at, fault) in self.all.iter_mut().enumerate() {
            let proxy = self.client.proxy(&fault.spec.proxy).await.map_err(|error| refused(at, &error))?;
            if !proxy.enabled {
                let message = format!("the proxy {} is disabled: `sabot toggle {0}`", proxy.name);
                return Err(RunError::Fault { field: format!("faults[{at}].proxy"), message });
            }
            let toxic = fault.toxic(Duration::from_secs(1)).toxicity(0.0);
            let toxic =
                self.client.add_toxic(&proxy.name, &toxic).await.map_err(|error| refused(at, &error))?;
            fault.record.attributes = toxic.attributes;
            let removed = self.client.remove_toxic(&proxy.name, &fault.record.name).await;
            // Gone already is gone.
            if let Err(error) = removed
                && error.status() != Some(404)
            {
                return Err(refused(at, &error));
            }
        }
        Ok(Some(version.version))
    }

    /// Puts all of them on, for a window of `length`; `now_s` tells the time of the load.
    pub(super) async fn apply(&mut self, length: Duration, now_s: impl Fn() -> f64) {
        for fault in &mut self.all {
            // Set before it is sent: an answer that got lost may have been carried out.
            fault.on = true;
            match self.client.add_toxic(&fault.spec.proxy, &fault.toxic(length + GRACE)).await {
                Ok(_) => fault.record.started_s = Some(now_s()),
                Err(error) => fault.doubt(format!("The fault could not be put on: {error}")),
            }
        }
    }

    /// Whether each is still on, and how often it has acted.
    pub(super) async fn look(&mut self) {
        for fault in self.all.iter_mut().filter(|fault| fault.on && fault.doubt.is_none()) {
            match self.client.toxic(&fault.spec.proxy, &fault.record.name).await {
                Ok(toxic) if toxic.injection().is_none() => fault.record.applied = toxic.applied,
                Err(error) if error.status() != Some(404) => {
                    // Asked again in a second; whether it acted is seen at the end.
                }
                // Gone, and perhaps an injection has a fault of that name.
                _ => {
                    fault.doubt("Somebody else took the fault away while it was to be on".to_owned());
                }
            }
        }
    }

    /// Takes all off that are on, and notes what they did.
    pub(super) async fn remove(&mut self, now_s: impl Fn() -> f64) {
        self.look().await;
        self.revert().await;
        for fault in self.all.iter_mut().filter(|fault| fault.record.started_s.is_some()) {
            fault.record.stopped_s.get_or_insert_with(&now_s);
        }
    }

    /// Takes all off that are on. What cannot be taken off is left to the server's expiry, and told.
    pub(super) async fn revert(&mut self) {
        for fault in self.all.iter_mut().filter(|fault| fault.on) {
            for attempt in 1..=TRIES {
                match self.client.remove_toxic(&fault.spec.proxy, &fault.record.name).await {
                    Ok(()) => fault.on = false,
                    // Gone; at 409 the name is that of an injection's.
                    Err(error) if matches!(error.status(), Some(404 | 409)) => fault.on = false,
                    Err(error) if attempt == TRIES => {
                        // Once is enough, and whether it was on in the recovery nobody knows.
                        let told = format!(
                            "The toxic {} could not be taken off again: {error}. The server takes it away by \
                             itself {} s after the window",
                            fault.record.name,
                            GRACE.as_secs()
                        );
                        fault.doubt(told);
                    }
                    Err(_) => continue,
                }
                break;
            }
        }
    }

    /// Why the faults prove nothing; empty if each was on throughout, and acted.
    pub(super) fn doubts(&self) -> Vec<String> {
        let doubt = |fault: &Fault<'_>| match &fault.doubt {
            Some(doubt) => Some(format!("{doubt} ({} on {}).", fault.spec.kind, fault.spec.proxy)),
            None if fault.record.started_s.is_some() && fault.record.applied == 0 => Some(format!(
                "The fault was not seen to act: nothing that {} takes passed through {} while it was on.",
                fault.spec.kind, fault.spec.proxy
            )),
            None => None,
        };
        self.all.iter().filter_map(doubt).collect()
    }

    /// Whether one of them could not be put on.
    pub(super) fn failed(&self) -> bool {
        self.all.iter().any(|fault| fault.doubt.is_some())
    }

    pub(super) fn records(self) -> Vec<FaultRecord> {
        self.all.into_iter().map(|fault| fault.record).collect()
    }
}

impl Fault<'_> {
    fn toxic(&self, expires_after: Duration) -> NewToxic {
        let stream = match self.spec.stream {
            Stream::Downstream => Direction::Downstream,
            Stream::Upstream => Direction::Upstream,
        };
        let mut toxic = NewToxic::new(&self.spec.kind)
            .named(&self.record.name)
            .stream(stream)
            .toxicity(self.spec.toxicity)
            .when("expires_after", u64::try_from(expires_after.as_millis()).unwrap_or(u64::MAX));
        toxic.attributes.clone_from(&self.spec.attributes);
        toxic.when.extend(self.spec.when.clone());
        toxic
    }

    fn doubt(&mut self, why: String) {
        self.doubt.get_or_insert(why);
    }
}
