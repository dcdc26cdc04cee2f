//! Whether what a request changes is in the token's scope.
//!
//! A scope says which proxies may be *changed*, by their labels; everybody with a token sees all. What was
//! in scope when it was asked may be labelled otherwise a moment later: that is not guarded against, since
//! whoever labels it has to have it in scope, too.

use std::collections::BTreeMap;

use axum::extract::RawPathParams;
use sabot_injections::request::{Labels, Selector};

use crate::app::App;

/// What a request changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// No proxy.
    Nothing,
    /// What its body says: the handler asks, by [`allows`] or the engine.
    Body,
    /// The proxy in its path.
    Proxy,
    /// The same, which can only be well after it.
    Relief,
    /// All proxies there are.
    All,
    /// A proxy that has no labels.
    Unlabelled,
    /// Any proxy there is, which loses its labels, and such as have none.
    Populate,
    /// The targets of the injection in its path.
    Injection,
    /// The schedule in its path.
    Schedule,
    /// What is of no proxy, and everybody's.
    Everybody,
}

/// Whether a scope holds all that a request changes; the error says what it does not. What is not there is
/// left to the handler to miss.
pub(super) fn check(
    app: &App,
    scope: &Selector,
    reach: Reach,
    names: Option<&RawPathParams>,
) -> Result<(), String> {
    if scope.is_empty() {
        return Ok(());
    }
    let name = |wanted| in_path(names, wanted);
    match reach {
        Reach::Nothing | Reach::Body => Ok(()),
        Reach::Proxy | Reach::Relief => {
            let proxy = name("proxy").and_then(|name| app.controller.proxy(name).ok());
            proxy.map_or(Ok(()), |it| allows(scope, &it.name, &it.labels))
        }
        Reach::All => all(app, scope),
        Reach::Unlabelled => unlabelled(scope),
        Reach::Populate => unlabelled(scope).and_then(|()| all(app, scope)),
        Reach::Injection => {
            let Some(Ok(injection)) = name("id").map(|id| app.engine.known(id)) else { return Ok(()) };
            let labels: BTreeMap<_, _> = app.controller.labels().into_iter().collect();
            let none = Labels::new();
            let mut targets = injection.targets.iter();
            targets.try_for_each(|target| allows(scope, target, labels.get(target).unwrap_or(&none)))
        }
        Reach::Schedule => {
            let schedules = app.engine.schedules();
            let mut schedules = schedules.iter().map(|(schedule, _)| schedule);
            let schedule = name("name").and_then(|name| schedules.find(|schedule| schedule.name == name));
            match schedule {
                Some(schedule) if schedule.scope != *scope => {
                    Err(format!("this token is for {scope}, and the schedule {} is not", schedule.name))
                }
                _ => Ok(()),
            }
        }
        Reach::Everybody => {
            Err(format!("this takes a token that is for all proxies, and this one is for {scope} alone"))
        }
    }
}

/// Whether one person may do it alone: what takes two by an injection is not to be had by one who sets toxics,
/// or the proxy's labels.
pub(super) fn check_alone(app: &App, reach: Reach, names: Option<&RawPathParams>) -> Result<(), String> {
    let serious = |proxy: &str, labels: &Labels| match app.engine.is_serious(proxy, labels) {
        None => Ok(()),
        Some(why) => Err(format!(
            "this takes the role admin ({why}), or an injection, which a second person approves: `POST /injections`"
        )),
    };
    match reach {
        Reach::Proxy => {
            let proxy = in_path(names, "proxy").and_then(|name| app.controller.proxy(name).ok());
            proxy.map_or(Ok(()), |it| serious(&it.name, &it.labels))
        }
        Reach::Populate => {
            app.controller.labels().iter().try_for_each(|(proxy, labels)| serious(proxy, labels))
        }
        _ => Ok(()),
    }
}

fn in_path<'a>(names: Option<&'a RawPathParams>, wanted: &str) -> Option<&'a str> {
    names?.iter().find_map(|(name, value)| (name == wanted).then_some(value))
}

/// Whether a scope holds a proxy; the error says that it does not.
pub(crate) fn allows(scope: &Selector, proxy: &str, labels: &Labels) -> Result<(), String> {
    if scope.meets(labels) {
        return Ok(());
    }
    let known: Vec<_> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let known = if known.is_empty() { "no labels".to_owned() } else { known.join(", ") };
    Err(format!("this token is for {scope} alone, and the proxy {proxy} has {known}"))
}

fn all(app: &App, scope: &Selector) -> Result<(), String> {
    app.controller.labels().iter().try_for_each(|(proxy, labels)| allows(scope, proxy, labels))
}

fn unlabelled(scope: &Selector) -> Result<(), String> {
    if scope.meets(&Labels::new()) {
        return Ok(());
    }
    Err(format!(
        "this token is for {scope} alone, and what is made here has no labels: `POST /v1/proxies` takes some"
    ))
}
