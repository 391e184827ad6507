//! What must not be told apart, is not: byte for byte.

use prost::Message;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::Status;

use super::walk::bytes_of;
use crate::support::{As, Contract, Dump, PASSWORD, Refused, World};

async fn sign_in(world: &World, email: &str, password: &str, workspace_id: &str) -> Status {
    let request = v1::SignInRequest {
        email: email.into(),
        password: password.into(),
        workspace_id: workspace_id.into(),
        device_token: String::new(),
    };
    world.nobody().sessions().sign_in(request).await.unwrap_err()
}

#[tokio::test]
async fn a_failed_sign_in_does_not_tell_who_has_an_account() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gone = world.join(&owner, "gone@acme.example", Role::Agent).await;
    world.by(&owner).users().remove_user(v1::RemoveUserRequest { user_id: gone.user_id }).await.unwrap();
    world.invite(&owner, "invited@acme.example", Role::Agent).await;
    let database = world.outside().await;
    let before = Dump::of(&database).await;

    let wrong = sign_in(&world, "owner@acme.example", "not the password at all", "").await;
    assert_eq!(Refused::from_status(&wrong).reason(), "INVALID_CREDENTIALS");
    for (email, password) in [
        ("nobody@acme.example", PASSWORD),
        ("nobody@elsewhere.example", "x"),
        ("gone@acme.example", PASSWORD),
        ("gone@acme.example", "not the password at all"),
        ("invited@acme.example", PASSWORD),
    ] {
        for workspace in ["", owner.workspace_id.as_str(), "018f0000-0000-7000-8000-000000000001"] {
            let answer = sign_in(&world, email, password, workspace).await;
            assert_eq!(bytes_of(&answer), bytes_of(&wrong), "{email} in {workspace:?}");
        }
    }
    assert_eq!(Dump::of(&database).await.since(&before), Vec::<String>::new());
    world.stop().await;
}

#[tokio::test]
async fn not_being_a_member_does_not_tell_whether_the_workspace_exists() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let foreign = world.workspace("Other", "owner@other.example").await;
    let unknown = "018f0000-0000-7000-8000-000000000001";

    let to_foreign = sign_in(&world, &owner.email, PASSWORD, &foreign.workspace_id).await;
    let to_unknown = sign_in(&world, &owner.email, PASSWORD, unknown).await;
    assert_eq!(Refused::from_status(&to_foreign).reason(), "NOT_A_MEMBER");
    assert_eq!(bytes_of(&to_foreign), bytes_of(&to_unknown));

    let by = world.by(&owner);
    let switch = async |id: &str| {
        let request = v1::SwitchWorkspaceRequest { workspace_id: id.into() };
        by.sessions().switch_workspace(request).await.unwrap_err()
    };
    let (to_foreign, to_unknown) = (switch(&foreign.workspace_id).await, switch(unknown).await);
    assert_eq!(Refused::from_status(&to_foreign).reason(), "NOT_A_MEMBER");
    assert_eq!(bytes_of(&to_foreign), bytes_of(&to_unknown));
    world.stop().await;
}

/// Sends this value of `authorization` and answers the reason of the refusal.
async fn refused_with(world: &World, authorization: &str) -> String {
    let by = world.nobody().and("authorization", authorization);
    let status = by.sessions().get_session(v1::GetSessionRequest {}).await.unwrap_err();
    Refused::from_status(&status).reason
}

#[tokio::test]
async fn a_bent_credential_opens_nothing_and_says_only_what_kind_it_is() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let invitation = world.invite(&owner, "gil@acme.example", Role::Agent).await;
    let key = world.service_key("k", &[rolecall::authz::ServiceScope::ReadUsers], None).await;
    let (token, secret) = (owner.token.as_str(), &owner.token[4..]);
    let flipped = token.to_ascii_uppercase();
    for (authorization, reason) in [
        (String::new(), "CREDENTIAL_MISSING"),
        ("Bearer".to_owned(), "CREDENTIAL_MISSING"),
        (token.to_owned(), "CREDENTIAL_MISSING"),
        (format!("Basic {token}"), "CREDENTIAL_MISSING"),
        (format!("Bearer\t{token}"), "CREDENTIAL_MISSING"),
        ("Bearer x".to_owned(), "SESSION_ENDED"),
        (format!("Bearer {}", &token[..token.len() - 1]), "SESSION_ENDED"),
        (format!("Bearer {flipped}"), "SESSION_ENDED"),
        (format!("Bearer {token}="), "SESSION_ENDED"),
        (format!("Bearer  {token}"), "SESSION_ENDED"),
        (format!("Bearer {token} {token}"), "SESSION_ENDED"),
        (format!("Bearer {token},{token}"), "SESSION_ENDED"),
        (format!("Bearer {secret}"), "SESSION_ENDED"),
        (format!("Bearer rci_{secret}"), "SESSION_ENDED"),
        (format!("Bearer {invitation}"), "SESSION_ENDED"),
        (format!("Bearer rcs_{}", &invitation[4..]), "SESSION_ENDED"),
        (format!("Bearer rcs_{}", &key[4..]), "SESSION_ENDED"),
        (format!("Bearer rck_{secret}"), "SERVICE_KEY_INVALID"),
        (format!("Bearer {}", &key[..key.len() - 1]), "SERVICE_KEY_INVALID"),
        (format!("Bearer {}", "A".repeat(4_000)), "SESSION_ENDED"),
    ] {
        assert_eq!(refused_with(&world, &authorization).await, reason, "{authorization:.60}");
    }
    // The scheme's name is no secret, and has no case.
    let any_case = world.nobody().and("authorization", &format!("bEARER {token}"));
    any_case.sessions().get_session(v1::GetSessionRequest {}).await.unwrap();
    let twice = world.by(&owner).and("authorization", &format!("Bearer {token}"));
    let status = twice.sessions().get_session(v1::GetSessionRequest {}).await.unwrap_err();
    assert_eq!(Refused::from_status(&status).reason(), "SESSION_ENDED");
    world.stop().await;
}

/// The tokens of the second page of each list that `by` can call, one row a page.
async fn page_token(by: &As, contract: &Contract, service: &str, method: &str, more: &[u8]) -> String {
    let call = contract.method(service, method);
    let size = contract.field(&call.request, "page_size").number(1);
    let answer = by.raw(&call.path(), [&size[..], more].concat()).await.unwrap().into_inner();
    let number = contract.field(&format!("{method}Response"), "next_page_token").number;
    assert_eq!(number, 2, "where every list has it");
    v1::ListUsersResponse::decode(&*strip_rows(&answer)).unwrap().next_page_token
}

/// The answer without its rows, which are field 1 of every list.
fn strip_rows(answer: &[u8]) -> Vec<u8> {
    let mut rest = answer;
    while let Some((&0x0a, mut tail)) = rest.split_first() {
        let length = usize::try_from(prost::encoding::decode_varint(&mut tail).unwrap()).unwrap();
        rest = &tail[length..];
    }
    rest.to_vec()
}

#[tokio::test]
async fn a_page_token_goes_on_in_its_own_list_only() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    world.join(&owner, "gil@acme.example", Role::Agent).await;
    world.join(&owner, "max@acme.example", Role::Agent).await;
    for email in ["a@acme.example", "b@acme.example"] {
        world.invite(&owner, email, Role::Agent).await;
    }
    let again = world.sign_in(&owner.email).await;
    let other = world.workspace("Other", "owner@other.example").await;
    world.join(&other, "guest@other.example", Role::Agent).await;
    let contract = Contract::read();
    let roles = contract.field("ListUsersRequest", "roles").number(1);
    let lists = [
        ("UserService", "ListUsers", Vec::new()),
        ("UserService", "ListUsers", roles.clone()),
        ("UserService", "ListUsers", contract.field("ListUsersRequest", "query").bytes(b"acme")),
        ("UserService", "ListUsers", contract.field("ListUsersRequest", "include_removed").number(1)),
        ("InvitationService", "ListInvitations", Vec::new()),
        ("InvitationService", "ListInvitations", contract.field("ListInvitationsRequest", "states").number(1)),
        ("SessionService", "ListSessions", Vec::new()),
        ("AuditService", "ListAuditEvents", Vec::new()),
        (
            "AuditService",
            "ListAuditEvents",
            contract.field("ListAuditEventsRequest", "actor_user_id").bytes(owner.user_id.as_bytes()),
        ),
    ];
    let by = world.by(&again);
    let mut tokens = Vec::new();
    for (service, method, filter) in &lists {
        tokens.push(page_token(&by, &contract, service, method, filter).await);
    }
    tokens.push(page_token(&world.by(&other), &contract, "UserService", "ListUsers", b"").await);
    for (at, (service, method, filter)) in lists.iter().enumerate() {
        let call = contract.method(service, method);
        let field = contract.field(&call.request, "page_token");
        for (of, token) in tokens.iter().enumerate() {
            assert!(!token.is_empty(), "list {of} has one page only");
            let answer = by.raw(&call.path(), [&filter[..], &field.bytes(token.as_bytes())].concat()).await;
            match answer {
                Ok(_) => assert_eq!(of, at, "{method} took the token of list {of}"),
                Err(status) => {
                    assert_ne!(of, at, "{method} refused its own token: {status:?}");
                    assert_eq!(Refused::from_status(&status).reason(), "PAGE_TOKEN_INVALID");
                }
            }
        }
    }
    world.stop().await;
}
