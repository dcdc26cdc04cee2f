//! The committed schedule of experiments and their last verdicts, for `/chaos/experiments`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use sabot_admin_api::Experiments;
use sabot_document::Document;
use sabot_runner::experiment::schedule::Schedule;
use sabot_runner::history::History;
use sabot_runner::judge::Verdict;
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::state_dir::StateDir;

/// Shows a schedule, if there is one, which has to be readable now; its verdicts are in the history of `state_dir`, or that of the user.
pub(super) fn shown(
    schedule: Option<PathBuf>,
    state_dir: Option<&Path>,
) -> anyhow::Result<Option<Arc<Experiments>>> {
    let Some(schedule) = schedule else { return Ok(None) };
    let history = StateDir::given(state_dir).history()?;
    experiments(&schedule, &history).map_err(|error| {
        let message = format!("failed to read what `injections.experiments` of the config names: {error}");
        Failure::new(message, "nothing was started; correct the config, or the file that it names")
    })?;
    let history = Mutex::new(history);
    Ok(Some(Arc::new(move || {
        let history = history.lock().unwrap_or_else(PoisonError::into_inner);
        experiments(&schedule, &history)
    })))
}

/// What the schedule says, and what came of each of its runs; read anew each time, so that an edit shows.
fn experiments(schedule: &Path, history: &History) -> Result<Value, String> {
    let document = Document::read(schedule).map_err(|error| error.to_string())?;
    // As it is written: what its variables would be is known only to whoever runs it.
    let written: Schedule = document.to().map_err(|error| error.to_string())?;
    let folder = schedule.parent().unwrap_or(Path::new(""));
    let mut runs = Vec::new();
    for entry in &written.runs {
        let experiment =
            Document::read(&folder.join(&entry.experiment)).map_err(|error| error.to_string())?;
        let experiment = experiment.to_value();
        let title = experiment["title"].as_str().unwrap_or_default();
        let variant = entry.variant.as_deref();
        let last = history.latest(title, variant).map_err(|error| error.to_string())?;
        let expect = entry.expect.map(Verdict::name);
        runs.push(json!({
            "title": title, "hypothesis": experiment["hypothesis"], "experiment": entry.experiment,
            "variant": variant, "expect": expect, "last": last,
        }));
    }
    Ok(json!({"title": written.title, "schedule": schedule, "experiments": runs}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schedule_is_shown_with_what_came_of_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("slow.yaml"), "title: Slow\nhypothesis: It holds\n").unwrap();
        let schedule = folder.path().join("all.yaml");
        let text = "title: All\nruns:\n- {experiment: slow.yaml, variant: naive, expect: failed}\n";
        std::fs::write(&schedule, text).unwrap();
        let history = History::open(folder.path()).unwrap();
        let shown = experiments(&schedule, &history).unwrap();
        assert_eq!(shown["title"], "All");
        let run = &shown["experiments"][0];
        assert_eq!(
            (&run["title"], &run["variant"], &run["expect"]),
            (&json!("Slow"), &json!("naive"), &json!("failed"))
        );
        assert_eq!(run["last"], Value::Null);
        std::fs::remove_file(folder.path().join("slow.yaml")).unwrap();
        assert!(experiments(&schedule, &history).unwrap_err().contains("slow.yaml"));
    }
}
