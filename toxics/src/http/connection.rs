//! What faults keep of one client connection.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What the toxics keep of a client connection while it lives: at most one value each.
#[derive(Default)]
pub struct Connection(Mutex<BTreeMap<u64, Arc<dyn Any + Send + Sync>>>);

/// Toxics that are remembered: more came and went than any connection is there for.
const MOST: usize = 256;

impl Connection {
    /// The value of the toxic with that id, made on first use.
    pub(crate) fn get<T: Default + Send + Sync + 'static>(&self, toxic: u64) -> Arc<T> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() >= MOST && !all.contains_key(&toxic) {
            all.pop_first();
        }
        let value = all.entry(toxic).or_insert_with(|| Arc::<T>::default());
        Arc::clone(value).downcast().unwrap_or_default()
    }
}

/// Put into the extensions of an answer, it has the shell say goodbye to the client
/// behind it: over HTTP/2 GOAWAY with that code, over HTTP/1.1 `Connection: close`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoAway(pub u32);
