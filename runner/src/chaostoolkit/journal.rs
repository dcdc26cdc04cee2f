//! What a run leaves behind: the Chaos Toolkit's `journal.json`, field by field.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

/// The version of `chaostoolkit-lib` whose journal this is; what wrote it follows after the plus, where
/// semantic versions have room for such things.
const WRITTEN_BY: &str = concat!("1.44.0+sabot.", env!("CARGO_PKG_VERSION"));

/// A journal.
#[derive(Clone, Debug, Serialize)]
pub struct Journal {
    /// The version of the format, and of Sabot.
    #[serde(rename = "chaoslib-version")]
    pub version: &'static str,
    /// System, release and machine.
    pub platform: String,
    /// The machine's name.
    pub node: String,
    /// The experiment as it was read.
    pub experiment: Value,
    /// When it began, in UTC.
    pub start: String,
    /// How it ended; none before that.
    pub status: Option<Status>,
    /// Whether the hypothesis was not met after the method.
    pub deviated: bool,
    /// What the hypothesis was like.
    pub steady_states: SteadyStates,
    /// The method's activities in the order in which they began.
    pub run: Vec<Entry>,
    /// The rollbacks in the order in which they began.
    pub rollbacks: Vec<Entry>,
    /// When it ended, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// How long it took, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
}

/// How an experiment ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// All that was to be done was done, whatever came of it.
    Completed,
    /// A probe of the hypothesis could not be carried out, or the hypothesis ended the method.
    Failed,
    /// Something here went wrong.
    Aborted,
    /// Somebody ended it.
    Interrupted,
}

impl Status {
    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Aborted => "aborted",
            Self::Interrupted => "interrupted",
        }
    }
}

/// What the hypothesis was like.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SteadyStates {
    /// Before the method.
    pub before: Option<State>,
    /// After it.
    pub after: Option<State>,
    /// While it ran.
    pub during: Vec<State>,
}

/// One look at the hypothesis.
#[derive(Clone, Debug, Default, Serialize)]
pub struct State {
    /// Whether all of its probes were within their tolerance; none if nobody looked to the end.
    pub steady_state_met: Option<bool>,
    /// The probes up to the first that was not.
    pub probes: Vec<Entry>,
}

/// One activity.
#[derive(Clone, Debug, Serialize)]
pub struct Entry {
    /// As the file has it.
    pub activity: Value,
    /// What it gave.
    pub output: Value,
    /// When it began, in UTC.
    pub start: String,
    /// `succeeded`, `failed`, or `aborted` for one that was under way when the run was interrupted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<&'static str>,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<Vec<String>>,
    /// When it ended, in UTC.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
    /// How long it took, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<f64>,
    /// Whether what a probe of the hypothesis gave was fine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tolerance_met: Option<bool>,
}

impl Entry {
    /// An activity that begins now.
    pub(super) fn begin(activity: Value) -> Self {
        Self {
            activity,
            output: Value::Null,
            start: now(),
            status: None,
            exception: None,
            end: None,
            duration: None,
            tolerance_met: None,
        }
    }

    /// Whether it was carried out.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == Some("succeeded")
    }

    /// Nobody will end it any more.
    pub(super) fn abandon(&mut self) {
        if self.status.is_none() {
            self.status = Some("aborted");
            self.end = Some(now());
        }
    }
}

impl Journal {
    /// A journal that begins now.
    pub(super) fn begin(experiment: Value) -> Self {
        Self {
            version: WRITTEN_BY,
            platform: format!("Linux-{}-{}", system("osrelease"), std::env::consts::ARCH),
            node: system("hostname"),
            experiment,
            start: now(),
            status: None,
            deviated: false,
            steady_states: SteadyStates::default(),
            run: Vec::new(),
            rollbacks: Vec::new(),
            end: None,
            duration: None,
        }
    }

    /// Whether the steady state held from beginning to end, and all was done.
    #[must_use]
    pub fn is_good(&self) -> bool {
        let gate = self.steady_states.before.as_ref().and_then(|state| state.steady_state_met);
        self.status == Some(Status::Completed) && !self.deviated && gate != Some(false)
    }
}

/// What the kernel calls itself; empty where it does not tell.
fn system(what: &str) -> String {
    let text = std::fs::read_to_string(format!("/proc/sys/kernel/{what}")).unwrap_or_default();
    text.trim().to_owned()
}

/// As Python's `isoformat` writes it.
pub(super) fn now() -> String {
    Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.6f+00:00").to_string()
}
