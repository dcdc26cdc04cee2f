//! The history over real files.

use tempfile::TempDir;

use super::*;
use crate::report::sample;

fn empty() -> (TempDir, History) {
    let directory = tempfile::tempdir().unwrap();
    let history = History::open(directory.path()).unwrap();
    (directory, history)
}

fn named(id: &str, variant: &str) -> Record {
    let mut record = sample::off();
    record.id = id.into();
    record.variant = Some(variant.into());
    record
}

#[test]
fn what_was_appended_is_found() {
    let (directory, mut history) = empty();
    for (id, variant) in [("20261121-a1", "off"), ("20261121-b2", "on"), ("20261122-a1", "off")] {
        history.append(&named(id, variant)).unwrap();
    }
    let again = History::open(directory.path()).unwrap();
    assert_eq!(again.find("20261121-a1").unwrap(), named("20261121-a1", "off"));
    assert_eq!(again.find("last").unwrap().id, "20261122-a1");
    assert_eq!(again.find("20261122").unwrap().id, "20261122-a1");
    let title = sample::off().title;
    let latest = |variant| again.latest(&title, variant).unwrap().map(|run| run.id);
    assert_eq!(latest(Some("off")).as_deref(), Some("20261122-a1"));
    assert_eq!(latest(Some("on")).as_deref(), Some("20261121-b2"));
    assert_eq!(latest(None), None);
    let ids: Vec<_> = again.list(2).unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(ids, ["20261122-a1", "20261121-b2"]);
    assert_eq!(again.list(1).unwrap()[0].verdict(), Some(Verdict::Failed));
}

#[test]
fn what_names_no_run_or_several_is_told() {
    let (_directory, mut history) = empty();
    assert!(matches!(history.find("last"), Err(HistoryError::Unknown { .. })));
    for id in ["run-1", "run-12", "run-2"] {
        history.append(&named(id, "off")).unwrap();
    }
    assert_eq!(history.find("run-1").unwrap().id, "run-1", "a whole id, though another begins with it");
    let error = history.find("run-").unwrap_err().to_string();
    assert!(error.contains("run-2, run-12, run-1"), "{error}");
    for reference in ["", "x", "%", "run_1"] {
        assert!(history.find(reference).is_err(), "{reference}");
    }
    assert!(matches!(history.append(&named("run-1", "on")), Err(HistoryError::Twice { .. })));
}

#[test]
fn the_oldest_go() {
    let (_directory, mut history) = empty();
    for number in 0..7 {
        history.append_keeping(&named(&format!("run-{number}"), "off"), 3).unwrap();
    }
    let ids: Vec<_> = history.list(100).unwrap().into_iter().map(|run| run.id).collect();
    assert_eq!(ids, ["run-6", "run-5", "run-4"]);
    // A run that was removed makes room for no other's number.
    history.remove("run-6").unwrap();
    history.append_keeping(&named("run-7", "off"), 3).unwrap();
    assert_eq!(history.find("last").unwrap().id, "run-7");
    assert_eq!(history.list(100).unwrap().len(), 3);
}

#[test]
fn two_write_at_once() {
    let (directory, _) = empty();
    thread::scope(|scope| {
        for writer in 0..4 {
            let directory = directory.path();
            scope.spawn(move || {
                let mut history = History::open(directory).unwrap();
                for number in 0..5 {
                    history.append(&named(&format!("{writer}-{number}"), "off")).unwrap();
                }
            });
        }
    });
    assert_eq!(History::open(directory.path()).unwrap().list(100).unwrap().len(), 20);
}

#[test]
fn a_file_that_is_no_history_is_an_error_that_names_it() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE);
    std::fs::write(&file, "this is no database, but long enough to be looked at as one".repeat(100)).unwrap();
    let error = History::open(directory.path()).unwrap_err();
    assert!(matches!(error, HistoryError::Damaged { .. }), "{error:?}");
    assert!(error.to_string().contains(FILE) && error.to_string().contains("move it away"), "{error}");
}

#[test]
fn a_database_of_something_else_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join(FILE);
    let db = Connection::open(&file).unwrap();
    db.execute_batch(&format!("CREATE TABLE other (x); PRAGMA user_version = {};", schema::STEPS.len()))
        .unwrap();
    drop(db);
    let error = History::open(directory.path()).unwrap().list(1).unwrap_err();
    assert!(matches!(error, HistoryError::Damaged { .. }), "{error:?}");
}

#[test]
fn a_damaged_page_is_an_error() {
    let (directory, mut history) = empty();
    for number in 0..10 {
        history.append(&named(&format!("run-{number}"), "off")).unwrap();
    }
    drop(history);
    let file = directory.path().join(FILE);
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[4096..].fill(0xa5);
    std::fs::write(&file, bytes).unwrap();
    let error = History::open(directory.path()).and_then(|history| history.list(10)).unwrap_err();
    assert!(matches!(error, HistoryError::Damaged { .. }), "{error:?}");
}

#[test]
fn a_newer_file_is_refused() {
    let (directory, history) = empty();
    history.db.pragma_update(None, "user_version", 99).unwrap();
    drop(history);
    let error = History::open(directory.path()).unwrap_err();
    assert!(matches!(error, HistoryError::Newer { found: 99, .. }), "{error:?}");
}

#[test]
fn one_unreadable_record_does_not_hide_the_others() {
    let (_directory, mut history) = empty();
    history.append(&named("good", "off")).unwrap();
    history.append(&named("bad", "off")).unwrap();
    history.db.execute("UPDATE runs SET record = x'00112233' WHERE id = 'bad'", []).unwrap();
    let error = history.find("bad").unwrap_err().to_string();
    assert!(error.contains("run bad in") && error.contains("sabot history remove bad"), "{error}");
    assert_eq!(history.find("good").unwrap().id, "good");
    assert_eq!(history.remove("bad").unwrap().id, "bad");
}

#[test]
fn what_unpacks_to_too_much_is_refused() {
    let packed = pack(&sample::off()).unwrap();
    assert!(unpack(&packed, 1000).unwrap_err().to_string().contains("larger than 1000 bytes"));
    assert!(packed.len() < 40_000, "{} bytes: the docs say 20 KB", packed.len());
}

#[test]
fn many_may_make_it_at_once() {
    for _ in 0..20 {
        let folder = tempfile::tempdir().unwrap();
        let ready = std::sync::Barrier::new(8);
        thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    ready.wait();
                    History::open(folder.path()).unwrap();
                });
            }
        });
    }
}
