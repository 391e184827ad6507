//! Names and searches that mean something to a database, a browser or a mail program mean nothing here.

use mailparse::MailHeaderMap;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;

use crate::support::World;

const NAMES: [&str; 8] = [
    "'; DROP TABLE user_account; --",
    "Robert\"); DELETE FROM membership WHERE (\"1\"=\"1",
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "{{ 7*7 }} ${7*7} %s %n",
    "Bcc: eve@evil.example",
    "=?utf-8?q?Eve?= <eve@evil.example>",
    "O'Hara & S\u{f6}hne \u{1f469}\u{200d}\u{1f680} \\ \\0 \\n",
];

#[tokio::test]
async fn a_name_is_kept_literally_and_shapes_no_mail() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    world.invite(&owner, "plain@acme.example", Role::Agent).await;
    let headers = |raw: &[u8]| -> Vec<String> {
        mailparse::parse_mail(raw).unwrap().headers.iter().map(|header| header.get_key()).collect()
    };
    let folder = world.folder().join("mail");
    let mail_to = |to: &str| -> Vec<u8> {
        let files = std::fs::read_dir(&folder).unwrap().map(|file| std::fs::read(file.unwrap().path()).unwrap());
        let addressed =
            |raw: &Vec<u8>| mailparse::parse_mail(raw).unwrap().headers.get_first_value("To").unwrap() == to;
        files.into_iter().find(addressed).unwrap()
    };
    let plain = headers(&mail_to("plain@acme.example"));
    let by = world.by(&owner);
    for (index, name) in NAMES.into_iter().enumerate() {
        let profile = v1::UpdateProfileRequest { display_name: Some(name.into()) };
        let user = by.users().update_profile(profile).await.unwrap().into_inner().user.unwrap();
        assert_eq!(user.display_name, name);
        let workspace = v1::UpdateWorkspaceRequest { name: Some(name.into()) };
        by.workspaces().update_workspace(workspace).await.unwrap();
        let stored = by.workspaces().get_workspace(v1::GetWorkspaceRequest {}).await.unwrap().into_inner();
        assert_eq!(stored.workspace.unwrap().name, name);

        let to = format!("guest{index}@acme.example");
        world.invite(&owner, &to, Role::Agent).await;
        let raw = mail_to(&to);
        assert_eq!(headers(&raw), plain, "{name} has changed the headers");
        let mail = world.mail_to(&to).pop().unwrap();
        // What a mail program would decode as an encoded word is broken up.
        assert_eq!(mail.subject, format!("{name} invited you to {name}").replace("=?", "= ?"));
        for tag in ["<script", "<img", "onerror=alert(1)>"] {
            assert!(!mail.html.contains(tag), "{name}: {}", mail.html);
        }
        assert!(mail.text.contains(name), "{name}: {}", mail.text);
    }
    let list = by.users().list_users(v1::ListUsersRequest::default()).await.unwrap().into_inner();
    assert_eq!(list.users.len(), 1, "nobody has gone");
    world.stop().await;
}

#[tokio::test]
async fn a_search_is_for_the_very_characters() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    for (email, name) in [
        ("a@acme.example", "100% Ada"),
        ("b@acme.example", "100x Ada"),
        ("c_d@acme.example", "Under_score"),
        ("cxd@acme.example", "Back\\slash"),
        ("e@acme.example", "Quo'te"),
    ] {
        let token = world.invite(&owner, email, Role::Agent).await;
        world.accept(&token, name).await;
    }
    for (query, found) in [
        ("%", &["a@acme.example"][..]),
        ("100%", &["a@acme.example"]),
        ("_", &["c_d@acme.example"]),
        ("c_d", &["c_d@acme.example"]),
        ("\\", &["cxd@acme.example"]),
        ("'", &["e@acme.example"]),
        ("%%", &[]),
        ("\\%", &[]),
        ("' OR '1'='1", &[]),
        ("UNDER_", &["c_d@acme.example"]),
    ] {
        let request = v1::ListUsersRequest { query: query.into(), ..Default::default() };
        let users = world.by(&owner).users().list_users(request).await.unwrap().into_inner().users;
        let emails: Vec<&str> = users.iter().map(|user| user.email.as_str()).collect();
        assert_eq!(emails, found, "{query:?}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_homograph_is_somebody_else() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    // The second has a Cyrillic a, and shows it in its A-label.
    for (email, stored) in [
        ("ada@acme.example", "ada@acme.example"),
        ("ada@\u{430}cme.example", "ada@xn--cme-5cd.example"),
        ("ada+tag@acme.example", "ada+tag@acme.example"),
        ("ADA2@ACME.example", "ada2@acme.example"),
    ] {
        let request =
            v1::CreateInvitationRequest { email: email.into(), role: Role::Agent.number(), request_id: String::new() };
        let invitation = world.by(&owner).invitations().create_invitation(request).await.unwrap().into_inner();
        assert_eq!(invitation.invitation.unwrap().email, stored);
    }
    world.stop().await;
}
