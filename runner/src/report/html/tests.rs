//! The page: well-formed, self-contained, escaped, and its numbers are the record's.

use super::*;
use crate::judge::Verdict;
use crate::report::sample;

/// What stands between `open` and `close`, each time.
fn between<'a>(text: &'a str, open: &'a str, close: &'a str) -> impl Iterator<Item = &'a str> {
    text.split(open).skip(1).filter_map(move |rest| rest.split(close).next())
}

#[test]
fn every_number_is_the_records() {
    for record in [sample::off(), sample::on()] {
        let page = html(&record).unwrap();
        let json = serde_json::to_value(&record).unwrap();
        let mut seen = 0;
        for element in between(&page, "<data value=\"", "</data>") {
            let (value, rest) = element.split_once('"').unwrap();
            let Some(at) = between(rest, "data-at=\"", "\"").next() else { continue };
            let text = rest.split_once('>').unwrap().1;
            let stands = json.pointer(at).and_then(serde_json::Value::as_f64);
            assert_eq!(stands, Some(value.parse().unwrap()), "{at}");
            assert!(text.starts_with(|c: char| c.is_ascii_digit() || "&<>".contains(c)), "{at}: {text}");
            seen += 1;
        }
        assert!(seen > 100, "{seen}");
        // Every percentile of the phases that are shown is there.
        for (at, part) in record.parts.iter().enumerate() {
            let shown = page.contains(&format!("data-at=\"/parts/{at}/latency_ms/p99\""));
            assert_eq!(shown, part.phase != crate::judge::Phase::WarmUp, "{part:?}");
        }
    }
}

#[test]
fn what_people_wrote_stays_text() {
    let evil = "<script>alert('x')</script> & \"quoted\" --> ]]>";
    let mut record = sample::off();
    record.title = evil.into();
    record.hypothesis = evil.into();
    record.variant = Some(evil.into());
    record.command = evil.into();
    record.id = evil.into();
    record.faults[0].proxy = evil.into();
    record.faults[0].attributes.insert(evil.into(), evil.into());
    record.far_side[0].proxy = evil.into();
    record.judgement.reasons = vec![evil.into()];
    record.judgement.warnings = vec![evil.into()];
    record.endpoints[0].name = evil.into();
    record.load.codes.insert(evil.into(), 3);
    let values = record.slis.remove("replica_lag").unwrap();
    record.slis.insert(evil.into(), values);
    for hit in &mut record.judgement.blast_radius {
        hit.tenant = hit.tenant.as_ref().map(|_| evil.to_owned());
        hit.slo = evil.into();
    }
    record.judgement.objectives[0].slo = evil.into();
    let page = html(&record).unwrap();
    assert!(!page.contains("<script") && !page.contains("alert('x')"));
    assert!(page.matches("alert(").count() > 10);
    well_formed(&page);
}

#[test]
fn it_needs_nothing_from_elsewhere() {
    let page = html(&sample::off()).unwrap();
    for reference in ["src=", "@import", "url(http", "href=\"http", "<link rel=\"stylesheet", "<script"] {
        assert!(!page.contains(reference), "{reference}");
    }
    // Each picture's clips are its own.
    let mut ids: Vec<_> = between(&page, " id=\"", "\"").collect();
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count, "ids are unique: {ids:?}");
    well_formed(&page);
}

#[test]
fn every_verdict_has_its_page() {
    for verdict in [Verdict::Held, Verdict::Degraded, Verdict::Failed, Verdict::Aborted, Verdict::Invalid] {
        let mut record = sample::on();
        record.judgement.verdict = verdict;
        record.judgement.recovery = None;
        record.judgement.mttr_s = None;
        let page = html(&record).unwrap();
        assert!(page.contains(&format!("<div class=\"word\" id=\"verdict\">{}</div>", verdict.name())));
    }
}

/// A run that was stopped at once has next to nothing to show, and says so.
#[test]
fn a_run_without_anything_still_has_a_page() {
    let mut record = sample::off();
    record.phases = crate::judge::Phases::default();
    record.faults.clear();
    record.parts.clear();
    record.far_side.clear();
    record.slis.clear();
    record.endpoints.clear();
    record.timeline = crate::record::Timeline::default();
    record.heat_map = crate::record::HeatMap::default();
    record.judgement.objectives.clear();
    record.judgement.blast_radius.clear();
    record.judgement.verdict = Verdict::Aborted;
    let page = html(&record).unwrap();
    well_formed(&page);
    assert!(page.contains("Nothing: this run had no fault."));
    assert!(!page.contains("NaN") && !page.contains("inf"), "no number that is none");
}

/// Elements are closed in the order in which they were opened. The page is written so that a reader of
/// XML can say so, but for a few elements that HTML leaves open.
fn well_formed(page: &str) {
    use quick_xml::events::Event;
    const OPEN: [&[u8]; 2] = [b"meta", b"link"];
    let mut reader = quick_xml::Reader::from_str(page.trim_start_matches("<!doctype html>"));
    reader.config_mut().check_end_names = false;
    let mut open: Vec<Vec<u8>> = Vec::new();
    loop {
        match reader.read_event().unwrap() {
            Event::Start(element)
                if OPEN.contains(&element.name().as_ref()) || element.name().as_ref() == b"br" => {}
            Event::Start(element) => open.push(element.name().as_ref().to_vec()),
            Event::End(element) => {
                let expected = open.pop().unwrap_or_default();
                assert_eq!(
                    String::from_utf8_lossy(&expected),
                    String::from_utf8_lossy(element.name().as_ref())
                );
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(open, Vec::<Vec<u8>>::new());
}
