//! Requests before the load: log in, create what is read; once for each tenant.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value;
use tokio::runtime::{Builder, LocalOptions};

use super::LoadError;
use crate::load::Load;
use crate::load::ready::ReadyStep;
use crate::load::template::Values;

/// How many tenants are set up at once.
const AT_ONCE: usize = 8;

/// A longer answer is none that a value is captured from.
const LONGEST: usize = 1 << 20;

type Captured = BTreeMap<String, String>;

/// Sends the setup of all tenants; what was captured, by tenant.
pub(super) async fn run(load: &Arc<Load>) -> Result<Vec<Captured>, LoadError> {
    if load.setup.is_empty() {
        return Ok(vec![Captured::new(); load.tenants.len()]);
    }
    let load = Arc::clone(load);
    // Connections live on one thread; the caller's runtime may have many.
    let all = tokio::task::spawn_blocking(move || {
        let runtime = Builder::new_current_thread().enable_all().build_local(LocalOptions::default())?;
        runtime.block_on(async {
            let tenants = load.tenants.iter().enumerate();
            stream::iter(tenants)
                .map(|(at, tenant)| one(&load, at as u64, tenant))
                .buffered(AT_ONCE)
                .try_collect()
                .await
        })
    });
    all.await.map_err(|_| std::io::Error::other("the setup panicked"))?
}

async fn one(load: &Load, number: u64, tenant: &str) -> Result<Captured, LoadError> {
    let mut captured = Captured::new();
    for (at, step) in load.setup.iter().enumerate() {
        let failed = |message: String| LoadError::Setup {
            field: format!("setup[{at}]"),
            message: format!("{} of {tenant}: {message}", step.call.label()),
        };
        let limit: Duration = load.plan.connect_timeout.get() + load.plan.timeout.get();
        let values = Values { number, tenant, captured: Some(&captured) };
        let answer = tokio::time::timeout(limit, send(step, &values)).await;
        let body = answer.map_err(|_| failed(format!("no answer within {limit:?}")))?.map_err(&failed)?;
        let found = capture(step, &body).map_err(failed)?;
        captured.extend(found);
    }
    Ok(captured)
}

async fn send(step: &ReadyStep, values: &Values<'_>) -> Result<Vec<u8>, String> {
    let connection =
        step.call.target().clone().connect().await.map_err(|why| format!("failed to connect: {}", why.0))?;
    let mut body = Vec::new();
    let mut keep = |data: &bytes::Bytes| body.extend_from_slice(&data[..data.len().min(LONGEST)]);
    let (answer, status) = step.call.exchange(&connection, values, &mut keep).await;
    body.truncate(LONGEST);
    match status {
        None => Err(format!("no whole answer ({:?})", answer.fate)),
        Some(_) if answer.code.is_none() => Err(format!("no whole answer ({:?})", answer.fate)),
        Some(status) if !status.is_success() => {
            let told = String::from_utf8_lossy(&body[..body.len().min(200)]).into_owned();
            Err(format!("answered {}: {}", status.as_u16(), told.escape_debug()))
        }
        Some(_) => Ok(body),
    }
}

fn capture(step: &ReadyStep, body: &[u8]) -> Result<Captured, String> {
    if step.capture.is_empty() {
        return Ok(Captured::new());
    }
    let json: Value =
        serde_json::from_slice(body).map_err(|_| "the answer is no JSON to capture from".to_owned())?;
    let found = step.capture.iter().map(|(name, pointer)| match json.pointer(pointer) {
        Some(Value::String(text)) => Ok((name.clone(), text.clone())),
        Some(value @ (Value::Number(_) | Value::Bool(_))) => Ok((name.clone(), value.to_string())),
        _ => Err(format!("the answer has no value at {pointer} to capture as `{name}`")),
    });
    found.collect()
}
