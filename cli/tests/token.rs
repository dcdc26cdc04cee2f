//! Tokens by the command line: in the state directory, and beside a server that runs on it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on ends there")]

mod support;

use std::path::Path;

use sabot_injections::access::Access;
use sabot_injections::event::Event;
use sabot_injections::journal::{Filter, Journal};
use serde_json::Value;
use support::{Server, sabot};

/// What `sabot token …` on a state directory says: stdout, stderr.
fn token(directory: &Path, args: &[&str]) -> (String, String) {
    let directory = directory.to_str().unwrap();
    let mut command = sabot();
    let run = command.args([&["token"], args, &["--state-dir", directory]].concat()).env("USER", "ann");
    let output = run.assert().success().get_output().clone();
    (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn list(directory: &Path) -> Value {
    serde_json::from_str(&token(directory, &["list", "--output=json"]).0).unwrap()
}

#[test]
fn a_token_is_made_listed_and_revoked_without_a_server() {
    let folder = tempfile::tempdir().unwrap();
    let args =
        ["create", "--owner=bob@example.com", "--role=operator", "--scope=team=payments", "--expires-in=30d"];
    let (secret, told) = token(folder.path(), &args);
    // Alone on stdout, so that a script reads it.
    let secret = secret.strip_suffix('\n').unwrap();
    assert!(secret.starts_with("sabot_") && secret.len() == 49 && !secret.contains('\n'), "{secret}");
    assert!(
        told.starts_with("created tok-")
            && told.contains("operator of bob@example.com, team=payments, until 2")
    );
    assert!(!told.contains(&secret[6..]));
    assert!(told.ends_with(&format!("--state-dir {}\n", folder.path().display())), "{told}");

    let found = Access::open(folder.path()).unwrap().look_up(secret).unwrap().unwrap();
    let days = (found.expires_at_ms.unwrap() - found.created_at_ms) / 86_400_000;
    assert_eq!((found.owner.as_str(), days), ("bob@example.com", 30));
    let all = list(folder.path());
    assert_eq!(
        (&all["tokens"][0]["id"], &all["tokens"][0]["scope"]),
        (&Value::from(found.id.clone()), &"team=payments".into())
    );
    let table = token(folder.path(), &["ls"]).0;
    assert!(table.contains("OWNER") && table.contains(&found.id) && !table.contains(&secret[6..]), "{table}");

    assert_eq!(token(folder.path(), &["revoke", &found.id]).0, format!("revoked {}\n", found.id));
    assert_eq!(list(folder.path())["tokens"], serde_json::json!([]));
    let journal = Journal::open(Some(folder.path())).unwrap();
    assert_eq!(journal.verify().unwrap().events, 2);
    let events = journal.query(&Filter::default()).unwrap();
    assert!(events.iter().all(|stored| (&*stored.actor.who, &*stored.actor.from) == ("ann", "local")));
    assert_eq!(events[1].event, Event::TokenRevoked { id: found.id });
}

#[test]
fn mistakes_are_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    drop(Journal::open(Some(folder.path())).unwrap());
    assert!(token(folder.path(), &["list"]).0.contains("no tokens yet"));
    let directory = folder.path().to_str().unwrap();
    for (args, told) in [
        (&["create", "--owner=a", "--role=operater"][..], "did you mean `operator`"),
        (&["create", "--owner=a", "--role=viewer", "--scope=a b"], "is no term"),
        (&["create", "--owner=a", "--role=viewer", "--expires-in=30"], "such as 90m, 12h, 30d"),
        (&["create", "--owner=", "--role=viewer"], "say whose token it is"),
        (&["revoke", "tok-none"], "`sabot token list` shows those there are"),
        (&["revoke", "sabot_0000"], "give its id"),
    ] {
        let mut command = sabot();
        let assert = command.args([&["token"], args, &["--state-dir", directory]].concat()).assert().code(1);
        let stderr = String::from_utf8(assert.get_output().stderr.clone()).unwrap();
        assert!(stderr.contains(told), "{args:?}: {stderr}");
    }
    let nowhere = Path::new(directory).join("file");
    std::fs::write(&nowhere, "").unwrap();
    let run = sabot().args(["token", "list", "--state-dir", nowhere.to_str().unwrap()]).assert().code(1);
    let stderr = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("--state-dir"), "{stderr}");
}

#[test]
fn a_directory_that_was_mistyped_is_not_made() {
    let folder = tempfile::tempdir().unwrap();
    let typo = folder.path().join("typo");
    let deep = typo.join("state");
    let refused = |args: &[&str], directory: &Path| {
        let mut command = sabot();
        command.args([&["token"], args, &["--state-dir", directory.to_str().unwrap()]].concat());
        String::from_utf8(command.assert().code(1).stdout("").get_output().stderr.clone()).unwrap()
    };
    let create = ["create", "--owner=ann", "--role=viewer"];
    for (args, directory, told) in [
        (&["list"][..], &typo, "there is no journal in"),
        (&["revoke", "tok-none"], &typo, "there is no journal in"),
        (&create, &deep, "there is no directory"),
    ] {
        let said = refused(args, directory);
        assert!(said.contains(told) && said.contains("--state-dir"), "{args:?}: {said}");
        assert!(!typo.exists(), "{args:?}");
    }
    assert!(refused(&["list"], folder.path()).contains("there is no journal in"));
    // Before the first start of the server there is none.
    assert!(token(&typo, &create).1.contains(typo.to_str().unwrap()));
    assert_eq!(list(&typo)["tokens"].as_array().unwrap().len(), 1);
}

#[test]
fn a_token_is_read_from_a_file_or_the_environment() {
    let server = Server::start(&[]);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    std::fs::write(&file, "sabot_x\n").unwrap();
    let path = file.to_str().unwrap();
    // A server that asks for none lets one pass.
    server.says(&["list", "--token-file", path]);
    server.says(&["--token-file", path, "list"]);
    server.sabot(&["list"]).env("SABOT_TOKEN", "sabot_x").assert().success();
    std::fs::write(&file, "\nsabot_x\n").unwrap();
    assert!(server.refuses(&["list", "--token-file", path]).contains("its first line is empty"));
    assert!(
        server.refuses(&["list", "--token-file", "nowhere"]).contains("failed to read the token in nowhere")
    );
    let run = server.sabot(&["list"]).env("SABOT_TOKEN", "sabot\u{7f}secret").assert().code(1);
    let stderr = String::from_utf8(run.get_output().stderr.clone()).unwrap();
    assert!(stderr.contains("no token has") && !stderr.contains("secret"), "{stderr}");
}

#[test]
fn two_processes_make_tokens_while_a_server_appends() {
    const EACH: usize = 8;
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&["--state-dir", folder.path().to_str().unwrap()]);
    std::thread::scope(|scope| {
        let makers = ["bob", "eve"].map(|owner| {
            let directory = folder.path();
            scope.spawn(move || {
                let owner = format!("--owner={owner}");
                let make = || token(directory, &["create", &owner, "--role=viewer"]).0;
                (0..EACH).map(|_| make()).collect::<Vec<_>>()
            })
        });
        // A reload of the config is an event of its own.
        for _ in 0..20 {
            server.signal("-HUP");
            std::thread::yield_now();
        }
        for maker in makers {
            assert_eq!(maker.join().unwrap().len(), EACH);
        }
    });
    server.stop();
    let journal = Journal::open(Some(folder.path())).unwrap();
    let verified = journal.verify().unwrap();
    let made = Filter { action: Some("token".to_owned()), ..Filter::default() };
    assert_eq!(journal.query(&made).unwrap().len(), 2 * EACH);
    assert!(verified.events > 2 * EACH as u64);
    assert_eq!(list(folder.path())["tokens"].as_array().unwrap().len(), 2 * EACH);
}
