//! Who wants to know that an injection lost what it had on a proxy.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// An injection's faults came off a proxy, and not by its own doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The proxy.
    pub proxy: String,
    /// The injection's id.
    pub injection: String,
    /// Why.
    pub why: Why,
}

/// Why faults came off by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// Their time was up.
    Expired,
    /// The proxy was deleted.
    Deleted,
    /// The proxy was disabled.
    Disabled,
    /// The proxy was replaced by another.
    Replaced,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Expired => "its time was up",
            Self::Deleted => "the proxy was deleted",
            Self::Disabled => "the proxy was disabled",
            Self::Replaced => "the proxy was replaced",
        })
    }
}

type Hook = Arc<dyn Fn(Lost) + Send + Sync>;

/// Those who are told.
#[derive(Default)]
pub(crate) struct Losses(RwLock<Vec<Hook>>);

impl Losses {
    pub(crate) fn add(&self, hook: impl Fn(Lost) + Send + Sync + 'static) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).push(Arc::new(hook));
    }

    /// Tells everybody of each; no lock is held meanwhile.
    pub(crate) fn tell(&self, proxy: &str, injections: Vec<String>, why: Why) {
        if injections.is_empty() {
            return;
        }
        let hooks = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        for injection in injections {
            // The end of its time is no loss; who owns it says how it ended.
            if why != Why::Expired {
                tracing::warn!(proxy, injection, %why, "an injection lost its faults");
            }
            for hook in &hooks {
                hook(Lost { proxy: proxy.to_owned(), injection: injection.clone(), why });
            }
        }
    }
}
