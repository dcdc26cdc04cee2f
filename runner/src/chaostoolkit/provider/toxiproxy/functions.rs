//! The functions and their arguments, by the names that `chaostoolkit-toxiproxy` 0.3 gives them.

use super::super::python::Function;

/// What a function does.
#[derive(Debug)]
pub(in crate::chaostoolkit::provider) enum Call {
    CreateProxy,
    ModifyProxy,
    Enable(bool),
    DeleteProxy,
    Reset,
    ProxyExist,
    ProxyAttribute,
    CreateToxic,
    /// A toxic of that kind, whose attributes are arguments of other names, some with what they are
    /// unless given.
    Toxic(&'static str, &'static [(&'static str, &'static str)]),
    DeleteToxic,
}

const PROXY: &str = "chaostoxi.proxy.actions";
const PROBES: &str = "chaostoxi.proxy.probes";
const TOXIC: &str = "chaostoxi.toxic.actions";

type F = Function<Call>;

const fn function(
    module: &'static str,
    name: &'static str,
    required: &'static [&'static str],
    optional: &'static [&'static str],
    call: Call,
) -> F {
    Function { module, name, required, optional, call }
}

/// All functions.
pub(in crate::chaostoolkit::provider) const FUNCTIONS: &[F] = &[
    function(
        PROXY,
        "create_proxy",
        &["proxy_name", "upstream_host", "upstream_port"],
        &["listen_host", "listen_port", "enabled"],
        Call::CreateProxy,
    ),
    function(
        PROXY,
        "modify_proxy",
        &["proxy_name"],
        &["listen_address", "upstream_address", "enabled"],
        Call::ModifyProxy,
    ),
    function(PROXY, "disable_proxy", &["proxy_name"], &[], Call::Enable(false)),
    function(PROXY, "enable_proxy", &["proxy_name"], &[], Call::Enable(true)),
    function(PROXY, "delete_proxy", &["proxy_name"], &[], Call::DeleteProxy),
    function(PROXY, "reset", &[], &[], Call::Reset),
    function(PROBES, "proxy_exist", &["proxy_name"], &[], Call::ProxyExist),
    function(PROBES, "get_proxy_attribute", &["proxy_name", "attribute"], &[], Call::ProxyAttribute),
    function(
        TOXIC,
        "create_toxic",
        &["for_proxy", "toxic_name", "toxic_type"],
        &["stream", "toxicity", "attributes"],
        Call::CreateToxic,
    ),
    function(
        TOXIC,
        "create_latency_toxic",
        &["for_proxy", "toxic_name", "latency"],
        &["jitter"],
        Call::Toxic("latency", &[("latency", "latency"), ("jitter", "jitter")]),
    ),
    function(
        TOXIC,
        "create_bandwith_degradation_toxic",
        &["for_proxy", "toxic_name", "rate"],
        &[],
        Call::Toxic("bandwidth", &[("rate", "rate")]),
    ),
    function(
        TOXIC,
        "create_slow_connection_close_toxic",
        &["for_proxy", "toxic_name", "delay"],
        &[],
        Call::Toxic("slow_close", &[("delay", "delay")]),
    ),
    function(
        TOXIC,
        "create_timeout_toxic",
        &["for_proxy", "toxic_name", "timeout"],
        &[],
        Call::Toxic("timeout", &[("timeout", "timeout")]),
    ),
    function(
        TOXIC,
        "create_slicer_toxic",
        &["for_proxy", "toxic_name", "average_size", "size_variation", "delay"],
        &[],
        Call::Toxic(
            "slicer",
            &[("average_size", "average_size"), ("size_variation", "size_variation"), ("delay", "delay")],
        ),
    ),
    function(
        TOXIC,
        "create_limiter_toxic",
        &["for_proxy", "toxic_name", "bytes_limit"],
        &[],
        Call::Toxic("limit_data", &[("bytes_limit", "bytes")]),
    ),
    function(TOXIC, "delete_toxic", &["for_proxy", "toxic_name"], &[], Call::DeleteToxic),
];
