//! `/v1/audit`: what happened, whether that is all of it, and what was on at a moment.

use std::time::{SystemTime, UNIX_EPOCH};

use axum::Json;
use axum::extract::State;
use http::{StatusCode, Uri};
use sabot_injections::engine::{Engine, EngineError};
use sabot_injections::journal::{Filter, JournalError};
use sabot_injections::rules::{moment, read_moment};
use sabot_toxics::Invalid;

use super::query::Query;
use super::refuse::refused;
use super::wire::{At, Audit, Injection, Verdict};
use crate::app::App;
use crate::error::ApiError;

/// As many as are shown unless told.
const SHOWN: u32 = 100;

/// No answer has more: some 10 MB.
const MOST_SHOWN: u32 = 10_000;

/// What happened, the oldest first: every change by whatever route, who made it, whence, and what came of it. Times
/// are RFC 3339, or `HH:MM`: the last time that it was so late in UTC. The newest are shown; with `after`, the first
/// ones behind that place, so that all can be read in turn.
#[utoipa::path(get, path = "/v1/audit", tag = "injections", operation_id = "audit",
    params(("since" = Option<String>, Query, description = "From then on.", example = "02:30"),
        ("until" = Option<String>, Query, description = "Before then.", example = "2026-11-21T03:00:00Z"),
        ("who" = Option<String>, Query, description = "Done by them."),
        ("action" = Option<String>, Query, description = "What begins with these words, such as `injection` or \
            `injection.ended`."),
        ("subject" = Option<String>, Query, description = "About this injection, schedule or token."),
        ("after" = Option<u64>, Query, minimum = 0, description = "Behind the event of this number."),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 10_000,
            description = "So many at most, 100 unless given.")),
    responses((status = 200, body = Audit), (status = 400, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn list(State(app): State<App>, uri: Uri) -> Result<Json<Audit>, ApiError> {
    let mut query = Query::of(&uri)?;
    let since_ms = query.text("since").map(|text| time("since", &text)).transpose()?;
    let until_ms = query.text("until").map(|text| until(&text, since_ms)).transpose()?;
    let after = query.text("after").map(|text| {
        let number = text.parse().ok().filter(|number: &u64| i64::try_from(*number).is_ok());
        number.ok_or_else(|| Invalid::new("after", "must be the `seq` of an event"))
    });
    let filter = Filter {
        since_ms,
        until_ms,
        who: query.text("who"),
        action: query.text("action"),
        subject: query.text("subject"),
        after: after.transpose()?,
        most: Some(query.number("limit", 1, MOST_SHOWN)?.unwrap_or(SHOWN)),
    };
    query.end()?;
    let events = ask(&app, move |engine| engine.audit(&filter)).await?.map_err(refused)?;
    Ok(Json(Audit { events: events.into_iter().map(Into::into).collect() }))
}

/// Whether every event is as it was written: each is hashed together with the hash of the one before, so that nobody
/// changes one without changing all that follow. Note the `head` elsewhere, and you know of that too.
#[utoipa::path(get, path = "/v1/audit/verify", tag = "injections", operation_id = "verify_audit",
    responses((status = 200, body = Verdict), (status = 503, body = ApiError)))]
pub(super) async fn verify(State(app): State<App>) -> Result<Json<Verdict>, ApiError> {
    match ask(&app, Engine::verify).await? {
        Ok(verified) => Ok(Json(Verdict::intact(&verified))),
        Err(EngineError::Journal(JournalError::Broken { seq, reason, .. })) => {
            Ok(Json(Verdict::broken(seq, reason)))
        }
        Err(other) => Err(refused(other)),
    }
}

/// Was it us? The injections whose faults were on at a moment, by the journal, as they are now; and what was changed
/// last before it by hand.
#[utoipa::path(get, path = "/v1/audit/at", tag = "injections", operation_id = "audit_at",
    params(("time" = String, Query, description = "RFC 3339, or `HH:MM`: the last minute that was called so in UTC.",
        example = "02:47")),
    responses((status = 200, body = At), (status = 400, body = ApiError), (status = 503, body = ApiError)))]
pub(super) async fn at(State(app): State<App>, uri: Uri) -> Result<Json<At>, ApiError> {
    let mut query = Query::of(&uri)?;
    let text = query.text("time");
    query.end()?;
    let text = text.ok_or_else(|| Invalid::new("time", "is missing: `?time=02:47`"))?;
    let at_ms = time("time", &text)?;
    if at_ms > now_ms() {
        return Err(Invalid::new("time", "lies in the future").into());
    }
    // Who says 02:47 means the minute.
    let minute = is_minute(&text);
    let to_ms = at_ms.saturating_add(if minute { 60_000 } else { 1 });
    let changed = Filter {
        until_ms: Some(to_ms),
        action: Some("changed".to_owned()),
        most: Some(LAST_CHANGES),
        ..Filter::default()
    };
    let first = Filter { after: Some(0), most: Some(1), ..Filter::default() };
    let look = move |engine: &Engine| {
        Ok((engine.on_between(at_ms, to_ms)?, engine.audit(&changed)?, engine.audit(&first)?))
    };
    let (on, changes, first) = ask(&app, look).await?.map_err(refused)?;
    let begins = first.first().map(|event| event.at_ms).filter(|began| *began > at_ms);
    Ok(Json(At {
        time: moment(at_ms),
        until: minute.then(|| moment(to_ms)),
        injections: on.into_iter().map(Injection::from).collect(),
        changes: changes.into_iter().map(Into::into).collect(),
        begins: begins.map(moment),
    }))
}

/// As many as remind somebody of what was done by hand.
const LAST_CHANGES: u32 = 5;

/// Reads the journal on a thread that may wait for the disk.
pub(super) async fn ask<T: Send + 'static>(
    app: &App,
    read: impl FnOnce(&Engine) -> T + Send + 'static,
) -> Result<T, ApiError> {
    let engine = app.engine.clone();
    let done = tokio::task::spawn_blocking(move || read(&engine)).await;
    done.map_err(|_| ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "the journal could not be read"))
}

fn time(field: &str, text: &str) -> Result<u64, Invalid> {
    match of_day(text.trim()) {
        Some(of_day) => Ok(last(of_day, now_ms())),
        None => read_moment(field, text),
    }
}

fn now_ms() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}

/// Where a span that begins at `since` ends: a time of day is the first one after that.
fn until(text: &str, since: Option<u64>) -> Result<u64, Invalid> {
    let Some(since) = since else { return time("until", text) };
    let until = match of_day(text.trim()) {
        Some(of_day) => last(of_day, since.saturating_add(DAY_MS)),
        None => read_moment("until", text)?,
    };
    if until <= since {
        return Err(Invalid::new("until", format!("must come after `since`, which is {}", moment(since))));
    }
    Ok(until)
}

/// Whether it is `HH:MM`, which is a minute rather than a moment.
fn is_minute(text: &str) -> bool {
    of_day(text.trim()).is_some() && text.matches(':').count() == 1
}

const DAY_MS: u64 = 86_400_000;

/// `HH:MM` or `HH:MM:SS`, in milliseconds since midnight.
fn of_day(text: &str) -> Option<u64> {
    let parts: Vec<_> = text.split(':').collect();
    if !(2..=3).contains(&parts.len()) {
        return None;
    }
    let number = |part: &&str, most: u64| {
        let digits = part.len() == 2 && part.bytes().all(|byte| byte.is_ascii_digit());
        part.parse().ok().filter(|number| digits && *number <= most)
    };
    let (hours, minutes) = (number(&parts[0], 23)?, number(&parts[1], 59)?);
    let seconds = parts.get(2).map_or(Some(0), |part| number(part, 59))?;
    Some(((hours * 60 + minutes) * 60 + seconds) * 1000)
}

/// The last time that it was so late.
fn last(of_day_ms: u64, now_ms: u64) -> u64 {
    let today = now_ms - now_ms % DAY_MS + of_day_ms;
    if today <= now_ms { today } else { today.saturating_sub(DAY_MS) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_last_one() {
        let now = read_moment("", "2026-11-21T03:00:00Z").unwrap();
        for (text, expected) in [
            ("02:47", "2026-11-21T02:47:00.000Z"),
            ("03:00", "2026-11-21T03:00:00.000Z"),
            ("03:00:01", "2026-11-20T03:00:01.000Z"),
            ("23:59", "2026-11-20T23:59:00.000Z"),
        ] {
            assert_eq!(moment(last(of_day(text).unwrap(), now)), expected, "{text}");
        }
        for text in ["24:00", "2:47", "02:60", "02:47:61", "0247", "+2:47", "02:47:00:00"] {
            assert_eq!(of_day(text), None, "{text}");
        }
        assert!(is_minute("02:47") && !is_minute("02:47:00") && !is_minute("2026-11-21T03:00:00Z"));
        assert_eq!(time("since", "2026-11-21T03:00:00Z").unwrap(), now);
        assert_eq!(time("since", "soon").unwrap_err().field, "since");
    }

    #[test]
    fn a_span_ends_after_it_begins() {
        let since = read_moment("", "2026-11-21T23:50:00Z").unwrap();
        for (text, expected) in [
            ("23:56", "2026-11-21T23:56:00.000Z"),
            ("00:10", "2026-11-22T00:10:00.000Z"),
            ("23:50", "2026-11-22T23:50:00.000Z"),
            ("2026-11-23T00:00:00Z", "2026-11-23T00:00:00.000Z"),
        ] {
            assert_eq!(moment(until(text, Some(since)).unwrap()), expected, "{text}");
        }
        for before in ["2026-11-21T23:50:00Z", "2026-11-20T00:00:00Z", "soon"] {
            assert_eq!(until(before, Some(since)).unwrap_err().field, "until");
        }
    }
}
