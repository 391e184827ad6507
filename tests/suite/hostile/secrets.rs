//! No token and no password leaves by the back door: the log, `Debug`, the database's files.

use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use prost::Message;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use serde_json::Value;
use v1::check_access_request::{Requirement, Subject};

use crate::support::{As, Child, Contract, Database, Mail, PASSWORD, Place, ok, refused, rolecall};

const WRONG: &str = "wrong plinth umbrella 19 quay";
const SHORT: &str = "shrt-Qz7";
const COMMON: &str = "passwordpassword";
const OWNERS_NEXT: &str = "copper lantern 31 meadow";
const GILS: &str = "marble canyon 58 thistle";
const GILS_NEXT: &str = "walnut ferry 93 parapet";
const PASSWORDS: [&str; 6] = [PASSWORD, WRONG, SHORT, OWNERS_NEXT, GILS, GILS_NEXT];
const PREFIXES: [&str; 5] = ["rcs_", "rci_", "rcp_", "rck_", "rcd_"];
/// 32 bytes in unpadded base64url.
const TOKEN_CHARS: usize = 43;

/// What a command of the operator prints where it belongs. What it logs is added to the log.
fn operator(url: &str, arguments: &[&str], log: &mut String) -> String {
    let mut command = rolecall(arguments);
    command.env("ROLECALL_DATABASE_URL", url).env("ROLECALL_LOG", "trace").env("ROLECALL_LOG_FORMAT", "json");
    let output = command.output().unwrap();
    log.push_str(&String::from_utf8(output.stderr).unwrap());
    assert!(output.status.success(), "{log}");
    String::from_utf8(output.stdout).unwrap()
}

/// The newest mail to an address that has a token of this kind in it.
async fn mailed(by: &As, folder: &Path, email: &str, prefix: &str) -> Mail {
    loop {
        ok(by.get_session().await);
        let fits = |mail: &Mail| mail.to == email && mail.text.contains(prefix);
        if let Some(mail) = Mail::all_in(folder).into_iter().rfind(fits) {
            return mail;
        }
    }
}

fn bent(token: &str) -> String {
    token[..token.len() - 1].to_owned()
}

/// The main job with everything that goes wrong in it. Answers the tokens that came up.
async fn play(server: &As, place: &Place, founding: &str, key: &str) -> Vec<String> {
    let mails = place.mail();
    let owner = ok(server.accept(founding, "Olga Owner", PASSWORD).await);
    let by = server.with(&owner.session_token);
    ok(by.create_invitation("gil@acme.example", Role::Manager).await);
    refused(by.create_invitation("gil@acme.example", Role::Manager).await);
    let link = mailed(&by, &mails, "gil@acme.example", "rci_").await.token();
    ok(server.preview(&link).await);
    refused(server.preview(&bent(&link)).await);
    for password in [SHORT, COMMON, "gil@acme.example"] {
        refused(server.accept(&link, "Gil", password).await);
    }
    let gil = ok(server.accept(&link, "Gil", GILS).await);
    refused(server.accept(&link, "Gil", WRONG).await);
    refused(by.create_invitation("gil@acme.example", Role::Agent).await);

    let signing_in = v1::SignInRequest {
        email: "owner@acme.example".into(),
        password: PASSWORD.into(),
        workspace_id: String::new(),
        device_token: owner.device_token.clone(),
    };
    let signed_in = ok(server.sessions().sign_in(signing_in).await);
    refused(server.sign_in("owner@acme.example", WRONG, "").await);
    refused(server.sign_in("nobody@acme.example", WRONG, "").await);
    let switched = ok(by.switch_to(&owner.session.unwrap().workspace_id).await);
    refused(by.reauthenticate(WRONG).await);
    ok(by.reauthenticate(PASSWORD).await);

    let change = |current: &str, new: &str| v1::ChangePasswordRequest {
        current_password: current.into(),
        new_password: new.into(),
    };
    refused(by.passwords().change_password(change(WRONG, OWNERS_NEXT)).await);
    refused(by.passwords().change_password(change(PASSWORD, SHORT)).await);
    ok(by.passwords().change_password(change(PASSWORD, OWNERS_NEXT)).await);
    let forgot = v1::RequestPasswordResetRequest { email: "gil@acme.example".into() };
    ok(server.passwords().request_password_reset(forgot).await);
    let reset_token = mailed(&by, &mails, "gil@acme.example", "rcp_").await.reset_token();
    let reset = |new: &str| v1::ResetPasswordRequest { reset_token: reset_token.clone(), new_password: new.into() };
    refused(server.passwords().reset_password(reset(SHORT)).await);
    let back = ok(server.passwords().reset_password(reset(GILS_NEXT)).await);
    refused(server.passwords().reset_password(reset(GILS_NEXT)).await);

    let check = |token: &str| v1::CheckAccessRequest {
        subject: Some(Subject::SessionToken(token.into())),
        requirement: Some(Requirement::Permission(1)),
    };
    let gateway = server.with(key);
    let checks = vec![check(&back.session_token), check(&gil.session_token), check(&bent(&back.session_token))];
    ok(gateway.access().check_access(checks[0].clone()).await);
    ok(gateway.access().batch_check_access(v1::BatchCheckAccessRequest { checks }).await);
    refused(by.access().check_access(check(&back.session_token)).await);
    for dead in [&gil.session_token, &bent(&back.session_token), &bent(key), &reset_token] {
        refused(server.with(dead).get_session().await);
    }
    refused(server.with(&gil.session_token).and("authorization", &format!("Bearer {key}")).get_session().await);
    let undecodable = [&[0x12, 0x7f][..], WRONG.as_bytes()].concat();
    server.call("/rolecall.v1.SessionService/SignIn", undecodable).await.unwrap_err();

    // Trouble of our own: a database that refuses, and mail that cannot be delivered.
    let database = Database::open(place).await;
    let sqlite = "CREATE TRIGGER broken BEFORE INSERT ON session BEGIN SELECT RAISE(ABORT, 'out of order'); END";
    let postgres = "CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'out of order'; END $$;
        CREATE TRIGGER broken BEFORE INSERT ON session EXECUTE FUNCTION broken()";
    database.run_either(sqlite, postgres).await;
    assert_eq!(refused(server.sign_in("owner@acme.example", OWNERS_NEXT, "").await).reason(), "INTERNAL");
    database.run_either("DROP TRIGGER broken", "DROP FUNCTION broken CASCADE").await;
    database.close().await;
    std::fs::remove_dir_all(&mails).unwrap();
    std::fs::write(&mails, "").unwrap();
    let lost = ok(by.create_invitation("lost@acme.example", Role::Agent).await).invitation.unwrap().invitation_id;
    while ok(by.get_invitation(&lost).await).invitation.unwrap().delivery.unwrap().last_error.is_empty() {}
    [
        founding.to_owned(),
        key.to_owned(),
        link,
        reset_token,
        owner.session_token,
        owner.device_token,
        gil.session_token,
        gil.device_token,
        signed_in.session_token,
        signed_in.device_token,
        switched.session_token,
        back.session_token,
        back.device_token,
    ]
    .into()
}

/// Where anything in these bytes looks like a token, or is one of these tokens or passwords.
fn leaks(bytes: &[u8], tokens: &[String]) -> Vec<String> {
    let holds = |needle: &[u8]| bytes.windows(needle.len()).any(|window| window == needle);
    let mut found: Vec<String> = PASSWORDS.iter().filter(|p| holds(p.as_bytes())).map(|p| (*p).to_owned()).collect();
    for token in tokens {
        // Without its prefix, and as the bytes that it stands for.
        let secret = &token[4..];
        if holds(secret.as_bytes()) || holds(&URL_SAFE_NO_PAD.decode(secret).unwrap()) {
            found.push(token.clone());
        }
    }
    for window in bytes.windows(4 + TOKEN_CHARS) {
        let (prefix, secret) = window.split_at(4);
        let is_token_char = |b: &u8| b.is_ascii_alphanumeric() || b"_-".contains(b);
        if PREFIXES.iter().any(|p| p.as_bytes() == prefix) && secret.iter().all(is_token_char) {
            found.push(String::from_utf8_lossy(window).into_owned());
        }
    }
    found
}

#[tokio::test]
async fn neither_the_most_talkative_log_nor_the_database_holds_a_token_or_a_password() {
    let place = Place::empty();
    let (url, log_file) = (place.url(), place.folder().join("log"));
    let mut log = String::new();
    let bootstrap = ["bootstrap", "--workspace", "Acme", "--owner", "owner@acme.example", "--json"];
    let printed: Value = serde_json::from_str(&operator(&url, &bootstrap, &mut log)).unwrap();
    let create = ["service-key", "create", "gateway", "--scope", "check-access"];
    let key = operator(&url, &create, &mut log).trim().to_owned();
    assert_eq!(
        leaks(operator(&url, &["service-key", "list"], &mut log).as_bytes(), std::slice::from_ref(&key)),
        [""; 0]
    );

    let mail = format!("file:{}", place.mail().display());
    let mut serve = rolecall(&["serve", "--database-url", &url, "--mail-url", &mail, "--grpc-listen", "127.0.0.1:0"]);
    serve.args(["--log", "trace", "--log-format", "json"]).stderr(std::fs::File::create(&log_file).unwrap());
    let child = Child::spawn(serve);
    let server = child.with_token(None).await;
    let tokens = play(&server, &place, printed["invitation_token"].as_str().unwrap(), &key).await;
    drop(server);
    assert_eq!(
        leaks(&Database::open(&place).await.bytes().await, &tokens),
        [""; 0],
        "in the database while it is served"
    );
    let (status, rest) = tokio::task::spawn_blocking(move || child.finish()).await.unwrap();
    assert_eq!(status, Some(0));
    log.push_str(&std::fs::read_to_string(&log_file).unwrap());

    assert_eq!(leaks(log.as_bytes(), &tokens), [""; 0], "in the log");
    assert_eq!(leaks(rest.as_bytes(), &tokens), [""; 0], "on standard output");
    assert_eq!(leaks(&Database::open(&place).await.bytes().await, &tokens), [""; 0], "in the database");
    for done in ["AcceptInvitation", "SignIn", "ResetPassword", "BatchCheckAccess", "out of order"] {
        assert!(log.contains(done), "the log says nothing of {done}");
    }
    for line in log.lines() {
        let json: Value = serde_json::from_str(line).unwrap();
        if ["ERROR", "WARN", "INFO"].contains(&json["level"].as_str().unwrap()) {
            assert!(!line.contains("@acme.example"), "an address: {line}");
        }
    }
}

fn shown<M: Message + Default + std::fmt::Debug>(wire: &[u8]) -> String {
    let message = M::decode(wire).unwrap();
    format!("{message:?} {message:#?}")
}

type Show = fn(&[u8]) -> String;

/// All messages with a password or a token in them.
const SECRETIVE: [(&str, Show); 11] = [
    ("AcceptInvitationRequest", shown::<v1::AcceptInvitationRequest>),
    ("AcceptInvitationResponse", shown::<v1::AcceptInvitationResponse>),
    ("ChangePasswordRequest", shown::<v1::ChangePasswordRequest>),
    ("CheckAccessRequest", shown::<v1::CheckAccessRequest>),
    ("PreviewInvitationRequest", shown::<v1::PreviewInvitationRequest>),
    ("ReauthenticateRequest", shown::<v1::ReauthenticateRequest>),
    ("ResetPasswordRequest", shown::<v1::ResetPasswordRequest>),
    ("ResetPasswordResponse", shown::<v1::ResetPasswordResponse>),
    ("SignInRequest", shown::<v1::SignInRequest>),
    ("SignInResponse", shown::<v1::SignInResponse>),
    ("SwitchWorkspaceResponse", shown::<v1::SwitchWorkspaceResponse>),
];

#[test]
fn no_message_shows_a_password_or_a_token_when_it_is_printed() {
    let contract = Contract::read();
    let is_secret =
        |name: &str| (name.ends_with("password") || name.ends_with("token")) && !name.contains("page_token");
    let mut found = Vec::new();
    for (message, fields) in &contract.messages {
        let secrets: Vec<_> = fields.iter().filter(|field| is_secret(&field.name)).collect();
        if secrets.is_empty() {
            continue;
        }
        found.push(message.as_str());
        let wire: Vec<u8> = secrets.iter().flat_map(|field| field.bytes(b"hunter2")).collect();
        let (_, show) =
            SECRETIVE.iter().find(|(name, _)| name == message).unwrap_or_else(|| panic!("{message} is new"));
        let shown = show(&wire);
        assert!(!shown.contains("hunter2"), "{shown}");
        assert_eq!(shown.matches("redacted").count(), 2 * secrets.len(), "{shown}");
        if message == "CheckAccessRequest" {
            let batch = contract.field("BatchCheckAccessRequest", "checks").bytes(&wire);
            assert!(!self::shown::<v1::BatchCheckAccessRequest>(&batch).contains("hunter2"));
        }
    }
    found.sort_unstable();
    assert_eq!(found, SECRETIVE.map(|(name, _)| name));
}
