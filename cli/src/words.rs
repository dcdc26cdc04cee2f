//! Quantities and toxics in words, as tables show them.

use sabot_client::{Direction, Proxy, Toxic};
use serde_json::{Map, Value};

/// `12.3 MB`, three digits at most.
pub(crate) fn bytes(count: f64) -> String {
    let mut value = count;
    for unit in ["B", "KB", "MB", "GB", "TB"] {
        if value < 999.5 || unit == "TB" {
            let digits = if unit == "B" || value >= 99.95 { 0 } else { 1 };
            return format!("{value:.digits$} {unit}");
        }
        value /= 1000.0;
    }
    String::new()
}

/// `850 ms`, `12.5 s`, `3 m 20 s`, `2 h 5 m`.
pub(crate) fn millis(ms: f64) -> String {
    let seconds = ms / 1000.0;
    match seconds {
        s if s < 1.0 => format!("{ms:.0} ms"),
        s if s < 60.0 => format!("{s:.1} s"),
        s if s < 3600.0 => format!("{} m {} s", s as u64 / 60, s as u64 % 60),
        s => format!("{} h {} m", s as u64 / 3600, s as u64 % 3600 / 60),
    }
}

/// `08:07:15.491`, in UTC like the logs.
pub(crate) fn time_of_day(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1000 % 86_400, unix_ms % 1000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// `1 proxy`, `2 proxies`.
pub(crate) fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

pub(crate) fn state(enabled: bool) -> &'static str {
    if enabled { "enabled" } else { "disabled" }
}

/// `http`, `tcp + tls`; none for plain TCP.
pub(crate) fn protocol(proxy: &Proxy) -> Option<String> {
    match (proxy.protocol.as_str(), proxy.tls.is_some()) {
        ("tcp", false) => None,
        (protocol, false) => Some(protocol.to_owned()),
        (protocol, true) => Some(format!("{protocol} + tls")),
    }
}

/// `↓ slow, ↑ cut`: what is on a proxy, with the way that it acts on.
pub(crate) fn toxic_names(proxy: &Proxy) -> String {
    let named = |toxic: &Toxic| {
        // One that an injection set is named after it.
        let owner = toxic.injection().filter(|id| !toxic.name.contains(id));
        let owner = owner.map(|id| format!(" (injection {id})")).unwrap_or_default();
        format!("{} {}{owner}", arrow(toxic.stream), toxic.name)
    };
    let names: Vec<_> = proxy.toxics.iter().map(named).collect();
    if names.is_empty() { "–".to_owned() } else { names.join(", ") }
}

/// `env=prod service=payments`.
pub(crate) fn labels(proxy: &Proxy) -> String {
    let labels: Vec<_> = proxy.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    if labels.is_empty() { "–".to_owned() } else { labels.join(" ") }
}

fn arrow(stream: Direction) -> &'static str {
    match stream {
        Direction::Upstream => "↑",
        Direction::Downstream => "↓",
    }
}

/// `latency=50ms jitter=5ms`: what differs from the kind's defaults, with units.
pub(crate) fn attributes(toxic: &Toxic) -> String {
    changed(toxic, &Map::new())
}

/// As [`attributes`], with those that were `given`, defaults or not.
pub(crate) fn changed(toxic: &Toxic, given: &Map<String, Value>) -> String {
    let loud = pairs(toxic, |name, value| {
        let property = property(toxic, name);
        given.contains_key(name) || !property.is_some_and(|property| is_default(&property["default"], value))
    });
    match (loud.is_empty(), toxic.attributes.is_empty()) {
        (true, true) => "–".to_owned(),
        (true, false) => "defaults".to_owned(),
        (false, _) => loud,
    }
}

/// As [`attributes`], of those that were `given` alone, defaults or not; empty if none was.
pub(crate) fn given(toxic: &Toxic, given: &Map<String, Value>) -> String {
    pairs(toxic, |name, _| given.contains_key(name))
}

fn pairs(toxic: &Toxic, shown: impl Fn(&str, &Value) -> bool) -> String {
    let pair = |(name, value): (&String, &Value)| {
        let unit = property(toxic, name).and_then(|property| property["x-unit"].as_str());
        format!("{name}={}", quantity(value, unit.unwrap_or_default()))
    };
    let pairs = toxic.attributes.iter().filter(|(name, value)| shown(name, value)).map(pair);
    pairs.collect::<Vec<_>>().join(" ")
}

fn property(toxic: &Toxic, name: &str) -> Option<&'static Value> {
    sabot_toxics::kind(&toxic.kind)?.schema()["properties"].get(name)
}

/// What a share of the toxic is a share of.
pub(crate) fn taken(toxic: &Toxic) -> &'static str {
    let http = sabot_toxics::kind(&toxic.kind).is_some_and(|kind| kind.phase == sabot_toxics::Phase::Http);
    if http { "requests" } else { "connections" }
}

fn is_default(default: &Value, value: &Value) -> bool {
    match (default.as_f64(), value.as_f64()) {
        (Some(default), Some(value)) => default == value,
        _ => default == value,
    }
}

/// `first=10 duration=5000ms`, or `always`.
pub(crate) fn when(when: &Map<String, Value>) -> String {
    if when.is_empty() {
        return "always".to_owned();
    }
    let unit = |name: &str| match name {
        "start_after" | "duration" | "period" | "expires_after" => "ms",
        "after_bytes" => "B",
        _ => "",
    };
    let pair = |(name, value): (&String, &Value)| format!("{name}={}", quantity(value, unit(name)));
    when.iter().map(pair).collect::<Vec<_>>().join(" ")
}

/// A number with its unit, or the largest unit that keeps it whole; as the
/// options take it back.
fn quantity(value: &Value, unit: &str) -> String {
    let steps: &[(&str, f64)] = match unit {
        "ms" => &[("us", 1e-3), ("ms", 1.0), ("s", 1e3), ("m", 6e4), ("h", 3.6e6)],
        "us" => &[("us", 1.0), ("ms", 1e3), ("s", 1e6)],
        "KB/s" => &[("B/s", 1e-3), ("KB/s", 1.0), ("MB/s", 1e3), ("GB/s", 1e6)],
        "B" => &[("B", 1.0), ("KB", 1e3), ("KiB", 1024.0), ("MB", 1e6), ("MiB", 1_048_576.0)],
        _ => return scalar(value),
    };
    match value.as_f64() {
        None => scalar(value),
        Some(number) => {
            // Divisions by powers of ten are off by a bit, by less than this.
            let whole = |factor: f64| (number / factor - (number / factor).round()).abs() < 1e-9;
            let fits = |&&(_, factor): &&(&str, f64)| number >= factor && whole(factor);
            match steps.iter().rev().find(fits) {
                Some((name, factor)) => format!("{}{name}", (number / factor).round()),
                None => format!("{}{unit}", scalar(value)),
            }
        }
    }
}

/// Text without quotes; anything else as JSON. What would command a terminal is shown as what it is.
pub(crate) fn scalar(value: &Value) -> String {
    match value {
        Value::String(text) => plain(text),
        // 0.0 reads as 0.
        Value::Number(number) => {
            number.as_f64().map_or_else(|| number.to_string(), |value| value.to_string())
        }
        Value::Array(list) => list.iter().map(scalar).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

/// Text from elsewhere, without what would command a terminal.
pub(crate) fn plain(text: &str) -> String {
    let shown =
        |char: char| if char.is_control() { char.escape_default().to_string() } else { char.to_string() };
    text.chars().map(shown).collect()
}

/// `100%`, `0.5%`.
pub(crate) fn share(share: f64) -> String {
    let percent = (share * 1e6).round() / 1e4;
    format!("{percent}%")
}

/// The TLS of a proxy: `terminate, originate insecure`.
pub(crate) fn tls(tls: &Map<String, Value>) -> String {
    let part = |(name, value): (&String, &Value)| {
        let fields = value.as_object().into_iter().flatten();
        let fields: Vec<_> = fields.map(|(key, value)| format!("{key}={}", scalar(value))).collect();
        if fields.is_empty() { name.clone() } else { format!("{name} ({})", fields.join(", ")) }
    };
    tls.iter().map(part).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{bytes, labels, millis, quantity, share, time_of_day, toxic_names};

    #[test]
    fn a_proxy_in_a_row_of_a_table() {
        let proxy = |toxics: serde_json::Value, labels: serde_json::Value| {
            let proxy = json!({"name": "p", "listen": "", "upstream": "", "enabled": true,
                "toxics": toxics, "labels": labels});
            serde_json::from_value(proxy).unwrap()
        };
        let bare = proxy(json!([]), json!({}));
        assert_eq!((toxic_names(&bare).as_str(), labels(&bare).as_str()), ("–", "–"));
        let toxic = |stream: &str, owner: &str| {
            json!({"name": "slow", "type": "latency", "stream": stream, "toxicity": 1, "attributes": {},
                "owner": owner})
        };
        let both = json!([toxic("upstream", "toxic"), toxic("downstream", "injection 7f")]);
        let full = proxy(both, json!({"service": "pay", "env": ""}));
        assert_eq!(toxic_names(&full), "↑ slow, ↓ slow (injection 7f)");
        let mut named = toxic("downstream", "injection inj-7f");
        named["name"] = json!("inj-7f");
        assert_eq!(toxic_names(&proxy(json!([named]), json!({}))), "↓ inj-7f");
        assert_eq!(labels(&full), "env= service=pay");
    }

    #[test]
    fn settings_can_be_typed_back() {
        for (value, unit, text) in [
            (json!(0), "ms", "0ms"),
            (json!(0.25), "ms", "250us"),
            (json!(5000), "ms", "5s"),
            (json!(1500), "ms", "1500ms"),
            (json!(3_600_000), "ms", "1h"),
            (json!(0.000_5), "ms", "0.0005ms"),
            (json!(1000.0), "KB/s", "1MB/s"),
            (json!(65536), "B", "64KiB"),
            (json!(64000), "B", "64KB"),
            (json!(0.1), "", "0.1"),
            (json!("uniform"), "", "uniform"),
        ] {
            assert_eq!(quantity(&value, unit), text);
        }
    }

    #[test]
    fn moments_are_times_of_day() {
        assert_eq!(time_of_day(1_795_248_435_491), "08:07:15.491");
    }

    #[test]
    fn quantities_are_short() {
        for (count, text) in [
            (0.0, "0 B"),
            (999.0, "999 B"),
            (1000.0, "1.0 KB"),
            (123_456.0, "123 KB"),
            (9.99e8, "999 MB"),
            (9.996e8, "1.0 GB"),
        ] {
            assert_eq!(bytes(count), text);
        }
        for (ms, text) in
            [(12.0, "12 ms"), (1500.0, "1.5 s"), (200_000.0, "3 m 20 s"), (7_500_000.0, "2 h 5 m")]
        {
            assert_eq!(millis(ms), text);
        }
        assert_eq!((share(1.0), share(0.3), share(0.005)), ("100%".into(), "30%".into(), "0.5%".into()));
    }

    #[test]
    fn what_would_command_a_terminal_is_shown_as_what_it_is() {
        assert_eq!(super::scalar(&json!("\u{1b}[31mred\u{1b}]0;x\u{7}")), "\\u{1b}[31mred\\u{1b}]0;x\\u{7}");
        assert_eq!(super::scalar(&json!(["a\n", 1])), "a\\n,1");
    }
}
