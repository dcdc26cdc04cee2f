use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::json;

use super::*;
use crate::clock::Moment;
use crate::event::Actor;
use crate::injection::Ending;

static TIME: AtomicU64 = AtomicU64::new(1000);

fn record(event: Event) -> Record {
    let at = Moment { wall_ms: TIME.fetch_add(1, Ordering::Relaxed), steady_ms: 0 };
    Record { at, actor: Actor::new("ann@example.com", "127.0.0.1"), event }
}

fn ended(id: &str) -> Record {
    let (id, reason) = (id.to_owned(), "its time was up".to_owned());
    record(Event::Ended { id, state: Ending::Completed, reason, breach: None })
}

fn changed(what: &str) -> Record {
    record(Event::Changed { what: what.to_owned(), status: 200, detail: json!({"a": 1}) })
}

fn filled(directory: Option<&Path>) -> Journal {
    let mut journal = Journal::open(directory).unwrap();
    journal.append(&[ended("a"), changed("POST /reset")]).unwrap();
    journal.append(&[ended("b")]).unwrap();
    journal
}

#[test]
fn what_was_appended_comes_back_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let records = [ended("a"), changed("POST /reset"), ended("b")];
    let head = {
        let mut journal = Journal::open(Some(folder.path())).unwrap();
        journal.append(&records).unwrap();
        journal.verify().unwrap().head
    };
    let journal = Journal::open(Some(folder.path())).unwrap();
    let mut came = Vec::new();
    let verified = journal.replay(|stored| came.push(stored)).unwrap();
    assert_eq!((verified.events, verified.last, &verified.head), (3, 3, &head));
    assert!(!verified.in_memory);
    assert_eq!(came.iter().map(|stored| stored.seq).collect::<Vec<_>>(), [1, 2, 3]);
    assert_eq!(came.last().unwrap().hash, head);
    let came: Vec<_> = came.into_iter().map(Stored::into_record).map(|it| (it.actor, it.event)).collect();
    assert_eq!(came, records.map(|it| (it.actor, it.event)));
}

#[test]
fn a_change_of_any_part_of_any_event_is_found() {
    for (change, seq, told) in [
        ("UPDATE events SET at_ms = at_ms + 1 WHERE seq = 2", 2, "follow"),
        ("UPDATE events SET who = 'eve' WHERE seq = 1", 1, "follow"),
        ("UPDATE events SET origin = '' WHERE seq = 3", 3, "follow"),
        ("UPDATE events SET body = replace(body, 'completed', 'aborted') WHERE seq = 1", 1, "follow"),
        ("UPDATE events SET hash = zeroblob(32) WHERE seq = 3", 3, "follow"),
        ("UPDATE events SET action = 'injection.started' WHERE seq = 1", 1, "filed"),
        ("UPDATE events SET subject = 'b' WHERE seq = 1", 1, "filed"),
        ("DELETE FROM events WHERE seq = 2", 3, "missing"),
        ("DELETE FROM events WHERE seq = 1", 2, "follow"),
    ] {
        let journal = filled(None);
        journal.db.execute(change, []).unwrap();
        match journal.verify().unwrap_err() {
            JournalError::Broken { seq: at, reason, .. } => {
                assert_eq!(at, seq, "{change}");
                assert!(reason.contains(told), "{change}: {reason}");
            }
            other => panic!("{change}: {other}"),
        }
    }
}

#[test]
fn events_are_found_by_what_is_known_of_them() {
    let journal = filled(None);
    let all = journal.query(&Filter::default()).unwrap();
    let seqs = |filter: Filter| journal.query(&filter).unwrap().iter().map(|it| it.seq).collect::<Vec<_>>();
    assert_eq!(seqs(Filter { since_ms: Some(all[1].at_ms), ..Filter::default() }), [2, 3]);
    assert_eq!(seqs(Filter { until_ms: Some(all[1].at_ms), ..Filter::default() }), [1]);
    assert_eq!(seqs(Filter { who: Some("ann@example.com".into()), ..Filter::default() }), [1, 2, 3]);
    assert_eq!(seqs(Filter { who: Some("ann".into()), ..Filter::default() }), [0; 0]);
    assert_eq!(seqs(Filter { action: Some("injection".into()), ..Filter::default() }), [1, 3]);
    assert_eq!(seqs(Filter { action: Some("injection.ended".into()), ..Filter::default() }), [1, 3]);
    assert_eq!(seqs(Filter { action: Some("inject".into()), ..Filter::default() }), [0; 0]);
    assert_eq!(seqs(Filter { subject: Some("b".into()), ..Filter::default() }), [3]);
    assert_eq!(seqs(Filter { most: Some(1), ..Filter::default() }), [3]);
    assert_eq!(seqs(Filter { after: Some(0), most: Some(2), ..Filter::default() }), [1, 2]);
    assert_eq!(seqs(Filter { after: Some(2), most: Some(2), ..Filter::default() }), [3]);
}

#[test]
fn in_memory_only_the_newest_are_kept_and_still_follow_from_each_other() {
    let mut journal = Journal::open(None).unwrap();
    let many: Vec<_> = (0..1000).map(|_| changed("POST /reset")).collect();
    for _ in 0..=KEPT_IN_MEMORY / 1000 {
        journal.append(&many).unwrap();
    }
    let verified = journal.verify().unwrap();
    assert_eq!((verified.events, verified.last), (KEPT_IN_MEMORY, KEPT_IN_MEMORY + 1000));
    assert!(verified.in_memory);
}

#[test]
fn what_is_no_journal_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    filled(Some(folder.path()));
    let file = folder.path().join(FILE);
    let whole = std::fs::read(&file).unwrap();
    let _ = std::fs::remove_file(folder.path().join(format!("{FILE}-wal")));
    let _ = std::fs::remove_file(folder.path().join(format!("{FILE}-shm")));
    for damaged in [b"not a database at all".to_vec(), whole[..whole.len() / 2].to_vec(), {
        let mut zeroed = whole.clone();
        zeroed[whole.len() / 2..].fill(0);
        zeroed
    }] {
        std::fs::write(&file, damaged).unwrap();
        let outcome = Journal::open(Some(folder.path())).and_then(|journal| journal.verify());
        assert!(outcome.is_err(), "{outcome:?}");
    }
}

/// As many pages as it has, and no more: what a disk that is full says, too.
fn fill_up(journal: &Journal, full: bool) {
    let pages: i64 = journal.db.query_row("PRAGMA page_count", [], |row| row.get(0)).unwrap();
    let most = if full { pages } else { 1 << 30 };
    journal.db.query_row(&format!("PRAGMA max_page_count = {most}"), [], |_| Ok(())).unwrap();
}

#[tokio::test]
async fn what_has_happened_is_written_when_there_is_space_again_and_what_may_not_happen_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(Some(folder.path())).unwrap();
    fill_up(&journal, true);
    let long = "x".repeat(20_000);
    let (writer, thread) = Writer::start(Arc::new(Mutex::new(journal))).unwrap();
    let error = writer.before(vec![ended("refused"), changed(&long)]).await.unwrap_err();
    assert!(error.to_string().contains("full"), "{error}");
    assert!(writer.trouble().is_some());
    writer.after(vec![ended("happened"), changed(&long)]);
    // It is asked for in the order in which it was handed in, so the former is settled now.
    assert!(writer.before(vec![changed(&long)]).await.is_err());
    drop(writer);
    thread.join().unwrap();

    let journal = Journal::open(Some(folder.path())).unwrap();
    assert_eq!(journal.query(&Filter::default()).unwrap(), []);
    let (writer, thread) = Writer::start(Arc::new(Mutex::new(journal))).unwrap();
    writer.before(vec![ended("now")]).await.unwrap();
    assert_eq!(writer.trouble(), None);
    drop(writer);
    thread.join().unwrap();
}

#[test]
fn many_threads_append_and_nothing_is_lost_or_out_of_order() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, thread) =
        Writer::start(Journal::open(Some(folder.path())).unwrap().split().unwrap().0).unwrap();
    let writer = Arc::new(writer);
    let threads: Vec<_> = (0..4)
        .map(|thread| {
            let writer = Arc::clone(&writer);
            thread::spawn(move || {
                for number in 0..200 {
                    writer.after(vec![ended(&format!("{thread}-{number}"))]);
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    drop(writer);
    thread.join().unwrap();
    let journal = Journal::open(Some(folder.path())).unwrap();
    assert_eq!(journal.verify().unwrap().events, 800);
    for thread in 0..4 {
        let all = journal.query(&Filter::default()).unwrap();
        let of_it = all.iter().filter_map(|it| it.event.subject()?.strip_prefix(&format!("{thread}-")));
        let numbers: Vec<u32> = of_it.map(|number| number.parse().unwrap()).collect();
        assert_eq!(numbers, (0..200).collect::<Vec<_>>());
    }
}

#[test]
fn a_journal_that_is_taken_away_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = filled(Some(folder.path()));
    let other = Connection::open(folder.path().join(FILE)).unwrap();
    for change in ["UPDATE events SET hash = zeroblob(32) WHERE seq = 3", "DELETE FROM events"] {
        other.execute(change, []).unwrap();
        let told = journal.append(&[ended("c")]).unwrap_err().to_string();
        assert!(told.contains("event 3") && told.contains("removed or changed"), "{change}: {told}");
    }

    let folder = tempfile::tempdir().unwrap();
    let mut journal = filled(Some(folder.path()));
    std::fs::remove_file(folder.path().join(FILE)).unwrap();
    let told = journal.append(&[ended("c")]).unwrap_err().to_string();
    assert!(told.contains("removed or replaced") && told.contains("put it back"), "{told}");
    // Nor is what nobody else finds intact.
    let told = journal.verify().unwrap_err().to_string();
    assert!(told.contains("removed or replaced") && told.contains("put it back"), "{told}");
    let other = filled(Some(folder.path()));
    assert!(journal.verify().is_err() && other.verify().is_ok());
}

#[test]
fn a_journal_that_was_cut_off_or_taken_away_is_noticed_the_next_time() {
    let remove = |folder: &Path| {
        for end in ["", "-wal", "-shm"] {
            let _ = std::fs::remove_file(folder.join(format!("{FILE}{end}")));
        }
    };
    let delete = |folder: &Path, which: &str| {
        let db = Connection::open(folder.join(FILE)).unwrap();
        db.execute(&format!("DELETE FROM events WHERE {which}"), []).unwrap();
    };
    // Whose events are others', and as whole as they were.
    let other = |folder: &Path| {
        remove(folder);
        let _ = std::fs::remove_file(folder.join(anchor::FILE));
        let kept = std::fs::read(folder.join("noted")).unwrap();
        drop(filled(Some(folder)));
        std::fs::write(folder.join(anchor::FILE), kept).unwrap();
    };
    let empty = |folder: &Path| {
        remove(folder);
        std::fs::write(folder.join(FILE), "").unwrap();
    };
    type Case<'a> = (&'a str, &'a dyn Fn(&Path), Option<(u64, &'a str)>);
    let cases: [Case<'_>; 7] = [
        ("nothing", &|_| {}, None),
        ("removed", &remove, Some((1, "there were 2 events"))),
        ("emptied", &empty, Some((1, "there were 2 events"))),
        ("all events gone", &|it| delete(it, "1"), Some((1, "there were 2 events"))),
        ("the end gone", &|it| delete(it, "seq > 1"), Some((2, "there were 2 events"))),
        // It was not noted yet.
        ("the newest gone", &|it| delete(it, "seq > 2"), None),
        ("replaced", &other, Some((2, "not the one"))),
    ];
    for (what, damage, expected) in cases {
        let folder = tempfile::tempdir().unwrap();
        drop(filled(Some(folder.path())));
        std::fs::copy(folder.path().join(anchor::FILE), folder.path().join("noted")).unwrap();
        damage(folder.path());
        let found = Journal::open(Some(folder.path())).unwrap().verify();
        match (found, expected) {
            (Ok(_), None) => {}
            (Err(JournalError::Broken { seq, reason, .. }), Some((at, told))) => {
                assert_eq!(seq, at, "{what}: {reason}");
                assert!(reason.contains(told), "{what}: {reason}");
            }
            (found, _) => panic!("{what}: {found:?}"),
        }
    }
    let folder = tempfile::tempdir().unwrap();
    filled(Some(folder.path()));
    std::fs::write(folder.path().join(anchor::FILE), "?").unwrap();
    let told = Journal::open(Some(folder.path())).unwrap().verify().unwrap_err().to_string();
    assert!(told.contains("journal.head cannot be read"), "{told}");
}

#[test]
fn the_last_event_of_a_server_is_noted() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = filled(Some(folder.path()));
    journal.append(&[record(Event::ServerStopped {})]).unwrap();
    assert_eq!(Anchor::read(&folder.path().join(FILE)).unwrap(), journal.last);
    assert_eq!(journal.last.unwrap().seq, 4);
}

#[test]
fn ends_are_never_given_up_however_many_changes_there_are() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(Some(folder.path())).unwrap();
    fill_up(&journal, true);
    let journal = Arc::new(Mutex::new(journal));
    let (writer, thread) = Writer::start(Arc::clone(&journal)).unwrap();
    let held = journal.lock().unwrap();
    // The thread waits for the journal, so the queue fills: it has room for half of these.
    for _ in 0..20_000 {
        writer.after(vec![changed("POST /reset")]);
    }
    writer.after(vec![ended("b"), changed("POST /reset")]);
    fill_up(&held, false);
    drop((held, writer));
    thread.join().unwrap();
    let found =
        journal.lock().unwrap().query(&Filter { subject: Some("b".into()), ..Filter::default() }).unwrap();
    assert_eq!(found.len(), 1);
}

#[test]
fn what_a_journal_wants_for_is_told_apart() {
    use rusqlite::ffi;
    let sqlite = |code| Cause::of(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
    for (code, expected) in [
        (ffi::SQLITE_FULL, Cause::Full),
        (ffi::SQLITE_READONLY_DIRECTORY, Cause::Forbidden),
        (ffi::SQLITE_CANTOPEN, Cause::Forbidden),
        (ffi::SQLITE_IOERR_SHMSIZE, Cause::System),
        (ffi::SQLITE_BUSY, Cause::System),
        (ffi::SQLITE_NOTADB, Cause::Damaged),
        (ffi::SQLITE_CORRUPT, Cause::Damaged),
        // Such as for a table that is missing.
        (ffi::SQLITE_ERROR, Cause::Damaged),
    ] {
        assert_eq!(sqlite(code), expected, "{code}");
    }
    for (kind, expected) in [
        (std::io::ErrorKind::StorageFull, Cause::Full),
        (std::io::ErrorKind::PermissionDenied, Cause::Forbidden),
        (std::io::ErrorKind::ReadOnlyFilesystem, Cause::Forbidden),
        (std::io::ErrorKind::InvalidData, Cause::Damaged),
        (std::io::ErrorKind::NotADirectory, Cause::System),
    ] {
        assert_eq!(Cause::of(&std::io::Error::from(kind)), expected, "{kind}");
    }
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
                    Journal::open(Some(folder.path())).unwrap();
                });
            }
        });
    }
}
