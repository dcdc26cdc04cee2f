//! Puts toxics on, sees that they act and stay what they are, and takes them off.

use std::collections::BTreeSet;
use std::time::Duration;

use sabot_client::{Client, Direction, Error, NewToxic, Proxy, Toxic};
use sabot_toxics::suggestion;
use tokio::time::Instant;

use super::neighbours::{Neighbours, difference};
use super::{Observer, RunError};
use crate::experiment::{FaultSpec, Stream};
use crate::record::FaultRecord;

/// The server takes a toxic away by itself this long after the run should have: what covers a runner
/// that was killed, without cutting short one that is a little late.
const GRACE: Duration = Duration::from_secs(10);

/// How long a look at all proxies may take: there is one each second.
const LOOK: Duration = Duration::from_secs(1);

/// How often taking a toxic off is tried; each try has the client's own time limit.
const TRIES: u32 = 3;

/// The faults of a run.
pub(super) struct Faults<'a> {
    client: &'a Client,
    all: Vec<Fault<'a>>,
    /// Each once.
    proxies: BTreeSet<&'a str>,
    neighbours: Neighbours,
    /// The server did not answer when it was asked last.
    silent: bool,
    /// What others did to a proxy, so that nothing measured there is evidence.
    disturbed: Option<String>,
}

struct Fault<'a> {
    spec: &'a FaultSpec,
    on: bool,
    /// It could not be taken off, however often that was tried.
    stuck: bool,
    /// As the server took it, and when it takes it away by itself at the earliest.
    set: Option<(Toxic, Option<Instant>)>,
    record: FaultRecord,
    /// What keeps it from being evidence.
    doubt: Option<String>,
}

impl<'a> Faults<'a> {
    pub(super) fn new(specs: &'a [FaultSpec], client: &'a Client, run: &str) -> Self {
        let neighbours = Neighbours::new(run);
        let fault = |(at, spec): (usize, &'a FaultSpec)| {
            let stream = match spec.stream {
                Stream::Downstream => "downstream",
                Stream::Upstream => "upstream",
            };
            let record = FaultRecord {
                proxy: spec.proxy.clone(),
                name: neighbours.own_name(at),
                kind: spec.kind.clone(),
                stream: stream.to_owned(),
                toxicity: spec.toxicity,
                attributes: spec.attributes.clone(),
                started_s: None,
                stopped_s: None,
                applied: 0,
            };
            Fault { spec, on: false, stuck: false, set: None, record, doubt: None }
        };
        let all = specs.iter().enumerate().map(fault).collect();
        let proxies = specs.iter().map(|spec| spec.proxy.as_str()).collect();
        Self { client, all, proxies, neighbours, silent: false, disturbed: None }
    }

    /// Whether the run breaks anything.
    pub(super) fn are_none(&self) -> bool {
        self.all.is_empty()
    }

    /// Puts each on and off again with toxicity 0, so that whatever the server would refuse is known
    /// before the load begins. Answers the server's version.
    pub(super) async fn rehearse(&mut self) -> Result<Option<String>, RunError> {
        if self.all.is_empty() {
            return Ok(None);
        }
        let refused = |at: usize, error: &Error| {
            let (field, message) = match error {
                Error::Api { field: Some(field), message, .. } => {
                    let own = message.strip_prefix(&format!("{field}: ")).unwrap_or(message);
                    (format!("faults[{at}].{field}"), own.to_owned())
                }
                _ => (format!("faults[{at}]"), error.to_string()),
            };
            RunError::Fault { field, message }
        };
        let version = self.client.version().await.map_err(|error| refused(0, &error))?;
        for (at, fault) in self.all.iter_mut().enumerate() {
            let proxy = match self.client.proxy(&fault.spec.proxy).await {
                Ok(proxy) => proxy,
                Err(error) if error.status() == Some(404) => {
                    let there = self.client.proxies().await.unwrap_or_default();
                    let names: Vec<&str> = there.iter().map(|proxy| proxy.name.as_str()).collect();
                    let message = format!("{error}{}", suggestion(&fault.spec.proxy, &names));
                    return Err(RunError::Fault { field: format!("faults[{at}].proxy"), message });
                }
                Err(error) => return Err(refused(at, &error)),
            };
            if !proxy.enabled {
                let message = format!("the proxy {} is disabled: `sabot toggle {0}`", proxy.name);
                return Err(RunError::Fault { field: format!("faults[{at}].proxy"), message });
            }
            if let Some(other) = self.neighbours.of_another_run(&proxy) {
                let message = format!(
                    "{other}. Run one at a time on a proxy; if that run is dead, `sabot toxic remove` ends its \
                     fault"
                );
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

    /// Looks at what else is on the proxies before the first request; a sentence for each.
    pub(super) async fn begin(&mut self) -> Vec<String> {
        let mut warnings = Vec::new();
        for proxy in self.views().await {
            warnings.extend(self.neighbours.begin(&proxy));
        }
        warnings
    }

    /// Puts all of them on, for a window of `length`; `now_s` tells the time of the load.
    pub(super) async fn apply(&mut self, length: Duration, now_s: impl Fn() -> f64) {
        for fault in &mut self.all {
            // Set before it is sent: an answer that got lost may have been carried out.
            fault.on = true;
            let asked = Instant::now();
            match self.client.add_toxic(&fault.spec.proxy, &fault.toxic(length + GRACE)).await {
                Ok(toxic) => {
                    fault.record.started_s = Some(now_s());
                    let left = toxic.expires_in_ms.map(|ms| Duration::from_secs_f64(ms.max(0.0) / 1000.0));
                    fault.set = Some((toxic, left.map(|left| asked + left)));
                }
                Err(error) => fault.doubt(format!("The fault could not be put on: {error}")),
            }
        }
    }

    /// Whether each is still on and what it was, how often it has acted, and whether anybody else does
    /// something to its proxy. A line if the server does not answer any more.
    pub(super) async fn look(&mut self) -> Option<String> {
        let was_silent = self.silent;
        for proxy in self.views().await {
            if !proxy.enabled {
                let told = format!("Somebody else disabled the proxy {} meanwhile", proxy.name);
                self.disturbed.get_or_insert(told);
            }
            if let Some(changed) = self.neighbours.changed(&proxy) {
                self.disturbed.get_or_insert(changed);
            }
            let own = self.all.iter_mut().filter(|fault| fault.spec.proxy == proxy.name);
            own.filter(|fault| fault.on && fault.doubt.is_none()).for_each(|fault| fault.look(&proxy));
        }
        let told = || format!("the server does not answer at {}; it is asked again", self.client.url());
        (self.silent && !was_silent).then(told)
    }

    /// The proxies as they are now. One that nothing is to be had of is left out, and asked again in a
    /// second: whether its fault acted is seen at the end.
    async fn views(&mut self) -> Vec<Proxy> {
        let client = &self.client;
        let asked = self.proxies.iter();
        let asked =
            asked.map(|name| async move { (name, tokio::time::timeout(LOOK, client.proxy(name)).await) });
        let answers = futures_util::future::join_all(asked).await;
        let (mut views, mut silent, mut deleted) = (Vec::new(), false, None);
        for (name, answer) in answers {
            match answer {
                Ok(Ok(proxy)) => views.push(proxy),
                Ok(Err(error)) if error.status() == Some(404) => {
                    deleted
                        .get_or_insert_with(|| format!("Somebody else deleted the proxy {name} meanwhile"));
                }
                Ok(Err(_)) | Err(_) => silent = true,
            }
        }
        self.silent = silent;
        if let Some(deleted) = deleted {
            self.disturbed.get_or_insert(deleted);
        }
        views
    }

    /// Takes all off that are on, and notes what they did. Whether all are off.
    pub(super) async fn remove(&mut self, now_s: impl Fn() -> f64, observer: &mut dyn Observer) -> bool {
        if !self.all.iter().any(|fault| fault.on && !fault.stuck) {
            return self.all.iter().all(|fault| !fault.on);
        }
        if !self.silent {
            self.look().await;
        }
        let off = self.revert(observer).await;
        let gone = self.all.iter_mut().filter(|fault| !fault.on && fault.record.started_s.is_some());
        for fault in gone {
            fault.record.stopped_s.get_or_insert_with(&now_s);
        }
        off
    }

    /// Takes all off that are on; whether all are off. What cannot be taken off is left to the server's
    /// expiry, and told.
    pub(super) async fn revert(&mut self, observer: &mut dyn Observer) -> bool {
        for fault in self.all.iter_mut().filter(|fault| fault.on) {
            for attempt in 1..=TRIES {
                match self.client.remove_toxic(&fault.spec.proxy, &fault.record.name).await {
                    Ok(()) => fault.on = false,
                    // Gone; at 409 the name is that of an injection's.
                    Err(error) if matches!(error.status(), Some(404 | 409)) => fault.on = false,
                    Err(error) => {
                        if attempt == 1 && !fault.stuck {
                            observer.said(&format!("the fault could not be taken off yet: {error}"));
                        }
                        if attempt < TRIES && !fault.stuck {
                            continue;
                        }
                        fault.stuck = true;
                        // Whether it was on in the recovery nobody knows.
                        let told = format!(
                            "The toxic {} could not be taken off again: {error}. The server takes it away by \
                             itself {} s after the window",
                            fault.record.name,
                            GRACE.as_secs()
                        );
                        fault.doubt(told);
                    }
                }
                break;
            }
        }
        self.all.iter().all(|fault| !fault.on)
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
        let disturbed = self.disturbed.iter().map(|what| format!("{what}."));
        disturbed.chain(self.all.iter().filter_map(doubt)).collect()
    }

    /// Whether the run proves nothing any more.
    pub(super) fn failed(&self) -> bool {
        self.disturbed.is_some() || self.all.iter().any(|fault| fault.doubt.is_some())
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

    /// Compares it with what is on its proxy.
    fn look(&mut self, proxy: &Proxy) {
        // An injection may have a fault of that name.
        let own = |toxic: &&Toxic| toxic.name == self.record.name && toxic.injection().is_none();
        let Some(is) = proxy.toxics.iter().find(own) else {
            let expires = self.set.as_ref().and_then(|(_, expires)| *expires);
            return self.doubt(match expires {
                Some(expires) if Instant::now() >= expires => {
                    "The server took the fault away at its expiry, before this program did, which was stopped or held \
                     up for long"
                        .to_owned()
                }
                _ => "Somebody else took the fault away while it was to be on".to_owned(),
            });
        };
        self.record.applied = is.applied;
        if let Some(how) = self.set.as_ref().and_then(|(was, _)| difference(was, is)) {
            self.doubt(format!("Somebody else changed the fault while it was on: {how}"));
        }
    }

    fn doubt(&mut self, why: String) {
        self.doubt.get_or_insert(why);
    }
}
