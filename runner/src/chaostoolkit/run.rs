//! The order of things: hypothesis, method, hypothesis, rollbacks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use super::activity::Activity;
use super::execute::{Entries, execute};
use super::hypothesis::look;
use super::journal::{Entry, Journal, State, Status, SteadyStates, now};
use super::provider::{Around, Provider, Server};
use super::read::{Experiment, Hypothesis};
use super::settings::{Dry, RollbackStrategy, Settings};

/// Carries an experiment out. Ends when all of it is done, or its interrupt has a reason and the
/// rollbacks are done; each activity has a time limit. Not cancel safe: who drops this plays no rollbacks.
pub async fn run(experiment: &Experiment, settings: &Settings) -> Journal {
    let since = Instant::now();
    let run = Arc::new(Run::new(experiment, settings));
    let mut raw = experiment.raw.clone();
    raw["title"] = Value::String(experiment.title());
    let mut journal = Journal::begin(raw);

    let leases = run.around.leases.clone();
    let mut kept = JoinSet::new();
    kept.spawn(leases.clone().keep());
    let method = Entries::default();
    let course = tokio::spawn(Arc::clone(&run).course(method.clone()));
    if let Err(reason) = ended(course, settings.interrupt.clone()).await {
        (run.around.said)(&reason.told);
        run.book().status = Some(reason.status);
    }
    journal.run = method.take();

    if run.plays_rollbacks() {
        let rollbacks = Entries::default();
        let (all, entries) = (Arc::clone(&run), rollbacks.clone());
        let task =
            tokio::spawn(async move { all.activities(&all.experiment.rollbacks, &entries, false).await });
        if !matches!(task.await, Ok(true)) {
            run.book().status = Some(Status::Aborted);
        }
        journal.rollbacks = rollbacks.take();
    }

    kept.shutdown().await;
    for left in leases.left().await {
        (run.around.said)(&format!("warning: {left}"));
    }

    let book = std::mem::take(&mut *run.book());
    journal.status = book.status.or(Some(Status::Completed));
    journal.deviated = book.deviated;
    journal.steady_states = book.states;
    journal.end = Some(now());
    journal.duration = Some(since.elapsed().as_secs_f64());
    journal
}

/// Why a course ended before its end.
struct Ended {
    status: Status,
    told: String,
}

/// Waits for a course, and ends it when somebody asks for it.
async fn ended(
    mut course: JoinHandle<()>,
    mut interrupt: watch::Receiver<Option<String>>,
) -> Result<(), Ended> {
    let outcome = tokio::select! {
        biased;
        reason = interrupted(&mut interrupt) => {
            course.abort();
            // It is over when its programs are dead, which its end sees to.
            let _ = course.await;
            return Err(Ended { status: Status::Interrupted, told: reason });
        }
        outcome = &mut course => outcome,
    };
    outcome.map_err(|error| Ended {
        status: Status::Aborted,
        told: format!("Sabot itself went wrong: {error}; please report it"),
    })
}

/// Waits for a reason to end.
async fn interrupted(interrupt: &mut watch::Receiver<Option<String>>) -> String {
    // What it lends must not be held while waiting.
    let reason = interrupt.wait_for(Option::is_some).await.ok().map(|reason| reason.clone());
    match reason {
        Some(reason) => reason.unwrap_or_default(),
        // Nobody is left who could interrupt.
        None => std::future::pending().await,
    }
}

/// What the tasks of a run share.
struct Run {
    experiment: Experiment,
    settings: Settings,
    around: Around,
    dry: Option<Dry>,
    book: Mutex<Book>,
}

/// What is known so far.
#[derive(Default)]
struct Book {
    status: Option<Status>,
    deviated: bool,
    states: SteadyStates,
    method_began: bool,
}

impl Run {
    fn new(experiment: &Experiment, settings: &Settings) -> Self {
        let (url, token) = (settings.toxiproxy_url.clone(), settings.toxiproxy_token.clone());
        let (toxiproxy, said) = (Server { url, token }, Arc::clone(&settings.said));
        Self {
            around: Around::new(experiment.scope.clone(), toxiproxy, said),
            dry: settings.dry.or(experiment.dry),
            experiment: experiment.clone(),
            settings: settings.clone(),
            book: Mutex::default(),
        }
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All but the rollbacks.
    async fn course(self: Arc<Self>, entries: Entries) {
        self.dynamic_configuration().await;
        let strategy = self.settings.hypothesis;
        let hypothesis = self.experiment.hypothesis.as_ref().filter(|all| !all.probes.is_empty());
        if let Some(hypothesis) = hypothesis.filter(|_| strategy.before()) {
            let state = look(hypothesis, &self.around, self.dry).await;
            let broken = broken(&state);
            let mut book = self.book();
            book.states.before = Some(state);
            if broken.is_some() {
                book.status = broken;
                return;
            }
        }
        let (stop, stopped) = watch::channel(false);
        let mut during = JoinSet::new();
        if hypothesis.is_some() && strategy.during() {
            during.spawn(Arc::clone(&self).during(stopped));
        }
        self.book().method_began = true;
        if !self.activities(&self.experiment.method, &entries, true).await {
            self.book().status = Some(Status::Aborted);
        }
        stop.send_replace(true);
        while let Some(ended) = during.join_next().await {
            if ended.is_err() {
                self.book().status = Some(Status::Aborted);
            }
        }
        let aborted = self.book().status == Some(Status::Aborted);
        if let Some(hypothesis) = hypothesis.filter(|_| strategy.after() && !aborted) {
            self.after(hypothesis).await;
        }
    }

    async fn after(&self, hypothesis: &Hypothesis) {
        let state = look(hypothesis, &self.around, self.dry).await;
        let broken = broken(&state);
        let mut book = self.book();
        book.states.after = Some(state);
        if broken.is_some() {
            book.deviated = true;
            book.status = broken;
        }
    }

    /// Looks at the hypothesis again and again until `stopped`, or until it ends the method.
    async fn during(self: Arc<Self>, mut stopped: watch::Receiver<bool>) {
        let Some(hypothesis) = &self.experiment.hypothesis else { return };
        let (mut looks, mut unmet) = (0_u32, 0_u32);
        while !*stopped.borrow() {
            let state = look(hypothesis, &self.around, self.dry).await;
            let met = state.steady_state_met != Some(false);
            self.book().states.during.push(state);
            looks += 1;
            if !met {
                unmet += 1;
                let share = f64::from(unmet) * 100.0 / f64::from(looks);
                if self.settings.fail_fast.is_some_and(|limit| share >= limit) {
                    (self.around.said)(&format!("the method ends: {share:.1} % of the looks were not met"));
                    self.book().status = Some(Status::Failed);
                    return;
                }
            }
            // Its sender gone, there is nothing left to look at either.
            let _ = tokio::time::timeout(self.settings.frequency, stopped.wait_for(|stop| *stop)).await;
        }
    }

    /// Carries them out in order; `may_end` has the hypothesis end them. False if one panicked.
    async fn activities(self: &Arc<Self>, all: &[Activity], entries: &Entries, may_end: bool) -> bool {
        let mut background = JoinSet::new();
        for activity in all {
            if activity.background {
                let (run, entries, activity) = (Arc::clone(self), entries.clone(), activity.clone());
                background.spawn(async move {
                    execute(&activity, &run.around, run.dry, &entries).await;
                });
            } else {
                execute(activity, &self.around, self.dry, entries).await;
            }
            if may_end && self.book().status.is_some() {
                break;
            }
        }
        let mut fine = true;
        while let Some(ended) = background.join_next().await {
            fine &= ended.is_ok();
        }
        fine
    }

    /// Asks the probes whose answers are values; one that fails leaves its name without any.
    async fn dynamic_configuration(&self) {
        for (name, provider) in &self.experiment.dynamic {
            self.around.change(|scope| drop(scope.configuration.remove(name)));
            let value = provider.run(&self.around).await.and_then(|output| match provider {
                Provider::Process(_) if output["status"] != 0 => {
                    Err(format!("it ended with {}", output["status"]))
                }
                Provider::Process(_) => {
                    Ok(Value::String(output["stdout"].as_str().unwrap_or_default().trim().to_owned()))
                }
                Provider::Http(_) => Ok(output["body"].clone()),
                Provider::Toxiproxy(_) | Provider::Prometheus(_) => Ok(output),
            });
            match value {
                Ok(value) => self.around.change(|scope| {
                    scope.configuration.insert(name.clone(), value);
                }),
                Err(reason) => {
                    (self.around.said)(&format!("warning: configuration.{name} has no value: {reason}"));
                }
            }
        }
    }

    fn plays_rollbacks(&self) -> bool {
        let book = self.book();
        match self.settings.rollbacks {
            RollbackStrategy::Always => true,
            RollbackStrategy::Never => false,
            RollbackStrategy::Deviated => book.deviated,
            // What the method did has to be taken back, also from a system that is not well.
            RollbackStrategy::Default => {
                book.method_began || !matches!(book.status, Some(Status::Failed | Status::Interrupted))
            }
        }
    }
}

/// The status of an experiment whose hypothesis looked like this, if that ends it.
fn broken(state: &State) -> Option<Status> {
    if state.steady_state_met != Some(false) {
        return None;
    }
    let carried_out = state.probes.iter().all(Entry::succeeded);
    Some(if carried_out { Status::Completed } else { Status::Failed })
}

#[cfg(test)]
mod tests;
