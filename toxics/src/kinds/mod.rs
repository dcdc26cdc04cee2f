//! Every kind of toxic: one file here and one line in the list below.
//!
//! The list is all there is to register. The API's validation and schemas, the
//! CLI's help, the docs and the conformance suite derive from it.

use crate::catalog::Kind;

macro_rules! kinds {
    ($($phase:ident $module:ident::$toxic:ident,)*) => {
        $(mod $module;)*
        $(pub use $module::$toxic;)*

        /// Every kind, sorted by name.
        pub(crate) static LIST: [Kind; [$(stringify!($module)),*].len()] =
            [$(Kind::$phase::<$toxic>()),*];
    };
}

kinds! {
    connect accept_delay::AcceptDelay,
    stream bandwidth::Bandwidth,
    connect connect_delay::ConnectDelay,
    connect connect_timeout::ConnectTimeout,
    stream corrupt::Corrupt,
    http envoy_fault::EnvoyFault,
    stream half_open::HalfOpen,
    http header::HeaderToxic,
    http http_abort::HttpAbort,
    http http_body::HttpBody,
    http http_concurrency::HttpConcurrency,
    http http_delay::HttpDelay,
    http http_duplicate::HttpDuplicate,
    http http_goaway::HttpGoaway,
    http http_hang::HttpHang,
    http http_headers::HttpHeaders,
    http http_rate_limit::HttpRateLimit,
    http http_reset::HttpReset,
    http http_rewrite::HttpRewrite,
    http http_stale::HttpStale,
    http http_status::HttpStatus,
    http http_stream::HttpStream,
    http http_throttle::HttpThrottle,
    http http_truncate::HttpTruncate,
    stream latency::Latency,
    stream limit_data::LimitData,
    connect max_connections::MaxConnections,
    http modify_body::ModifyBody,
    connect no_upstream::NoUpstream,
    stream noop::Noop,
    stream packet_loss::PacketLoss,
    connect refuse::Refuse,
    stream reset_peer::ResetPeer,
    stream slicer::Slicer,
    stream slow_close::SlowClose,
    stream slow_read::SlowRead,
    stream stall::Stall,
    http status_code::StatusCodeToxic,
    stream timeout::Timeout,
    tls tls_alert::TlsAlert,
    tls tls_certificate::TlsCertificate,
    tls tls_delay::TlsDelay,
    tls tls_hang::TlsHang,
    tls tls_no_close_notify::TlsNoCloseNotify,
    tls tls_truncate::TlsTruncate,
    tls tls_version::TlsOneVersion,
    http websocket::Websocket,
}
