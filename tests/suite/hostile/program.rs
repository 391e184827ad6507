//! The program on what is not its own, and what it leaves where others look.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rolecall::model::Role;
use tonic_health::ServingStatus;

use crate::support::{Child, Database, Mail, PASSWORD, Place, ok, rolecall};

/// All commands that open a database.
const COMMANDS: [&[&str]; 5] = [
    &["serve", "--grpc-listen", "127.0.0.1:0", "--mail-url", "file:mail"],
    &["serve", "--grpc-listen", "127.0.0.1:0", "--mail-url", "file:mail", "--no-migrate"],
    &["bootstrap", "--workspace", "Acme", "--owner", "owner@acme.example"],
    &["service-key", "create", "gateway", "--scope", "check-access"],
    &["migrate"],
];

fn is_refused(place: &Place, arguments: &[&str], says: &str) {
    let mut command = rolecall(arguments);
    command.env("ROLECALL_DATABASE_URL", place.url()).env("ROLECALL_LOG", "warn");
    is_one_line(&command.current_dir(place.folder()).output().unwrap(), says);
}

fn is_one_line(output: &std::process::Output, says: &str) {
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        (output.status.code(), output.stdout.as_slice(), error.lines().count()),
        (Some(1), &b""[..], 1),
        "{error}"
    );
    assert!(error.starts_with("rolecall: ") && error.contains(says), "{error}");
}

#[tokio::test]
async fn another_programs_database_is_refused_and_left_as_it_was() {
    let place = Place::empty();
    let file = place.file();
    std::fs::write(file, "").unwrap();
    let notes = Database::open(&place).await;
    notes.run("CREATE TABLE note (text TEXT)").await;
    notes.run("INSERT INTO note VALUES ('buy milk')").await;
    notes.close().await;
    let before = std::fs::read(file).unwrap();
    for command in COMMANDS {
        is_refused(&place, command, "not a Rolecall database");
        assert!(std::fs::read(file).unwrap() == before, "{command:?} changed the file");
    }
    let mut left: Vec<_> = std::fs::read_dir(place.folder()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.retain(|name| name != "mail");
    assert_eq!(left, ["rolecall.db"]);
}

#[tokio::test]
async fn a_schema_of_a_newer_version_is_refused_by_every_command() {
    let place = Place::empty();
    assert!(rolecall(&["migrate", "--database-url", &place.url()]).output().unwrap().status.success());
    let database = Database::open(&place).await;
    database.execute("INSERT INTO seaql_migrations VALUES ('m9999_later', 0)").await.unwrap();
    database.close().await;
    for command in COMMANDS {
        is_refused(&place, command, "newer version of Rolecall (it has m9999_later)");
    }
    is_refused(&place, &["migrate", "--check"], "newer version");
}

#[tokio::test]
async fn serving_writes_one_line_to_standard_output_and_mail_for_its_owners_eyes_only() {
    let place = Place::empty();
    let url = place.url();
    let bootstrap = rolecall(&[
        "bootstrap",
        "--database-url",
        &url,
        "--workspace",
        "Acme",
        "--owner",
        "owner@acme.example",
        "--json",
    ]);
    let printed = { bootstrap }.output().unwrap().stdout;
    let printed: serde_json::Value = serde_json::from_slice(&printed).unwrap();
    let child = Child::serve(&place, &[]);
    let server = child.with_token(None).await;
    let owner = ok(server.accept(printed["invitation_token"].as_str().unwrap(), "Olga", PASSWORD).await);
    let by = server.with(&owner.session_token);
    ok(by.create_invitation("gil@acme.example", Role::Agent).await);
    let mail = place.mail();
    while Mail::all_in(&mail).is_empty() {
        ok(by.get_session().await);
    }
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&mail), 0o700);
    for entry in std::fs::read_dir(&mail).unwrap() {
        assert_eq!(mode(&entry.unwrap().path()), 0o600);
    }
    drop((server, by));
    let ended = tokio::task::spawn_blocking(move || child.finish()).await.unwrap();
    assert_eq!(ended, (Some(0), String::new()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_fails_in_one_line_while_a_server_does_not_serve_or_is_none() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (reporter, service) = tonic_health::server::health_reporter();
    reporter.set_service_status("", ServingStatus::NotServing).await;
    let incoming = tonic::transport::server::TcpIncoming::from(listener);
    let serving = tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
    let ask = |address: String| {
        tokio::task::spawn_blocking(move || rolecall(&["health", "--grpc-listen", &address]).output().unwrap())
    };
    is_one_line(&ask(address.clone()).await.unwrap(), "is not serving");
    serving.abort();

    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = deaf.local_addr().unwrap().to_string();
    let hung_up = std::thread::spawn(move || drop(deaf.accept().unwrap()));
    is_one_line(&ask(address).await.unwrap(), "the server at 127.0.0.1:");
    hung_up.join().unwrap();
}
