use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderMap;
use http::{Method, StatusCode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::http_abort::{grpc_answer, refusal};
use crate::Invalid;
use crate::http::matching::is_grpc;
use crate::http::pace::paced;
use crate::http::{Answer, Cx, HttpToxic, Next, Request};
use crate::units::{Millis, Rate};

/// Lets requests ask for their own faults, by the headers of Envoy's fault filter.
///
/// `x-envoy-fault-delay-request` (milliseconds), `x-envoy-fault-abort-request` (a status),
/// `x-envoy-fault-abort-grpc-request` (a gRPC status by number) and
/// `x-envoy-fault-throughput-response` (KiB/s of the answer's body), each with
/// `…-percentage` (whole; the abort's two share `x-envoy-fault-abort-request-percentage`).
/// Adding the toxic is what allows it, and its attributes are the caps: a larger value
/// becomes the cap, a percentage that is absent is the cap. As with Envoy the status
/// counts if both aborts are asked for, and a delay comes before the abort. What cannot
/// be read is ignored. The headers do not go up.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EnvoyFault {
    /// The longest delay that is granted; 0 grants none.
    pub max_delay: Millis,
    /// The largest share of requests that is delayed, in percent.
    #[schemars(range(min = 0, max = 100))]
    pub max_delay_percentage: u32,
    /// Whether aborts are granted.
    pub aborts: bool,
    /// The largest share of requests that is aborted, in percent.
    #[schemars(range(min = 0, max = 100))]
    pub max_abort_percentage: u32,
    /// The largest share of answers that is slowed down, in percent.
    #[schemars(range(min = 0, max = 100))]
    pub max_throughput_percentage: u32,
}

/// Longer delays than this are more likely a mistake than a test.
const MAX_DELAY_MS: u64 = 60_000;

impl Default for EnvoyFault {
    fn default() -> Self {
        Self {
            max_delay: Millis::new(MAX_DELAY_MS),
            max_delay_percentage: 100,
            aborts: true,
            max_abort_percentage: 100,
            max_throughput_percentage: 100,
        }
    }
}

const DELAY: &str = "x-envoy-fault-delay-request";
const DELAY_PERCENTAGE: &str = "x-envoy-fault-delay-request-percentage";
const ABORT: &str = "x-envoy-fault-abort-request";
const ABORT_GRPC: &str = "x-envoy-fault-abort-grpc-request";
const ABORT_PERCENTAGE: &str = "x-envoy-fault-abort-request-percentage";
/// Not one of Envoy's, but what the others make one expect.
const ABORT_GRPC_PERCENTAGE: &str = "x-envoy-fault-abort-grpc-request-percentage";
const THROUGHPUT: &str = "x-envoy-fault-throughput-response";
const THROUGHPUT_PERCENTAGE: &str = "x-envoy-fault-throughput-response-percentage";

const ALL: [&str; 8] = [
    DELAY,
    DELAY_PERCENTAGE,
    ABORT,
    ABORT_GRPC,
    ABORT_PERCENTAGE,
    ABORT_GRPC_PERCENTAGE,
    THROUGHPUT,
    THROUGHPUT_PERCENTAGE,
];

impl HttpToxic for EnvoyFault {
    const KIND: &'static str = "envoy_fault";

    fn validate(&self) -> Result<(), Invalid> {
        let shares = [
            ("max_delay_percentage", self.max_delay_percentage),
            ("max_abort_percentage", self.max_abort_percentage),
            ("max_throughput_percentage", self.max_throughput_percentage),
        ];
        match shares.iter().find(|(_, share)| *share > 100) {
            Some((field, _)) => Err(Invalid::new(*field, "must lie between 0 and 100")),
            None => Ok(()),
        }
    }

    fn acts_before_answer(&self) -> bool {
        true
    }

    async fn call(self: Arc<Self>, cx: Cx, mut request: Request, next: Next) -> Answer {
        let headers = request.headers();
        let delay = self.delay(headers).filter(|(_, share)| drawn(&cx, "delay", *share));
        let abort = self.abort(headers).filter(|(_, share)| drawn(&cx, "abort", *share));
        let throughput = self.throughput(headers).filter(|(_, share)| drawn(&cx, "throughput", *share));
        for name in ALL {
            request.headers_mut().remove(name);
        }
        if let Some((delay, _)) = delay {
            cx.acted();
            let until = cx.now() + delay;
            if abort.is_none() {
                next.prepare(until);
            }
            cx.wait_until(until).await;
        }
        if let Some((abort, _)) = abort.filter(|_| !cx.is_over()) {
            cx.acted();
            return Ok(abort.answer(&request));
        }
        let head = request.method() == Method::HEAD;
        let response = next.run(request).await?;
        let Some((rate, _)) = throughput.filter(|_| !head && !cx.is_over()) else { return Ok(response) };
        cx.acted();
        Ok(response.map(|body| paced(cx, body, move |_: &Self| rate)))
    }
}

impl EnvoyFault {
    /// The delay that is asked for, and its share in percent.
    fn delay(&self, headers: &HeaderMap) -> Option<(Duration, u32)> {
        let asked = Duration::from_millis(number(headers, DELAY)?);
        let delay = asked.min(self.max_delay.get());
        let share = percentage(headers, DELAY_PERCENTAGE, self.max_delay_percentage);
        (!delay.is_zero()).then_some((delay, share))
    }

    fn abort(&self, headers: &HeaderMap) -> Option<(Abort, u32)> {
        let status = number::<u16>(headers, ABORT).filter(|status| (200..600).contains(status));
        let status = status.and_then(|status| StatusCode::from_u16(status).ok());
        let abort = match status {
            Some(status) => Abort::Http(status),
            None => Abort::Grpc(number(headers, ABORT_GRPC)?),
        };
        let name = match abort {
            Abort::Grpc(_) if !headers.contains_key(ABORT_PERCENTAGE) => ABORT_GRPC_PERCENTAGE,
            _ => ABORT_PERCENTAGE,
        };
        self.aborts.then(|| (abort, percentage(headers, name, self.max_abort_percentage)))
    }

    fn throughput(&self, headers: &HeaderMap) -> Option<(Rate, u32)> {
        let rate = number::<u32>(headers, THROUGHPUT).filter(|rate| *rate > 0)?;
        let share = percentage(headers, THROUGHPUT_PERCENTAGE, self.max_throughput_percentage);
        Some((Rate::from_kilobytes(f64::from(rate) * 1.024), share))
    }
}

/// What a request is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Abort {
    Http(StatusCode),
    /// Any number: Envoy lets callers try those that gRPC does not know.
    Grpc(u32),
}

/// As Envoy words it.
const TEXT: &str = "fault filter abort";

impl Abort {
    fn answer(self, request: &Request) -> crate::http::Response {
        match self {
            Self::Http(status) => refusal(request.headers(), status, TEXT),
            Self::Grpc(code) if is_grpc(request.headers()) => grpc_answer(code, TEXT),
            Self::Grpc(code) => {
                let mut response = refusal(request.headers(), StatusCode::OK, TEXT);
                response.headers_mut().insert("grpc-status", code.into());
                response
            }
        }
    }
}

/// Whether the request is in that share, by a draw of its own for each kind.
fn drawn(cx: &Cx, what: &str, percentage: u32) -> bool {
    cx.draws(what).chance(f64::from(percentage) / 100.0)
}

/// A whole number that is not negative, if the header holds one.
fn number<T: FromStr>(headers: &HeaderMap, name: &str) -> Option<T> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

fn percentage(headers: &HeaderMap, name: &str, cap: u32) -> u32 {
    number(headers, name).map_or(cap, |asked: u32| asked.min(cap))
}
