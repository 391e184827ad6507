//! Secrets of the operator, each unlike anything else, put through every path that they take and then searched for.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use serde_json::Value;
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint};

use crate::support::{As, Child, Database, PASSWORD, Place, ok, rolecall};
use crate::transport::certificates::Issuer;

const CANARY: &str = "canary-Zq8kettle";

/// All that a command says, at the most talkative, with this in its environment. It ends by itself.
fn said(arguments: &[&str], environment: &[(&str, &str)]) -> String {
    let mut command = rolecall(arguments);
    command.env("ROLECALL_LOG", "trace").envs(environment.iter().copied());
    let output = command.output().unwrap();
    assert!(!output.status.success(), "{arguments:?} with {environment:?}");
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}

#[test]
fn the_password_of_a_database_is_in_nothing_that_any_command_says_however_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let mail = format!("file:{}", folder.path().join("mail").display());
    let serve = ["serve", "--grpc-listen", "127.0.0.1:0", "--mail-url", &mail];
    let bootstrap = ["bootstrap", "--workspace", "Acme", "--owner", "olga@acme.example"];
    let commands: [&[&str]; 5] = [&serve, &bootstrap, &["migrate"], &["migrate", "--check"], &["service-key", "list"]];
    for url in [
        format!("postgres://rolecall:{CANARY}@127.0.0.1:1/rolecall"),
        format!("postgres://rolecall:{CANARY}%40%2F@127.0.0.1:1/rolecall?sslmode=disable"),
        format!("postgres://rolecall@127.0.0.1:1/rolecall?password={CANARY}"),
        format!("postgres://rolecall:{CANARY}@127.0.0.1:1/rolecall?sslmode=nonsense"),
        format!("postgres://rolecall:{CANARY}@127.0.0.1:port/rolecall"),
        format!("postgres://rolecall:{CANARY}/@127.0.0.1:1/rolecall"),
        format!("postgres://rolecall:{CANARY}%zz@127.0.0.1:1/rolecall"),
        format!("postgresql://{CANARY}"),
        format!("mysql://rolecall:{CANARY}@127.0.0.1/rolecall"),
        format!("rolecall:{CANARY}@127.0.0.1"),
    ] {
        for command in commands {
            let said = said(command, &[("ROLECALL_DATABASE_URL", &url)]);
            assert!(!said.contains(CANARY), "{command:?} with {url} said {said}");
            assert!(!said.is_empty());
        }
    }
    for url in [
        format!("smtp://rolecall:{CANARY}@127.0.0.1:port"),
        format!("smtp://rolecall:{CANARY}/@127.0.0.1:1"),
        format!("smtp://rolecall:{CANARY}%zz@127.0.0.1:1"),
        format!("smtps://rolecall:{CANARY}@"),
        format!("smtps://rolecall:{CANARY}@127.0.0.1?{CANARY}"),
        format!("imap://rolecall:{CANARY}@127.0.0.1"),
    ] {
        let database = format!("sqlite://{}", folder.path().join("test.db").display());
        let environment = [("ROLECALL_MAIL_URL", url.as_str()), ("ROLECALL_DATABASE_URL", &database)];
        let said = said(&serve[..3], &environment);
        assert!(!said.contains(CANARY), "{url}: {said}");
    }
}

#[test]
fn a_line_of_the_password_file_that_cannot_be_read_is_not_repeated() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pgpass");
    std::fs::write(&file, format!("127.0.0.1:1:{CANARY}\n")).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
    let url = "postgres://rolecall@127.0.0.1:1/rolecall";
    let environment = [("ROLECALL_DATABASE_URL", url), ("PGPASSFILE", file.to_str().unwrap())];
    let said = said(&["migrate"], &environment);
    assert!(!said.is_empty() && !said.contains(CANARY), "{said}");
}

/// A mail server that answers each line as it is told, and what it hears.
fn mail_server(answer: fn(&str) -> String) -> (u16, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (hears, heard) = channel();
    // It ends with the test's process, or when nobody listens to it any more.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            if converse(stream.unwrap(), answer, &hears).is_none() {
                return;
            }
        }
    });
    (port, heard)
}

/// One conversation. `None`: the test is over.
fn converse(mut stream: TcpStream, answer: fn(&str) -> String, hears: &Sender<String>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
    let _ = stream.write_all(b"220 ready\r\n");
    while let Some(Ok(line)) = lines.next() {
        let answer = answer(&line);
        hears.send(line).ok()?;
        let _ = stream.write_all(answer.as_bytes());
    }
    Some(())
}

/// Lets nobody in.
fn refuse_all(line: &str) -> String {
    match line.get(..4) {
        Some("EHLO") => "250-mail\r\n250 AUTH PLAIN LOGIN\r\n",
        Some("AUTH") => "535 5.7.8 no\r\n",
        Some("QUIT") => "221 bye\r\n",
        _ => "250 ok\r\n",
    }
    .to_owned()
}

/// Knows no recipient, and says which.
fn refuse_recipients(line: &str) -> String {
    match line.split_once("RCPT TO:") {
        Some((_, recipient)) => format!("550 5.1.1 {recipient} unknown\r\n"),
        None => "250 ok\r\n".to_owned(),
    }
}

#[tokio::test]
async fn neither_the_mail_servers_password_nor_the_tls_key_is_in_the_log_the_database_or_an_answer() {
    let place = Place::empty();
    let url = place.url();
    let bootstrap =
        ["bootstrap", "--database-url", &url, "--workspace", "Acme", "--owner", "olga@acme.example", "--json"];
    let printed: Value = serde_json::from_slice(&rolecall(&bootstrap).output().unwrap().stdout).unwrap();
    let issuer = Issuer::new();
    let pair = issuer.issue("rolecall.example");
    pair.write(place.folder());
    let file = |name: &str| place.folder().join(name).display().to_string();
    let (port, heard) = mail_server(refuse_all);
    let mail = format!("smtp://rolecall:{CANARY}@127.0.0.1:{port}");
    let (cert, key, log) = (file("cert.pem"), file("key.pem"), file("log"));
    let mut command = rolecall(&["--log", "trace", "serve", "--database-url", &url, "--grpc-listen", "127.0.0.1:0"]);
    command.args(["--tls-cert", &cert, "--tls-key", &key]).env("ROLECALL_MAIL_URL", &mail);
    command.stderr(Stdio::from(std::fs::File::create(&log).unwrap()));
    let child = Child::spawn(command);

    let tls =
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(issuer.pem())).domain_name("rolecall.example");
    let endpoint = Endpoint::from_shared(format!("https://{}", child.address)).unwrap().tls_config(tls).unwrap();
    let server = As::new(endpoint.connect().await.unwrap(), None);
    let founding = printed["invitation_token"].as_str().unwrap();
    let by = server.with(&ok(server.accept(founding, "Olga", PASSWORD).await).session_token);
    let sent = ok(by.create_invitation("gil@acme.example", Role::Agent).await).invitation.unwrap().invitation_id;
    let delivery = loop {
        let delivery = ok(by.get_invitation(&sent).await).invitation.unwrap().delivery.unwrap();
        if !delivery.last_error.is_empty() {
            break delivery;
        }
    };
    let events = by.events(&[]).await;
    let listed = ok(by.invitations().list_invitations(v1::ListInvitationsRequest::default()).await);
    drop((server, by, endpoint));
    let (status, rest) = tokio::task::spawn_blocking(move || child.finish()).await.unwrap();
    assert_eq!(status, Some(0));

    let heard: Vec<String> = heard.try_iter().collect();
    let password = STANDARD.encode(format!("\0rolecall\0{CANARY}"));
    assert!(heard.iter().any(|line| line.contains(&password)), "the password was never said: {heard:?}");
    let key_lines: Vec<&str> = pair.key.lines().filter(|line| !line.starts_with('-')).collect();
    assert!(!key_lines.is_empty());
    let log = std::fs::read_to_string(&log).unwrap();
    assert!(log.contains("TRACE") && log.contains("CreateInvitation"), "the log says little");
    let database = String::from_utf8_lossy(&Database::open(&place).await.bytes().await).into_owned();
    let answers = format!("{delivery:?} {events:?} {listed:?}");
    for (what, text) in [("log", &log), ("standard output", &rest), ("database", &database), ("answers", &answers)] {
        let (plain, alone) = (CANARY.to_owned(), STANDARD.encode(CANARY));
        for secret in key_lines.iter().copied().chain([plain.as_str(), &alone, &password]) {
            assert!(!text.contains(secret), "in the {what}");
        }
    }
    for internal in ["127.0.0.1", "key.pem", "/tmp", "smtp"] {
        assert!(!answers.replace("client_address: \"127.0.0.1\"", "").contains(internal), "{internal}: {answers}");
    }
}

/// What was logged while people were invited, mailed in vain, took the wrong password and asked for resets.
async fn log_of_people(level: &str) -> String {
    let place = Place::empty();
    let url = place.url();
    let bootstrap =
        ["bootstrap", "--database-url", &url, "--workspace", "Acme", "--owner", "olga@acme.example", "--json"];
    let printed: Value = serde_json::from_slice(&rolecall(&bootstrap).output().unwrap().stdout).unwrap();
    let (port, heard) = mail_server(refuse_recipients);
    let (mail, log) = (format!("smtp://127.0.0.1:{port}"), place.folder().join("log"));
    let mut command = rolecall(&["--log", level, "serve", "--database-url", &url, "--grpc-listen", "127.0.0.1:0"]);
    command.args(["--mail-url", &mail]).stderr(Stdio::from(std::fs::File::create(&log).unwrap()));
    let child = Child::spawn(command);

    let server = child.with_token(None).await;
    let founding = printed["invitation_token"].as_str().unwrap();
    let by = server.with(&ok(server.accept(founding, "Olga", PASSWORD).await).session_token);
    let sent = ok(by.create_invitation("gil@acme.example", Role::Agent).await).invitation.unwrap().invitation_id;
    let refused = async {
        while ok(by.get_invitation(&sent).await).invitation.unwrap().delivery.unwrap().last_error.is_empty() {}
    };
    tokio::time::timeout(Duration::from_secs(60), refused).await.expect("the e-mail was never refused");
    by.create_invitation("gil@acme.example", Role::Agent).await.unwrap_err();
    by.create_invitation("gil@acme.example, mia@acme.example", Role::Agent).await.unwrap_err();
    ok(by.cancel(&sent).await);
    server.accept(founding, "Olga", "a wrong password, surely").await.unwrap_err();
    for who in ["olga@acme.example", "gil@acme.example", "nobody@acme.example"] {
        server.sign_in(who, "a wrong password, surely", "").await.unwrap_err();
        ok(server.passwords().request_password_reset(v1::RequestPasswordResetRequest { email: who.to_owned() }).await);
    }
    drop((server, by));
    let status = tokio::task::spawn_blocking(move || child.terminate()).await.unwrap();
    assert_eq!(status, Some(0));
    assert!(heard.try_iter().any(|line| line.contains("gil@acme.example")), "nobody was written to");
    std::fs::read_to_string(&log).unwrap()
}

#[tokio::test]
async fn no_address_is_in_the_log_but_in_a_mail_servers_own_words_at_debug() {
    let named = |line: &&str| line.contains("acme.example");
    let log = log_of_people("info").await;
    assert!(log.contains("an e-mail was not sent") && log.contains("SignIn"), "the log says little: {log}");
    assert_eq!(log.lines().find(named), None);
    let log = log_of_people("trace").await;
    let lines: Vec<&str> = log.lines().filter(named).collect();
    assert!(!lines.is_empty());
    for line in lines {
        assert!(line.contains("why an e-mail was not sent") && line.contains("5.1.1"), "{line}");
    }
}
