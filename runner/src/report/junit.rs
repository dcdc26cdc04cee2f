//! Runs as JUnit XML, which every CI knows how to show.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesStart, BytesText, Event};

use super::{ReportError, text, title};
use crate::record::Record;

type Xml = Writer<Vec<u8>>;

/// One test suite with a test case for each run, with the numbers as properties; a failure if `failures`
/// has a reason at its place.
///
/// # Errors
/// It could not be put together, which no record should be able to cause.
pub fn junit(records: &[Record], failures: &[Option<String>]) -> Result<String, ReportError> {
    let error = |error: std::io::Error| ReportError(error.to_string());
    let mut xml = Writer::new_with_indent(Vec::new(), b' ', 2);
    document(&mut xml, records, failures).map_err(error)?;
    let mut text = String::from_utf8(xml.into_inner()).map_err(|error| ReportError(error.to_string()))?;
    text.push('\n');
    Ok(text)
}

fn document(xml: &mut Xml, records: &[Record], failures: &[Option<String>]) -> std::io::Result<()> {
    let failed = failures.iter().flatten().count().to_string();
    let tests = records.len().to_string();
    let time = seconds(records.iter().map(|record| record.phases.end_s).sum());
    let counts = [("tests", tests.as_str()), ("failures", &failed), ("errors", "0"), ("time", &time)];
    xml.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    let suites = start("testsuites", &[("name", "sabot")], &counts);
    xml.write_event(Event::Start(suites.borrow()))?;
    let suite = start("testsuite", &[("name", "sabot experiments")], &counts);
    xml.write_event(Event::Start(suite.borrow()))?;
    for (at, record) in records.iter().enumerate() {
        case(xml, record, failures.get(at).and_then(Option::as_deref))?;
    }
    xml.write_event(Event::End(suite.to_end()))?;
    xml.write_event(Event::End(suites.to_end()))
}

fn case(xml: &mut Xml, record: &Record, failure: Option<&str>) -> std::io::Result<()> {
    let time = seconds(record.phases.end_s);
    let name = clean(&title(record));
    let case = start("testcase", &[("classname", "sabot"), ("name", &name), ("time", &time)], &[]);
    xml.write_event(Event::Start(case.borrow()))?;
    let properties = BytesStart::new("properties");
    xml.write_event(Event::Start(properties.borrow()))?;
    for (name, value) in numbers(record) {
        xml.write_event(Event::Empty(start("property", &[("name", &name), ("value", &clean(&value))], &[])))?;
    }
    xml.write_event(Event::End(properties.to_end()))?;
    let reasons = record.judgement.reasons.join("\n");
    let text = format!("{}\n\nAgain: {}", reasons, record.command);
    match failure {
        None => body(xml, "system-out", &[], &text)?,
        Some(failure) => {
            let first = record.judgement.reasons.first().map_or("", String::as_str);
            let message = clean(&format!("{}: {first}", failure.trim_end_matches('.')));
            let verdict = record.judgement.verdict.name();
            body(xml, "failure", &[("type", verdict), ("message", &message)], &text)?;
        }
    }
    xml.write_event(Event::End(case.to_end()))
}

/// Names with dots, values without units: for programs.
fn numbers(record: &Record) -> Vec<(String, String)> {
    let judgement = &record.judgement;
    let mut all = vec![
        ("id".to_owned(), record.id.clone()),
        ("verdict".to_owned(), judgement.verdict.name().to_owned()),
        ("seed".to_owned(), record.load.seed.to_string()),
    ];
    if let Some(recovery) = judgement.recovery {
        all.push(("recovery".to_owned(), text::recovery(recovery).to_owned()));
    }
    if let Some(mttr_s) = judgement.mttr_s {
        all.push(("mttr_s".to_owned(), mttr_s.to_string()));
    }
    for part in record.parts.iter().filter(|part| part.endpoint.is_none()) {
        let phase = part.phase.name();
        if let Some(latency) = part.latency_ms {
            for (name, value) in
                [("p50", latency.p50), ("p90", latency.p90), ("p99", latency.p99), ("p999", latency.p999)]
            {
                all.push((format!("{phase}.{name}_ms"), value.to_string()));
            }
        }
        all.push((format!("{phase}.error_rate"), part.error_rate.to_string()));
        all.push((format!("{phase}.offered_per_s"), part.offered_per_s.to_string()));
        all.push((format!("{phase}.effective_per_s"), part.effective_per_s.to_string()));
    }
    all
}

fn body(xml: &mut Xml, name: &str, attributes: &[(&str, &str)], text: &str) -> std::io::Result<()> {
    let element = start(name, attributes, &[]);
    xml.write_event(Event::Start(element.borrow()))?;
    xml.write_event(Event::Text(BytesText::new(&clean(text))))?;
    xml.write_event(Event::End(element.to_end()))
}

fn start<'a>(name: &'a str, attributes: &[(&str, &str)], more: &[(&str, &str)]) -> BytesStart<'a> {
    BytesStart::new(name).with_attributes(attributes.iter().chain(more).copied())
}

fn seconds(s: u64) -> String {
    format!("{s}.000")
}

/// XML has no place for control characters, not even escaped.
fn clean(text: &str) -> String {
    let fits = |letter: char| !letter.is_control() || matches!(letter, '\n' | '\t');
    text.chars()
        .map(
            |letter| {
                if fits(letter) && !matches!(letter, '\u{fffe}' | '\u{ffff}') { letter } else { '\u{fffd}' }
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::Verdict;
    use crate::report::sample;

    #[test]
    fn a_run_is_a_test_case_and_current() {
        let mut unexpected = sample::off();
        unexpected.expect = Some(Verdict::Held);
        sample::golden(
            "runs.xml",
            &junit(&[unexpected.clone(), sample::on()], &[crate::report::unexpected(&unexpected), None])
                .unwrap(),
        );
    }

    #[test]
    fn text_of_others_stays_text() {
        let mut record = sample::off();
        record.expect = None;
        record.title = "<b> & \"quotes\" \u{1}".into();
        record.judgement.reasons = vec!["</failure> ]]> & \u{0}".into()];
        let text = junit(&[record], &[Some("a reason".into())]).unwrap();
        assert!(
            text.contains("name=\"&lt;b&gt; &amp; &quot;quotes&quot; \u{fffd} (mitigations off)\""),
            "{text}"
        );
        let mut reader = quick_xml::Reader::from_str(&text);
        let mut depth = 0;
        loop {
            match reader.read_event().unwrap() {
                Event::Start(_) => depth += 1,
                Event::End(_) => depth -= 1,
                Event::Eof => break,
                _ => {}
            }
        }
        assert_eq!(depth, 0);
    }
}
