//! One look at the hypothesis.

use super::execute::{Entries, execute};
use super::journal::State;
use super::provider::Around;
use super::read::Hypothesis;
use super::settings::Dry;
use super::tolerance::Tolerance;

/// Asks the probes in order, up to the first that fails or is not within its tolerance.
pub(super) async fn look(hypothesis: &Hypothesis, around: &Around, dry: Option<Dry>) -> State {
    (around.said)(&format!("hypothesis: {}", hypothesis.title));
    let mut state = State::default();
    for probe in &hypothesis.probes {
        let mut entry = execute(probe, around, dry, &Entries::default()).await;
        let met = entry.succeeded()
            && match &probe.tolerance {
                // What was not asked has no answer to be judged.
                Some(tolerance) if !matches!(dry, Some(Dry::Probes | Dry::Activities)) => {
                    holds(tolerance, &entry.output, around).await
                }
                _ => true,
            };
        entry.tolerance_met = Some(met);
        state.probes.push(entry);
        if !met {
            (around.said)(&format!("  not met: {}", probe.name));
            state.steady_state_met = Some(false);
            return state;
        }
    }
    state.steady_state_met = Some(true);
    state
}

async fn holds(tolerance: &Tolerance, value: &serde_json::Value, around: &Around) -> bool {
    if let Tolerance::Probe(judge) = tolerance {
        return judge.judge(value, around).await;
    }
    tolerance.holds(value, &around.scope()).unwrap_or_else(|reason| {
        (around.said)(&format!("  its tolerance says nothing: {reason}"));
        false
    })
}
