//! The command line, used wrongly: one clear line, the right exit status, and no secret in it.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::{Child, Mode, Place, mode, rolecall};

/// Exit status, standard output and standard error of a command on this database.
fn run(place: &Place, arguments: &[&str]) -> (Option<i32>, String, String) {
    run_at(&place.url(), place.folder(), arguments)
}

fn run_at(url: &str, folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let mut command = rolecall(arguments);
    command.env("ROLECALL_DATABASE_URL", url).env("ROLECALL_LOG", "warn").current_dir(folder);
    let output = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn one_line(ran: &(Option<i32>, String, String), status: i32, says: &str) {
    let (code, out, err) = ran;
    assert_eq!((*code, out.as_str(), err.lines().count()), (Some(status), "", 1), "{err}");
    assert!(err.starts_with("rolecall: ") && err.contains(says), "{err}");
    assert!(!err.contains("hunter2"), "{err}");
}

#[test]
fn what_cannot_be_served_is_one_clear_line() {
    let (good, new) = (Place::empty(), Place::empty());
    let at = |name: &str| good.folder().join(name);
    std::fs::write(at("garbage.db"), [b'x'; 8_192]).unwrap();
    std::fs::create_dir(at("folder.db")).unwrap();
    std::fs::write(at("file"), "").unwrap();
    let serve =
        |more: &[&'static str]| [&["serve", "--grpc-listen", "127.0.0.1:0", "--mail-url", "file:m"], more].concat();
    let bad = |url: &str| run_at(url, good.folder(), &serve(&[]));
    one_line(&bad("sqlite://garbage.db"), 1, "cannot be opened");
    one_line(&bad("sqlite://folder.db"), 1, "cannot be opened");
    one_line(&bad("postgres://user:hunter2@127.0.0.1:1/none"), 1, "database");
    one_line(&bad("postgres://user:hunter2@127.0.0.1:1/none?hunter2=2"), 2, "--database-url");
    one_line(&run(&new, &serve(&["--no-migrate"])), 1, "schema is old");
    let mail = |url: &str| run(&good, &["serve", "--grpc-listen", "127.0.0.1:0", "--mail-url", url]);
    one_line(&mail("smtp://user:hunter2@host:port"), 2, "--mail-url");
    one_line(&mail("http://user:hunter2@host"), 2, "--mail-url");
    one_line(&mail(&format!("file:{}/mail", at("file").display())), 1, "--mail-url");
    one_line(&run(&good, &serve(&["--setup-url", "https://a.example/s"])), 2, "--setup-url");
    one_line(&run(&good, &["serve", "--grpc-listen", "0.0.0.0:0"]), 2, "--grpc-listen");
    let (code, _, err) = run(&good, &["serve", "--grpc-listen", "localhost:0"]);
    assert!(code == Some(2) && err.contains("such as 127.0.0.1:50051"), "{err}");
    one_line(&run(&good, &serve(&["--max-call-time", "99ms"])), 2, "--max-call-time");
    one_line(&run(&good, &serve(&["--max-calls-in-flight", "0"])), 2, "--max-calls-in-flight");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    one_line(&run(&good, &["serve", "--mail-url", "file:m", "--grpc-listen", &address]), 1, "--grpc-listen");
    let (code, _, err) = run(&good, &["serve", "--no-such-flag"]);
    assert_eq!(code, Some(2), "{err}");
    assert_eq!(run(&good, &["no-such-command"]).0, Some(2));
}

#[test]
fn a_service_key_is_printed_once_and_its_name_is_never_used_again() {
    let database = Place::empty();
    let create = ["service-key", "create", "--scope", "check-access", "gateway"];
    let (code, key, err) = run(&database, &create);
    assert_eq!(code, Some(0), "{err}");
    assert!(key.starts_with("rck_") && key.lines().count() == 1);
    one_line(&run(&database, &create), 1, "used");
    let several = ["--scope", "read-users,check-access", "--scope", "read-audit"];
    assert_eq!(run(&database, &[&["service-key", "create"], &several[..], &["several"]].concat()).0, Some(0));
    let (_, list, _) = run(&database, &["service-key", "list"]);
    assert!(list.contains("gateway\tgood\tcheck-access\t") && !list.contains("rck_"), "{list}");
    assert!(list.contains("several\tgood\tcheck-access,read-users,read-audit\t"), "{list}");
    assert_eq!(run(&database, &["service-key", "revoke", "gateway"]).0, Some(0));
    assert!(run(&database, &["service-key", "list"]).1.contains("gateway\trevoked\t"));
    one_line(&run(&database, &create), 1, "used");
    one_line(&run(&database, &["service-key", "revoke", "nobody"]), 1, "no service key");
    let workspace = "00000000-0000-7000-8000-000000000001";
    let bound = ["service-key", "create", "b", "--scope", "provision-workspaces", "--workspace", workspace];
    one_line(&run(&database, &bound), 2, "--scope");
}

#[test]
fn a_check_of_the_schema_changes_nothing_and_says_how_it_stands() {
    let database = Place::empty();
    let says = if mode() == Mode::Sqlite { "there is no database" } else { "schema is old" };
    one_line(&run(&database, &["migrate", "--check"]), 1, says);
    assert!(run(&database, &["migrate"]).1.starts_with("applied m0001_initial"));
    assert_eq!(run(&database, &["migrate"]).1, "the schema was up to date\n");
    assert_eq!(run(&database, &["migrate", "--check"]).0, Some(0));
}

#[test]
fn bootstrap_prints_one_line_of_json_and_does_nothing_when_the_workspace_is_there() {
    let database = Place::empty();
    let bootstrap = ["bootstrap", "--workspace", "Acme", "--owner", "owner@acme.example", "--json", "--if-absent"];
    let (code, out, err) = run(&database, &bootstrap);
    assert_eq!((code, out.lines().count()), (Some(0), 1), "{err}");
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    let keys: Vec<&String> = json.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["invitation_id", "invitation_token", "setup_url", "workspace_id"]);
    let token = json["invitation_token"].as_str().unwrap();
    assert!(token.starts_with("rci_") && json["setup_url"].as_str().unwrap().ends_with(token));
    let (code, out, _) = run(&database, &bootstrap);
    let again: serde_json::Value = serde_json::from_str(&out).unwrap();
    let nothing = serde_json::Value::Null;
    assert_eq!((code, &again["workspace_id"], &again["setup_url"]), (Some(0), &json["workspace_id"], &nothing));
    assert_eq!(again.as_object().unwrap().len(), 4);
    // Names need not be unique, and whoever did not mean that is told.
    let (code, out, err) = run(&database, &["bootstrap", "--workspace", "Acme", "--owner", "o@acme.example", "--json"]);
    assert_eq!((code, out.lines().count()), (Some(0), 1));
    assert!(err.contains(json["workspace_id"].as_str().unwrap()) && err.contains("has that name too"), "{err}");
    one_line(&run(&database, &["bootstrap", "--workspace", "", "--owner", "o@acme.example"]), 2, "--workspace");
    one_line(&run(&database, &["bootstrap", "--workspace", "A", "--owner", "none"]), 2, "--owner");
}

#[test]
fn workspaces_are_listed_with_what_other_commands_want_of_them() {
    let database = Place::empty();
    let found = |name: &str| {
        let (code, out, err) =
            run(&database, &["bootstrap", "--workspace", name, "--owner", "o@acme.example", "--json"]);
        assert_eq!(code, Some(0), "{err}");
        let json: serde_json::Value = serde_json::from_str(&out).unwrap();
        json["workspace_id"].as_str().unwrap().to_owned()
    };
    let [acme, umlaut] = ["Acme", "Bär\u{202f}& Co"].map(found);
    let (code, out, err) = run(&database, &["workspaces"]);
    assert_eq!(code, Some(0), "{err}");
    let lines: Vec<Vec<&str>> = out.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(lines[0], ["ID", "NAME", "OWNERS", "CREATED"]);
    let listed: Vec<_> = lines[1..].iter().map(|line| (line[0], line[1], line[2])).collect();
    assert_eq!(listed, [(acme.as_str(), "Acme", "0"), (&umlaut, "Bär\u{202f}& Co", "0")]);
    let (_, out, _) = run(&database, &["workspaces", "--name", "Acme"]);
    assert_eq!(out.lines().count(), 2);
    let (code, _, err) = run(&database, &["invite-owner", "--workspace", &acme, "--owner", "other@acme.example"]);
    assert_eq!(code, Some(0), "{err}");
}

#[test]
fn a_command_about_what_is_there_makes_no_database() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite://{}/typo/rolecall.db", folder.path().display());
    let workspace = "01990000-0000-7000-8000-000000000000";
    let commands: [&[&str]; 6] = [
        &["workspaces"],
        &["service-key", "list"],
        &["service-key", "revoke", "gateway"],
        &["invite-owner", "--workspace", workspace, "--owner", "o@acme.example"],
        &["service-key", "create", "gateway", "--scope", "check-access", "--workspace", workspace],
        &["migrate", "--check"],
    ];
    for command in commands {
        let output = rolecall(command).args(["--database-url", &url]).output().unwrap();
        let outcome = (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
            String::from_utf8(output.stderr).unwrap(),
        );
        one_line(&outcome, 1, "--database-url: there is no database");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // A database that a server has, but not ours, is left as it is.
    if mode() != Mode::Sqlite {
        let database = Place::empty();
        for _ in 0..2 {
            for command in commands {
                one_line(&run(&database, command), 1, "schema is old");
            }
        }
    }
}

#[test]
fn help_shows_no_secret_of_the_environment() {
    for command in ["serve", "bootstrap", "invite-owner", "workspaces", "migrate", "health", "demo"] {
        let mut help = rolecall(&[command, "--help"]);
        help.env("ROLECALL_MAIL_URL", "smtp://user:hunter2@host").env("ROLECALL_DATABASE_URL", "sqlite://hunter2");
        let output = help.output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success() && text.contains("Usage:") && !text.contains("hunter2"), "{command}: {text}");
    }
}

#[tokio::test]
async fn a_running_server_answers_health_and_stops_when_told() {
    let place = Place::empty();
    let child = Child::serve(&place, &[]);
    let health = |address: &str| rolecall(&["health", "--grpc-listen", address]).output().unwrap();
    let address = child.address.clone();
    let answer = health(&address);
    assert_eq!((answer.status.code(), answer.stdout.as_slice()), (Some(0), &b"serving\n"[..]));
    let by_name = health(&address.replace("127.0.0.1", "localhost"));
    assert_eq!((by_name.status.code(), by_name.stdout.as_slice()), (Some(0), &b"serving\n"[..]));
    for wrong in ["localhost", "local host:1", ":1", "localhost:http", "http://localhost:1"] {
        let answer = health(wrong);
        let text = String::from_utf8(answer.stderr).unwrap();
        assert!(answer.status.code() == Some(2) && text.contains("--grpc-listen"), "{wrong}: {text}");
    }
    assert_eq!(child.terminate(), Some(0));
    let answer = health(&address);
    assert_eq!(answer.status.code(), Some(1));
    assert_eq!(String::from_utf8(answer.stderr).unwrap().lines().count(), 1);
}

#[test]
fn a_running_server_keeps_its_files_private() {
    let place = Place::empty();
    let url = format!("sqlite://{}", place.folder().join("data/rolecall.db").display());
    let mail = format!("file:{}", place.mail().display());
    let serve = ["serve", "--database-url", &url, "--mail-url", &mail, "--grpc-listen", "127.0.0.1:0"];
    let child = Child::spawn(rolecall(&serve));
    let mode = |path: &str| std::fs::metadata(place.folder().join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode("data"), 0o700);
    for end in ["", "-wal", "-shm"] {
        assert_eq!(mode(&format!("data/rolecall.db{end}")), 0o600, "{end}");
    }
    assert_eq!(child.terminate(), Some(0));
}
