//! One activity: its pauses, its provider, its entry in the journal.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::activity::Activity;
use super::journal::{Entry, now};
use super::provider::Around;
use super::settings::Dry;

/// A pause is not the place to wait for a week.
const LONGEST_PAUSE: Duration = Duration::from_secs(86_400);

/// Entries in the order in which their activities began; those of the background end in another.
#[derive(Clone, Default)]
pub(super) struct Entries(Arc<Mutex<Vec<Entry>>>);

impl Entries {
    fn push(&self, entry: Entry) -> usize {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.push(entry);
        entries.len() - 1
    }

    fn set(&self, at: usize, entry: Entry) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = entries.get_mut(at) {
            *place = entry;
        }
    }

    /// All of them; nobody works on them any more.
    pub(super) fn take(&self) -> Vec<Entry> {
        let mut entries = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        entries.iter_mut().for_each(Entry::abandon);
        entries
    }
}

/// Carries it out; not cancel safe: what was begun may have been done. Its entry is in `entries` from
/// its beginning on, without a status until its end.
pub(super) async fn execute(
    activity: &Activity,
    around: &Around,
    dry: Option<Dry>,
    entries: &Entries,
) -> Entry {
    let dry = activity.dry.or(dry);
    let told_only = match dry {
        Some(Dry::Actions) => !activity.is_probe,
        Some(Dry::Probes) => activity.is_probe,
        Some(Dry::Activities) => true,
        Some(Dry::Pause) | None => false,
    };
    let pauses = !told_only && dry != Some(Dry::Pause);
    let before = pause(around, activity.pause_before.as_ref().filter(|_| pauses), "before").await;
    let kind = if activity.is_probe { "probe" } else { "action" };
    let how = match (told_only, activity.background) {
        (true, _) => " (dry)",
        (false, true) => " (in the background)",
        (false, false) => "",
    };
    (around.said)(&format!("{kind}: {}{how}", activity.name));

    let mut entry = Entry::begin(activity.raw.clone());
    let at = entries.push(entry.clone());
    let since = Instant::now();
    let outcome = match before {
        Err(reason) => Err(reason),
        Ok(()) if told_only => Ok(Value::Null),
        Ok(()) => activity.provider.run(around).await,
    };
    entry.end = Some(now());
    entry.duration = Some(since.elapsed().as_secs_f64());
    match outcome {
        Ok(output) => {
            entry.status = Some("succeeded");
            entry.output = output;
        }
        Err(reason) => {
            (around.said)(&format!("  failed: {reason}"));
            entry.status = Some("failed");
            entry.exception = Some(vec![format!("chaoslib.exceptions.ActivityFailed: {reason}\n")]);
        }
    }
    entries.set(at, entry.clone());
    if let Err(reason) = pause(around, activity.pause_after.as_ref().filter(|_| pauses), "after").await {
        (around.said)(&format!("  warning: no pause: {reason}"));
    }
    entry
}

async fn pause(around: &Around, seconds: Option<&Value>, when: &str) -> Result<(), String> {
    let Some(seconds) = seconds else { return Ok(()) };
    let seconds =
        around.scope().seconds(seconds).map_err(|reason| format!("the pause {when} it: {reason}"))?;
    if seconds > 0.0 {
        (around.said)(&format!("pause of {seconds} s"));
    }
    let pause = Duration::try_from_secs_f64(seconds).unwrap_or(LONGEST_PAUSE);
    tokio::time::sleep(pause.min(LONGEST_PAUSE)).await;
    Ok(())
}
