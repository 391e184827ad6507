//! Known failures of such systems: what somebody else writes into an e-mail.

use mailparse::MailHeaderMap;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::transport::Endpoint;

use crate::support::{As, Dump, World, ok, refused};

/// Where a link leads by default.
const SETUP: &str = "http://127.0.0.1:8080/setup#token=rci_";
const RESET: &str = "http://127.0.0.1:8080/reset#token=rcp_";

#[tokio::test]
async fn a_link_is_built_from_the_configured_url_whatever_host_the_caller_names() {
    let world = World::start().await;
    let olga = world.workspace("Acme", "olga@acme.example").await;
    let endpoint = Endpoint::from_shared(format!("http://{}", world.address)).unwrap();
    // The authority of every request on this connection.
    let evil = endpoint.origin("http://evil.example".parse().unwrap()).connect().await.unwrap();
    let mut by = As::new(evil, Some(olga.token.clone()));
    for (key, value) in [
        ("host", "evil.example"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-server", "evil.example"),
        ("x-original-url", "https://evil.example/"),
        ("x-host", "evil.example"),
        ("forwarded", "host=evil.example;proto=https"),
        ("origin", "https://evil.example"),
        ("referer", "https://evil.example/"),
    ] {
        by = by.and(key, value);
    }
    ok(by.create_invitation("gil@acme.example", Role::Agent).await);
    let ask = v1::RequestPasswordResetRequest { email: olga.email.clone() };
    ok(by.passwords().request_password_reset(ask).await);
    world.deliver().await;
    for (to, link) in [("gil@acme.example", SETUP), (olga.email.as_str(), RESET)] {
        let mail = world.mail_to(to).pop().unwrap();
        for body in [&mail.text, &mail.html] {
            assert!(body.contains(link), "{body}");
            assert!(!body.contains("evil"), "{body}");
        }
    }
    world.stop().await;
}

#[tokio::test]
async fn an_address_of_two_recipients_is_none_and_mails_neither() {
    let world = World::start().await;
    let olga = world.workspace("Acme", "olga@acme.example").await;
    let by = world.by(&olga);
    let key = world.service_key("billing", &[rolecall::authz::ServiceScope::ProvisionWorkspaces], None).await;
    let database = world.outside().await;
    let before = Dump::of(&database).await;
    for two in [
        "gil@acme.example,eve@evil.example",
        "gil@acme.example, eve@evil.example",
        "gil@acme.example;eve@evil.example",
        "gil@acme.example eve@evil.example",
        "gil@acme.example\neve@evil.example",
        "gil@acme.example\r\nRCPT TO:<eve@evil.example>",
        "gil@acme.example\0eve@evil.example",
        "gil@acme.example%0aeve@evil.example",
        "gil@acme.example%2ceve@evil.example",
        "gil@acme.example@evil.example",
        "gil%acme.example@evil.example,x",
        "<gil@acme.example>,<eve@evil.example>",
        "Gil <gil@acme.example>",
        "friends:gil@acme.example,eve@evil.example;",
        "\"gil@acme.example,eve\"@evil.example",
        "(eve@evil.example)gil@acme.example",
        "@evil.example:gil@acme.example",
        "gil@acme.example\u{ff0c}eve@evil.example",
    ] {
        let create = v1::CreateWorkspaceRequest { name: "Two".into(), owner_email: two.into(), ..Default::default() };
        let ask = v1::RequestPasswordResetRequest { email: two.into() };
        for refused in [
            refused(by.create_invitation(two, Role::Agent).await),
            refused(world.with_token(&key).workspaces().create_workspace(create).await),
            refused(world.nobody().passwords().request_password_reset(ask).await),
            refused(world.nobody().sign_in(two, "x", "").await),
        ] {
            assert_eq!(refused.reason(), "FIELD_INVALID", "{two:?}");
        }
    }
    assert_eq!(Dump::of(&database).await.since(&before), Vec::<String>::new());
    world.deliver().await;
    assert_eq!(world.mails().len(), 0);
    world.stop().await;
}

/// The e-mails in the folder, byte for byte.
fn raw_mails(world: &World) -> Vec<Vec<u8>> {
    let files = std::fs::read_dir(world.mail_folder()).into_iter().flatten().map(|file| file.unwrap().path());
    files
        .filter(|path| path.extension().is_some_and(|it| it == "eml"))
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

fn header_names(raw: &[u8]) -> Vec<String> {
    mailparse::parse_mail(raw).unwrap().headers.iter().map(|header| header.get_key()).collect()
}

#[tokio::test]
async fn line_ends_and_nul_in_a_name_in_the_database_start_no_header_and_no_body() {
    let world = World::start().await;
    let olga = world.workspace("Acme", "olga@acme.example").await;
    world.invite(&olga, "plain@acme.example", Role::Agent).await;
    let plain = header_names(&raw_mails(&world)[0]);
    let database = world.outside().await;
    // PostgreSQL keeps no NUL.
    for (number, (sqlite, postgres)) in [
        ("char(13, 10)", "chr(13) || chr(10)"),
        ("char(10)", "chr(10)"),
        ("char(13)", "chr(13)"),
        ("char(13, 10, 13, 10)", "chr(13) || chr(10) || chr(13) || chr(10)"),
        ("char(0, 13, 10)", "chr(133)"),
        ("char(8232)", "chr(8232)"),
    ]
    .into_iter()
    .enumerate()
    {
        for (table, column) in [("membership", "display_name"), ("workspace", "name")] {
            let set =
                |breaks: &str| format!("UPDATE {table} SET {column} = 'Eve' || {breaks} || 'Bcc: eve@evil.example'");
            database.run_either(&set(sqlite), &set(postgres)).await;
        }
        let to = format!("guest{number}@acme.example");
        ok(world.by(&olga).create_invitation(&to, Role::Agent).await);
        world.deliver().await;
        let mails = raw_mails(&world);
        let raw =
            mails.iter().find(|raw| mailparse::parse_mail(raw).unwrap().headers.get_first_value("To").unwrap() == to);
        let raw = raw.unwrap_or_else(|| panic!("{sqlite}: no mail"));
        assert_eq!(header_names(raw), plain, "{sqlite}");
        assert!(!raw.contains(&0), "{sqlite}: a NUL");
        let text = String::from_utf8(raw.clone()).unwrap();
        assert!(text.lines().all(|line| !line.starts_with("Bcc:")), "{sqlite}: {text}");
        assert!(!text.replace("\r\n", "").contains(['\r', '\n']), "{sqlite}: half a line end");
        let subject = world.mail_to(&to).pop().unwrap().subject;
        assert_eq!(subject, "Eve Bcc: eve@evil.example invited you to Eve Bcc: eve@evil.example", "{sqlite}");
    }
    world.stop().await;
}

#[tokio::test]
async fn an_address_that_was_bent_in_the_database_is_not_written_to() {
    let world = World::start().await;
    let olga = world.workspace("Acme", "olga@acme.example").await;
    ok(world.by(&olga).create_invitation("gil@acme.example", Role::Agent).await);
    let ask = v1::RequestPasswordResetRequest { email: olga.email.clone() };
    ok(world.nobody().passwords().request_password_reset(ask).await);
    let database = world.outside().await;
    for (table, column) in
        [("invitation", "email"), ("outbox", "recipient"), ("user_account", "email"), ("membership", "email")]
    {
        let set =
            |breaks: &str| format!("UPDATE {table} SET {column} = {column} || {breaks} || 'Bcc: eve@evil.example'");
        database.run_either(&set("char(13, 10)"), &set("chr(13) || chr(10)")).await;
    }
    world.deliver().await;
    assert_eq!(raw_mails(&world), Vec::<Vec<u8>>::new());
    world.stop().await;
}
