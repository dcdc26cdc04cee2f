use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::clock::Moment;
use crate::journal::{FILE, Filter, Writer};

struct Told(AtomicU64);

impl Clock for Told {
    fn now(&self) -> Moment {
        Moment { wall_ms: self.0.load(Ordering::SeqCst), steady_ms: 0 }
    }

    fn boot(&self) -> String {
        "boot".to_owned()
    }
}

fn new(owner: &str, role: Role) -> NewToken {
    NewToken { owner: owner.to_owned(), role, scope: Selector::default(), expires_in: None }
}

const NOW: Moment = Moment { wall_ms: 1, steady_ms: 0 };

fn ann() -> Actor {
    Actor::new("ann", "local")
}

#[test]
fn a_token_is_worth_something_until_it_is_revoked_by_whomever() {
    let folder = tempfile::tempdir().unwrap();
    // As two processes have it: handles that share nothing but the file.
    let (server, other) = (Access::open(folder.path()).unwrap(), Access::open(folder.path()).unwrap());
    let scope: Selector = "team=payments".parse().unwrap();
    let wanted = NewToken { scope, ..new(" bob@example.com ", Role::Operator) };
    let (token, secret) = other.create(&ann(), wanted).unwrap();
    assert_eq!(
        (token.owner.as_str(), token.scope.to_string().as_str()),
        ("bob@example.com", "team=payments")
    );
    assert_eq!(server.look_up(secret.reveal()).unwrap().unwrap(), token);
    assert_eq!(server.tokens().unwrap(), std::slice::from_ref(&token));
    for wrong in ["", "sabot_", &secret.reveal()[1..], &format!("{} ", secret.reveal()), &token.id] {
        assert_eq!(server.look_up(wrong).unwrap(), Err(Worthless::Unknown), "{wrong}");
    }
    other.revoke(&ann(), &token.id).unwrap();
    assert_eq!(server.look_up(secret.reveal()).unwrap(), Err(Worthless::Unknown));
    assert!(
        matches!(server.revoke(&ann(), &token.id).unwrap_err(), AccessError::NotFound(id) if id == token.id)
    );
    assert_eq!(server.tokens().unwrap(), []);

    let journal = Journal::open(Some(folder.path())).unwrap();
    assert_eq!(journal.verify().unwrap().events, 2);
    let subject = Some(token.id.clone());
    let events = journal.query(&Filter { subject, ..Filter::default() }).unwrap();
    assert!(events.iter().all(|stored| stored.actor == ann()));
    let created = Event::TokenCreated {
        id: token.id.clone(),
        owner: "bob@example.com".to_owned(),
        role: "operator".to_owned(),
        scope: "team=payments".to_owned(),
        expires_at_ms: None,
    };
    let events: Vec<_> = events.into_iter().map(|stored| stored.event).collect();
    assert_eq!(events, [created, Event::TokenRevoked { id: token.id }]);
}

#[test]
fn it_expires_at_its_time_and_not_before() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(Told(AtomicU64::new(5000)));
    let access = Access::open_with(folder.path(), Arc::<Told>::clone(&clock) as Arc<dyn Clock>).unwrap();
    let wanted = NewToken { expires_in: Some(Duration::from_secs(1)), ..new("ann", Role::Viewer) };
    let (token, secret) = access.create(&ann(), wanted).unwrap();
    assert_eq!(token.expires_at_ms, Some(6000));
    clock.0.store(5999, Ordering::SeqCst);
    assert_eq!(access.look_up(secret.reveal()).unwrap(), Ok(token.clone()));
    clock.0.store(6000, Ordering::SeqCst);
    assert_eq!(access.look_up(secret.reveal()).unwrap(), Err(Worthless::Expired));
    assert!(access.expired(&token));
}

#[test]
fn what_no_token_can_be_is_refused_by_name_and_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let access = Access::open(folder.path()).unwrap();
    let expiring = |span| NewToken { expires_in: Some(span), ..new("ann", Role::Viewer) };
    for (wanted, field) in [
        (new(" ", Role::Viewer), "owner"),
        (new("a\nb", Role::Viewer), "owner"),
        (new("unknown", Role::Viewer), "owner"),
        (new(&"x".repeat(255), Role::Viewer), "owner"),
        (expiring(Duration::ZERO), "expires_in_seconds"),
        (expiring(Duration::MAX), "expires_in_seconds"),
    ] {
        match access.create(&ann(), wanted).unwrap_err() {
            AccessError::Invalid(invalid) => assert_eq!(invalid.field, field),
            other => panic!("{other}"),
        }
    }
    assert_eq!(access.tokens().unwrap(), []);
    assert_eq!(Journal::open(Some(folder.path())).unwrap().verify().unwrap().events, 0);
    let error = "operater".parse::<Role>().unwrap_err();
    assert!(error.message.contains("operator") && error.field == "role", "{error}");
}

#[test]
fn there_is_a_most() {
    let mut journal = Journal::open(None).unwrap();
    for number in 0..3_u8 {
        let token = Token {
            id: number.to_string(),
            owner: "ann".to_owned(),
            role: Role::Viewer,
            scope: Selector::default(),
            created_at_ms: 1,
            expires_at_ms: None,
        };
        let event = Event::TokenRevoked { id: token.id.clone() };
        let record = Record { at: NOW, actor: ann(), event };
        let added = journal.add_token(&token, &Hash([number; 32]), 2, &record).unwrap();
        assert_eq!(added, number < 2);
    }
    assert_eq!((journal.tokens().unwrap().len(), journal.verify().unwrap().events), (2, 2));
}

/// What a role may, as the docs have it.
#[test]
fn each_role_may_what_it_is_for() {
    use Need::{Administer, Approve, Operate, View};
    use role::Need;
    for (role, may) in [
        (Role::Viewer, &[View][..]),
        (Role::Operator, &[View, Operate]),
        (Role::Approver, &[View, Approve]),
        (Role::Admin, &[View, Operate, Approve, Administer]),
    ] {
        let all = [View, Operate, Approve, Administer];
        let found: Vec<_> = all.into_iter().filter(|need| role.may(*need)).collect();
        assert_eq!(found, may, "{role}");
        assert_eq!(role.as_str().parse::<Role>().unwrap(), role);
    }
}

#[test]
fn nothing_of_a_token_is_in_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let access = Access::open(folder.path()).unwrap();
    let (_, secret) = access.create(&ann(), new("ann", Role::Admin)).unwrap();
    let random = secret.reveal().strip_prefix("sabot_").unwrap().as_bytes();
    let mut files = 0;
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        files += usize::from(!bytes.is_empty());
        assert!(!bytes.windows(8).any(|part| random.windows(8).any(|piece| piece == part)));
    }
    assert!(files > 0 && folder.path().join(FILE).exists());
}

#[test]
fn tokens_are_created_while_a_server_appends_and_the_chain_holds() {
    let folder = tempfile::tempdir().unwrap();
    let (writer, _) = Journal::open(Some(folder.path())).unwrap().split().unwrap();
    let (writer, thread) = Writer::start(writer).unwrap();
    let others: Vec<_> = ["b", "c"]
        .map(|owner| {
            let access = Access::open(folder.path()).unwrap();
            std::thread::spawn(move || {
                for _ in 0..50 {
                    let (token, secret) = access.create(&ann(), new(owner, Role::Viewer)).unwrap();
                    assert_eq!(access.look_up(secret.reveal()).unwrap(), Ok(token));
                }
            })
        })
        .into();
    for number in 0..300 {
        let event = Event::Reloaded { outcome: number.to_string() };
        writer.after(vec![Record { at: NOW, actor: Actor::server(), event }]);
    }
    others.into_iter().for_each(|thread| thread.join().unwrap());
    drop(writer);
    thread.join().unwrap();
    let journal = Journal::open(Some(folder.path())).unwrap();
    assert_eq!(journal.verify().unwrap().events, 400);
    assert_eq!(journal.tokens().unwrap().len(), 100);
}
