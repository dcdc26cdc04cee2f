//! What the fields of an experiment mean together.

use sabot_toxics::{Invalid, suggestion};

use super::{Action, Experiment, SlosSpec};
use crate::series::LONGEST_S;
use crate::slo::{Indicator, Names, Slo};

pub(super) fn check(experiment: &Experiment) -> Result<(), Invalid> {
    Invalid::unless_printable("title", &experiment.title)?;
    if experiment.title.trim().is_empty() {
        return Err(Invalid::new("title", "must not be empty: results are found by it"));
    }
    windows(experiment)?;
    for (name, sli) in &experiment.slis {
        let field = format!("slis.{name}");
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') || name.is_empty() {
            return Err(Invalid::new(
                field,
                "is made of letters, digits and _, so that objectives can name it",
            ));
        }
        if !matches!(format!("{name} < 1").parse::<Slo>(), Ok(Slo { indicator: Indicator::Sli(_), .. })) {
            return Err(Invalid::new(field, "is the name of an indicator of the load; choose another"));
        }
        sli.source.check().map_err(|error| error.within(&field))?;
    }
    let names = Names::of(&experiment.load()?);
    objectives(experiment, &names)?;
    for (at, fault) in experiment.faults.iter().enumerate() {
        Invalid::unless_share("toxicity", fault.toxicity)
            .map_err(|error| error.within(&format!("faults[{at}]")))?;
        if fault.when.contains_key("expires_after") {
            let message = "is set by the run itself, to the end of the fault's window";
            return Err(Invalid::new(format!("faults[{at}].when.expires_after"), message));
        }
    }
    for (field, actions) in actions(experiment) {
        for (at, action) in actions.iter().enumerate() {
            action.check().map_err(|error| error.within(&format!("{field}[{at}]")))?;
        }
    }
    for (at, name) in experiment.blast_radius.iter().flatten().enumerate() {
        let known: Vec<&str> = names.endpoints.iter().map(|(name, _)| name.as_str()).collect();
        if !known.contains(&name.as_str()) {
            let message = format!("unknown endpoint `{name}`{}", suggestion(name, &known));
            return Err(Invalid::new(format!("blast_radius[{at}]"), message));
        }
    }
    Ok(())
}

/// The lists of actions, each with its field.
fn actions(experiment: &Experiment) -> Vec<(String, &[Action])> {
    let own = [("prepare", &experiment.prepare), ("cleanup", &experiment.cleanup)];
    let own = own.map(|(field, actions)| (field.to_owned(), actions.as_slice()));
    let variants = experiment.variants.iter();
    let variants =
        variants.map(|(name, variant)| (format!("variants.{name}.prepare"), variant.prepare.as_slice()));
    own.into_iter().chain(variants).collect()
}

pub(super) fn windows(experiment: &Experiment) -> Result<(), Invalid> {
    let [_, baseline, fault, recovery] = experiment.windows.seconds();
    let faulty = !experiment.faults.is_empty();
    for (name, length) in [("baseline", baseline), ("fault", fault), ("recovery", recovery)] {
        if length == 0 && (faulty || name == "baseline") {
            return Err(Invalid::new(format!("windows.{name}"), "must be a second or longer"));
        }
    }
    let all = experiment.windows.seconds().into_iter().fold(0, u64::saturating_add);
    if all > LONGEST_S {
        return Err(Invalid::new("windows", "are longer than a week together"));
    }
    if faulty && experiment.stable.get() > experiment.windows.recovery.get() {
        let message = "is longer than the recovery window, so that nothing could ever count as recovered";
        return Err(Invalid::new("stable", message));
    }
    if experiment.load.as_ref().is_some_and(|load| load.duration.is_some()) {
        return Err(Invalid::new("load.duration", "follows from the windows; leave it out"));
    }
    Ok(())
}

/// Refuses windows of an objective of which no phase that it is for could hold one.
fn whole_windows(experiment: &Experiment, field: &str, slo: &Slo) -> Result<(), String> {
    let [_, _, fault, recovery] = experiment.windows.seconds();
    let (phase, length) = match field {
        "slos.steady" | "stop" => return Ok(()),
        "slos.fault" => ("fault", fault),
        "slos.after" => ("recovery", recovery),
        _ if fault < recovery => ("fault", fault),
        _ => ("recovery", recovery),
    };
    match slo.over.map(|over| over.as_secs()) {
        Some(over) if over > length && !experiment.faults.is_empty() => Err(format!(
            "asks for windows of {over} s, longer than the {phase} of {length} s: shorten `over`, or lengthen \
             `windows.{phase}`"
        )),
        _ => Ok(()),
    }
}

fn objectives(experiment: &Experiment, names: &Names) -> Result<(), Invalid> {
    let slis: Vec<&str> = experiment.slis.keys().map(String::as_str).collect();
    let lists: Vec<(&str, &[Slo])> = match &experiment.slos {
        SlosSpec::All(all) => vec![("slos", all)],
        SlosSpec::Phases(phases) => vec![
            ("slos.steady", &phases.steady),
            ("slos.fault", phases.fault.as_deref().unwrap_or_default()),
            ("slos.after", phases.after.as_deref().unwrap_or_default()),
        ],
    };
    if lists[0].1.is_empty() {
        return Err(Invalid::new(lists[0].0, "must hold an objective: without one nothing can be judged"));
    }
    for (field, slos) in lists.into_iter().chain([("stop", experiment.stop.as_slice())]) {
        for (at, slo) in slos.iter().enumerate() {
            let refused = |message| Invalid::new(format!("{field}[{at}]"), message);
            slo.check(names, &slis).map_err(refused)?;
            whole_windows(experiment, field, slo).map_err(refused)?;
        }
    }
    Ok(())
}
