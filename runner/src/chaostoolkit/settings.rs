//! What is chosen for one run rather than written in the file.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// Is told what happens, a line at a time.
pub type Said = Arc<dyn Fn(&str) + Send + Sync>;

/// What is chosen for one run.
#[derive(Clone)]
pub struct Settings {
    /// When the hypothesis is looked at.
    pub hypothesis: HypothesisStrategy,
    /// When the rollbacks are played.
    pub rollbacks: RollbackStrategy,
    /// The pause between two looks at the hypothesis while the method runs.
    pub frequency: Duration,
    /// Whether a hypothesis that is not met while the method runs ends the method, and from which
    /// share of looks on that were not, in percent.
    pub fail_fast: Option<f64>,
    /// What is told instead of done; overrides the file's `dry`.
    pub dry: Option<Dry>,
    /// The API that Toxiproxy's functions use if the configuration names none.
    pub toxiproxy_url: String,
    /// The token that is shown to that API, and to no other.
    pub toxiproxy_token: Option<String>,
    /// A reason to end.
    pub interrupt: watch::Receiver<Option<String>>,
    /// Is told what happens.
    pub said: Said,
}

macro_rules! names {
    ($(#[doc = $doc:literal])+ $type:ident { $($(#[doc = $of:literal])+ $variant:ident = $name:literal,)* }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $type { $($(#[doc = $of])+ $variant,)* }

        impl $type {
            /// All names.
            pub const NAMES: &[&str] = &[$($name),*];

            /// Its name.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(name: &str) -> Result<Self, String> {
                match name {
                    $($name => Ok(Self::$variant),)*
                    _ => Err(format!("`{name}` is not known; known are {}", Self::NAMES.join(", "))),
                }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.name())
            }
        }
    };
}

names! {
    /// When the hypothesis is looked at.
    HypothesisStrategy {
        /// Before the method and after it.
        Default = "default",
        /// Before it.
        BeforeMethodOnly = "before-method-only",
        /// After it.
        AfterMethodOnly = "after-method-only",
        /// Again and again while it runs.
        DuringMethodOnly = "during-method-only",
        /// Before, while and after.
        Continuously = "continuously",
        /// Never.
        Skip = "skip",
    }
}

impl HypothesisStrategy {
    pub(super) fn before(self) -> bool {
        matches!(self, Self::Default | Self::BeforeMethodOnly | Self::Continuously)
    }

    pub(super) fn during(self) -> bool {
        matches!(self, Self::DuringMethodOnly | Self::Continuously)
    }

    pub(super) fn after(self) -> bool {
        matches!(self, Self::Default | Self::AfterMethodOnly | Self::Continuously)
    }
}

names! {
    /// When the rollbacks are played.
    RollbackStrategy {
        /// Whenever the method began, however it ended; without it, unless a probe failed.
        Default = "default",
        /// In any case.
        Always = "always",
        /// In none.
        Never = "never",
        /// If the experiment deviated.
        Deviated = "deviated",
    }
}

names! {
    /// What is told instead of done.
    Dry {
        /// Probes; tolerances are not looked at either.
        Probes = "probes",
        /// Actions.
        Actions = "actions",
        /// Both.
        Activities = "activities",
        /// Pauses.
        Pause = "pause",
    }
}
