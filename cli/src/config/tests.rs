use sabot_document::{Document, DocumentError};

use super::Config;

const JSON: &str = r#"[
  {"name": "web", "listen": "127.0.0.1:0", "upstream": "localhost:80", "enabled": true},
  {"name": "db", "upstream": "localhost:5432", "toxics": [
    {"type": "latency", "stream": "upstream", "toxicity": 0.5,
     "attributes": {"latency": "250us", "jitter": 1.5}, "when": {"first": 2}}
  ]}
]"#;

const YAML: &str = r"
# comments are allowed here
proxies:
  - name: web
    listen: 127.0.0.1:0
    upstream: localhost:80
    enabled: true
  - name: db
    upstream: localhost:5432
    toxics:
      - type: latency
        stream: upstream
        toxicity: 0.5
        attributes: {latency: 250us, jitter: 1.5}
        when:
          first: 2
";

const TOML: &str = r#"
[[proxies]]
name = "web"
listen = "127.0.0.1:0"
upstream = "localhost:80"

[[proxies]]
name = "db"
upstream = "localhost:5432"

[[proxies.toxics]]
type = "latency"
stream = "upstream"
toxicity = 0.5
attributes = { latency = "250us", jitter = 1.5 }
when = { first = 2 }
"#;

fn read(file: &str, text: &str) -> Result<Config, DocumentError> {
    Config::of(Document::parse(file.to_owned(), text.to_owned())?)
}

#[test]
fn a_cap_on_faults_is_read_and_its_name_suggested() {
    let text = |field: &str| {
        format!(r#"[{{"name": "web", "upstream": "localhost:80", "protocol": "http", "{field}": 7}}]"#)
    };
    assert_eq!(read("c.json", &text("max_active_faults")).unwrap().proxies[0].max_active_faults, Some(7));
    let error = read("c.json", &text("max_active_fault")).err().unwrap();
    assert!(error.to_string().contains("`max_active_faults`"), "{error}");
    let error = read("c.json", &text("host_rewrit")).err().unwrap();
    assert!(error.to_string().contains("`host_rewrite`"), "{error}");
}

#[test]
fn three_formats_mean_the_same() {
    let proxies = |file, text| {
        let config = read(file, text).unwrap_or_else(|error| panic!("{error}"));
        serde_json::to_value(&config.proxies).unwrap()
    };
    let json = proxies("c.json", JSON);
    assert_eq!(json[1]["toxics"][0]["attributes"]["latency"], 0.25);
    assert_eq!(json[1]["toxics"][0]["name"], "latency_upstream");
    assert_eq!(proxies("c.yaml", YAML), json);
    assert_eq!(proxies("c.toml", TOML), json);
    // Without an ending the text itself says what it is.
    for text in [JSON, YAML, TOML] {
        assert_eq!(proxies("mounted", text), json);
    }
}

#[test]
fn no_proxies_are_a_config_if_it_says_so() {
    for (file, text) in [
        ("c.json", "[]"),
        ("c.json", "{\"proxies\": []}"),
        ("c.yaml", "proxies: []"),
        ("c.toml", "proxies = []"),
    ] {
        assert!(read(file, text).unwrap_or_else(|error| panic!("{error}")).proxies.is_empty());
    }
    // What an editor leaves for a moment while it writes.
    for (file, text) in
        [("c.json", "{}"), ("c.yaml", ""), ("c.toml", ""), ("c.yaml", "proxies:"), ("c.yaml", "# later")]
    {
        assert!(
            read(file, text).err().unwrap().to_string().contains("proxies: is missing"),
            "{file}: {text:?}"
        );
    }
}

/// What is replaced in the file above, by what, and what is then said.
const WRONG: &[(&str, &str, &str)] = &[
    (
        "latency\": \"250us",
        "latncy\": \"250us",
        "c.json:5:21: proxies[1].toxics[0].attributes.latncy: unknown attribute of latency, did you mean `latency`?",
    ),
    (
        "{latency: 250us",
        "{latncy: 250us",
        "c.yaml:14:22: proxies[1].toxics[0].attributes.latncy: unknown attribute of latency, did you mean `latency`?",
    ),
    (
        "{ latency =",
        "{ latncy =",
        "c.toml:15:16: proxies[1].toxics[0].attributes.latncy: unknown attribute of latency, did you mean `latency`?",
    ),
    ("\"upstream\": \"localhost:5432\", \"tox", "\"tox", "c.json:3:3: proxies[1].upstream: is missing"),
    ("    upstream: localhost:5432\n", "", "c.yaml:8:5: proxies[1].upstream: is missing"),
    ("\"listen\"", "\"lisen\"", "c.json:2:19: proxies[0].lisen: unknown field, did you mean `listen`?"),
    ("upstream: localhost:80\n", "upstream: localhost\n", "c.yaml:6:15: proxies[0].upstream: "),
    ("listen = \"127.0.0.1:0\"", "listen = \"127.0.0.1:x\"", "c.toml:4:10: proxies[0].listen: "),
    (
        "toxicity: 0.5",
        "toxicity: 80",
        "c.yaml:13:19: proxies[1].toxics[0].toxicity: must lie between 0 and 1",
    ),
    (
        "toxicity = 0.5",
        "toxicity = 80",
        "c.toml:14:12: proxies[1].toxics[0].toxicity: must lie between 0 and 1",
    ),
    (
        "first: 2",
        "frist: 2",
        "c.yaml:16:11: proxies[1].toxics[0].when.frist: unknown field of `when`, did you mean `first`?",
    ),
    (
        "type = \"latency\"",
        "type = \"latecny\"",
        "c.toml:12:8: proxies[1].toxics[0].type: unknown type `latecny`, did you mean `latency`?",
    ),
    (
        "name = \"db\"",
        "name = \"web\"",
        "c.toml:8:8: proxies[1].name: `web` is the name of an earlier proxy too",
    ),
    (
        "upstream: localhost:80\n",
        "upstream: localhost:80\n    labels: {shard: 1}\n",
        "c.yaml:7:21: proxies[0].labels.shard: must be a string, not 1",
    ),
    ("proxies:", "proxys:", "c.yaml:3:1: proxys: unknown field of a config, did you mean `proxies`?"),
];

#[test]
fn errors_name_file_line_and_field() {
    for (from, to, said) in WRONG {
        let text = match &said[..6] {
            "c.json" => JSON,
            "c.yaml" => YAML,
            _ => TOML,
        };
        assert!(text.contains(from), "{from}");
        let error = read(&said[..6], &text.replacen(from, to, 1)).err().expect(said);
        let error = error.to_string();
        assert!(error == *said || (said.ends_with(": ") && error.starts_with(said)), "{error}\n{said}");
    }
}

#[test]
fn broken_syntax_has_a_place_too() {
    for (file, text, said) in [
        ("c.json", "[\n {\"name\": }\n]", "c.json:2:11: not JSON: expected value"),
        ("c.toml", "[[proxies]]\nname = \n", "c.toml:2:8: not TOML: "),
        ("c.yaml", "proxies:\n  - name: 'x\n", "c.yaml:"),
    ] {
        let error = read(file, text).err().expect(file).to_string();
        assert!(error.starts_with(said), "{error}");
    }
}

#[test]
fn the_excerpt_marks_the_place() {
    let error = read("c.yaml", &YAML.replace("frist", "first").replace("first", "frist")).err().unwrap();
    assert_eq!(error.excerpt().unwrap(), "   |\n16 |           frist: 2\n   |           ^");
}

/// Half a file, or one with a byte changed, is read or refused, never a panic.
#[test]
fn damaged_files_are_no_harm() {
    for (file, text) in [("c.json", JSON), ("c.yaml", YAML), ("c.toml", TOML)] {
        for at in (0..text.len()).filter(|at| text.is_char_boundary(*at)) {
            drop(read(file, &text[..at]));
            for with in ["\"", "{", "[", "\\", ":", "\n", "é"] {
                let damaged = format!("{}{with}{}", &text[..at], &text[at + 1..]);
                if let Err(error) = read(file, &damaged) {
                    drop((error.to_string(), error.excerpt()));
                }
            }
        }
    }
}
