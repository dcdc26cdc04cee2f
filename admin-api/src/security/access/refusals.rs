//! What was refused, for the audit: all of it, without letting whoever is refused fill the disk.
//!
//! Of each address and name the first refusal is written at once. What follows within a second is counted,
//! and written as one event when the second is over; if there is more, the next is written after two
//! seconds, four, and so on, up to a minute. Addresses that are too many are told of together. So a peer
//! makes 1500 events a day at most for as long as it goes on, and all of them together some 200 a minute.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use sabot_injections::engine::Engine;
use sabot_injections::event::{Actor, Event};
use tokio::time::Instant;

use super::failures::network;

/// How long the first refusals of somebody are gathered.
const SHORTEST: Duration = Duration::from_secs(1);

/// How long they are gathered at most, and after how long a silence somebody is new.
const LONGEST: Duration = Duration::from_secs(60);

/// So many are told apart.
const MOST: usize = 32;

/// Characters of a path that are kept.
const SHOWN: usize = 200;

/// Who is refused: an address, none for those too many, and a name.
type Key = (Option<IpAddr>, String);

/// What is written: it is the engine's journal, or a test's list.
type Write = dyn Fn(Actor, Event) + Send + Sync;

#[derive(Clone)]
pub(super) struct Refusals {
    inner: Arc<Inner>,
}

struct Inner {
    seen: Mutex<HashMap<Key, Seen>>,
    write: Box<Write>,
}

/// What is known of one who is refused.
struct Seen {
    actor: Actor,
    /// When the last event was written.
    since: Instant,
    /// For how long from then on none is.
    gathers: Duration,
    /// How many were not.
    left_out: u64,
    /// The last of those.
    what: String,
    reason: String,
}

impl Refusals {
    pub(super) fn new(engine: Engine) -> Self {
        Self::with(Box::new(move |actor, event| engine.note(&actor, event)))
    }

    fn with(write: Box<Write>) -> Self {
        Self { inner: Arc::new(Inner { seen: Mutex::default(), write }) }
    }

    /// Notes one, now or together with others.
    pub(super) fn note(&self, actor: Actor, what: &str, reason: &str) {
        let (what, reason) = (short(what), reason.to_owned());
        let now = Instant::now();
        let mut seen = self.inner.seen();
        let (key, actor) = place(&mut seen, actor, now);
        match seen.entry(key.clone()) {
            // One of whom something is still to be told is gathered until it is.
            Entry::Occupied(mut old)
                if old.get().left_out > 0 || now < old.get().since + old.get().gathers =>
            {
                let old = old.get_mut();
                (old.left_out, old.what, old.reason) = (old.left_out + 1, what, reason);
                if old.left_out == 1 {
                    let (inner, due) = (Arc::downgrade(&self.inner), old.since + old.gathers);
                    tokio::spawn(tell(inner, key, due));
                }
            }
            old => {
                // One that was silent for less than the longest time goes on from where it was.
                let gathers = match &old {
                    Entry::Occupied(old) if now < old.get().since + LONGEST => old.get().gathers,
                    _ => SHORTEST,
                };
                let event = Event::Refused { what: what.clone(), reason: reason.clone() };
                (self.inner.write)(actor.clone(), event);
                old.insert_entry(Seen { actor, since: now, gathers, left_out: 0, what, reason });
            }
        }
    }
}

impl Inner {
    fn seen(&self) -> MutexGuard<'_, HashMap<Key, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes, once it is due, how many were left out.
async fn tell(inner: Weak<Inner>, key: Key, due: Instant) {
    tokio::time::sleep_until(due).await;
    let Some(inner) = inner.upgrade() else { return };
    let mut seen = inner.seen();
    let Some(seen) = seen.get_mut(&key).filter(|seen| seen.left_out > 0) else { return };
    let (count, seconds) = (seen.left_out, seen.gathers.as_secs());
    let reason = if count == 1 {
        seen.reason.clone()
    } else {
        format!("{} (and {} more within {seconds} s that are not listed)", seen.reason, count - 1)
    };
    (inner.write)(seen.actor.clone(), Event::Refused { what: seen.what.clone(), reason });
    (seen.since, seen.gathers, seen.left_out) = (Instant::now(), (seen.gathers * 2).min(LONGEST), 0);
}

/// Under what a refusal is gathered, and who is said to be refused.
fn place(seen: &mut HashMap<Key, Seen>, actor: Actor, now: Instant) -> (Key, Actor) {
    let address = actor.from.parse().ok().map(network);
    let key = (address, actor.who.clone());
    if seen.contains_key(&key) {
        return (key, actor);
    }
    if seen.len() >= MOST {
        seen.retain(|_, one| one.left_out > 0 || now < one.since + LONGEST);
    }
    if seen.len() >= MOST {
        let actor = Actor::new(super::UNKNOWN, "several addresses");
        return ((None, actor.from.clone()), actor);
    }
    (key, actor)
}

/// A path may be as long as a head; the audit keeps it for ever.
fn short(what: &str) -> String {
    match what.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &what[..end]),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type List = Arc<Mutex<Vec<(Actor, String)>>>;

    fn gathered() -> (Refusals, List) {
        let list = List::default();
        let kept = Arc::clone(&list);
        let write = move |actor, event| match event {
            Event::Refused { what, reason } => {
                kept.lock().unwrap().push((actor, format!("{what}: {reason}")));
            }
            other => panic!("{other:?}"),
        };
        (Refusals::with(Box::new(write)), list)
    }

    fn taken(list: &List) -> Vec<String> {
        list.lock().unwrap().drain(..).map(|(_, said)| said).collect()
    }

    async fn after(seconds: u64) {
        // A little more, so that what is due at that moment has been.
        tokio::time::sleep(Duration::from_secs(seconds) + Duration::from_millis(5)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_is_written_at_once_and_the_others_together() {
        let (refusals, list) = gathered();
        let note = |path: &str| refusals.note(Actor::new("unknown", "10.0.0.1"), path, "no token");
        note("GET /a");
        assert_eq!(taken(&list), ["GET /a: no token"]);
        note("GET /b");
        assert_eq!(taken(&list), [""; 0]);
        after(1).await;
        assert_eq!(taken(&list), ["GET /b: no token"]);
        for number in 0..100 {
            note(&format!("GET /{number}"));
        }
        after(1).await;
        assert_eq!(taken(&list), [""; 0], "the next is two seconds later");
        after(1).await;
        assert_eq!(taken(&list), ["GET /99: no token (and 99 more within 2 s that are not listed)"]);
        after(60).await;
        note("GET /c");
        note("GET /d");
        after(1).await;
        assert_eq!(taken(&list), ["GET /c: no token", "GET /d: no token"], "it is new after a minute");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_goes_on_is_told_of_once_a_minute() {
        let (refusals, list) = gathered();
        for _ in 0..3600 * 4 {
            refusals.note(Actor::new("unknown", "10.0.0.1"), "GET /", "no token");
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
        let count = taken(&list).len();
        assert!((60..75).contains(&count), "{count} in an hour");
    }

    #[tokio::test(start_paused = true)]
    async fn those_too_many_are_told_of_together_and_memory_is_bounded() {
        let (refusals, list) = gathered();
        for last in 0..200 {
            refusals.note(Actor::new("unknown", format!("10.0.0.{last}")), "GET /", "no token");
        }
        refusals.note(Actor::new("ann", "10.0.0.1"), "GET /", "no role");
        assert!(refusals.inner.seen().len() <= MOST + 1);
        after(1).await;
        let told: Vec<_> = list.lock().unwrap().drain(..).collect();
        assert_eq!(told.len(), MOST + 2);
        assert_eq!(told[MOST].0, Actor::new("unknown", "several addresses"));
        assert_eq!(told[MOST + 1].1, "GET /: no role (and 167 more within 1 s that are not listed)");
        after(61).await;
        refusals.note(Actor::new("ann", "10.0.0.1"), "GET /", "no role");
        assert_eq!(list.lock().unwrap().last().unwrap().0, Actor::new("ann", "10.0.0.1"));
        assert!(refusals.inner.seen().len() <= 2);
    }

    #[tokio::test(start_paused = true)]
    async fn a_path_of_any_length_is_kept_short() {
        let (refusals, list) = gathered();
        refusals.note(Actor::new("unknown", ""), &"ä".repeat(5000), "no token");
        assert_eq!(taken(&list), [format!("{}…: no token", "ä".repeat(200))]);
    }
}
