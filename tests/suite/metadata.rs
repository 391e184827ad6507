//! What metadata says about a caller, and what it cannot say.

use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::Code;

use crate::support::{As, PASSWORD, Person, Refused, World, refused};

const WORKSPACE: &str = "rolecall-workspace-id";
const UNKNOWN: &str = "019b76da-a800-7000-8000-000000000000";

async fn who(clients: &As) -> Result<v1::Session, Refused> {
    let answer = clients.sessions().get_session(v1::GetSessionRequest {}).await;
    answer.map(|answer| answer.into_inner().session.unwrap()).map_err(|status| Refused::from_status(&status))
}

async fn workspace(clients: &As) -> Result<String, Refused> {
    let answer = clients.workspaces().get_workspace(v1::GetWorkspaceRequest {}).await;
    let id = answer.map(|answer| answer.into_inner().workspace.unwrap().workspace_id);
    id.map_err(|status| Refused::from_status(&status))
}

fn malformed_workspace(refused: &Refused) {
    assert_eq!((refused.code, refused.reason()), (Code::InvalidArgument, "FIELD_INVALID"));
    assert_eq!(refused.fields, [(WORKSPACE.to_owned(), "MALFORMED".to_owned())]);
}

#[tokio::test]
async fn only_one_bearer_token_is_a_credential() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let key = world.service_key("reader", &[ServiceScope::ReadUsers], Some(&owner.workspace_id)).await;
    let (token, other) = (owner.token.as_str(), world.sign_in("owner@acme.example").await.token);
    let sending =
        |values: &[String]| values.iter().fold(world.nobody(), |clients, value| clients.and("authorization", value));

    for scheme in ["Bearer", "bearer", "BEARER"] {
        assert_eq!(who(&sending(&[format!("{scheme} {token}")])).await.unwrap().session_id, owner.session_id);
    }
    let missing: [&[String]; 6] = [
        &[],
        &[String::new()],
        &["Bearer".into()],
        &[token.into()],
        &["Basic b3duZXI6cGFzc3dvcmQ=".into()],
        &[format!("Basic {token}")],
    ];
    for values in missing {
        let refused = who(&sending(values)).await.unwrap_err();
        assert_eq!((refused.code, refused.reason()), (Code::Unauthenticated, "CREDENTIAL_MISSING"), "{values:?}");
    }
    let ended: [&[String]; 8] = [
        &["Bearer ".into()],
        &["Bearer null".into()],
        &[format!("Bearer  {token}")],
        &[format!("Bearer {token},{other}")],
        &[format!("Bearer {}", token.to_uppercase())],
        &[format!("Bearer {token}=")],
        &[format!("Bearer {token}"), format!("Bearer {token}")],
        &[format!("Bearer {token}"), format!("Bearer {other}")],
    ];
    for values in ended {
        let refused = who(&sending(values)).await.unwrap_err();
        assert_eq!((refused.code, refused.reason()), (Code::Unauthenticated, "SESSION_ENDED"), "{values:?}");
    }
    for values in [["Basic x".to_owned(), format!("Bearer {token}")], [format!("Bearer {token}"), "Basic x".into()]] {
        assert_eq!(who(&sending(&values)).await.unwrap_err().code, Code::Unauthenticated, "{values:?}");
    }
    assert_eq!(workspace(&sending(&[format!("Bearer {key}")])).await.unwrap(), owner.workspace_id);
    for wrong in ["rck_".to_owned(), "rck_x".into(), format!("{key}="), key.to_uppercase().replace("RCK_", "rck_")] {
        let refused = workspace(&sending(&[format!("Bearer {wrong}")])).await.unwrap_err();
        assert_eq!((refused.code, refused.reason()), (Code::Unauthenticated, "SERVICE_KEY_INVALID"), "{wrong}");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_token_of_another_kind_is_no_credential() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let invitation = world.invite(&owner, "gil@acme.example", Role::Agent).await;
    let key = world.service_key("reader", &[ServiceScope::ReadUsers], None).await;
    let ended = [invitation.clone(), invitation.replace("rci_", "rcs_"), key.replace("rck_", "rcs_")];
    for token in ended {
        assert_eq!(who(&world.with_token(&token)).await.unwrap_err().reason(), "SESSION_ENDED");
    }
    for token in [invitation.replace("rci_", "rck_"), owner.token.replace("rcs_", "rck_")] {
        assert_eq!(who(&world.with_token(&token)).await.unwrap_err().reason(), "SERVICE_KEY_INVALID");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_session_asserts_its_workspace_and_cannot_leave_it() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let other = world.workspace("Beta", "owner@beta.example").await;
    // Being a member there makes no difference: the session is the one of Acme.
    let there = world.join(&other, "owner@acme.example", Role::Owner).await;
    let clients = world.by(&owner);
    assert_eq!(workspace(&clients.in_workspace(&owner.workspace_id)).await.unwrap(), owner.workspace_id);
    let upper = owner.workspace_id.to_uppercase();
    assert_eq!(workspace(&clients.in_workspace(&upper)).await.unwrap(), owner.workspace_id);
    assert_eq!(workspace(&world.by(&there).in_workspace(&other.workspace_id)).await.unwrap(), other.workspace_id);
    for named in [&other.workspace_id, UNKNOWN] {
        let refused = workspace(&clients.in_workspace(named)).await.unwrap_err();
        assert_eq!((refused.code, refused.reason()), (Code::FailedPrecondition, "WORKSPACE_MISMATCH"));
    }
    for malformed in ["", "acme", "{}", &owner.workspace_id[1..], &format!("{{{}}}", owner.workspace_id)] {
        malformed_workspace(&workspace(&clients.in_workspace(malformed)).await.unwrap_err());
    }
    let own = &owner.workspace_id;
    for (first, second) in [(own, own), (own, &other.workspace_id), (&other.workspace_id, own)] {
        malformed_workspace(&workspace(&clients.in_workspace(first).in_workspace(second)).await.unwrap_err());
    }
    world.stop().await;
}

#[tokio::test]
async fn a_service_key_acts_in_the_workspace_that_it_names_or_is_bound_to() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await.workspace_id;
    let beta = world.workspace("Beta", "owner@beta.example").await.workspace_id;
    let free = world.with_token(&world.service_key("free", &[ServiceScope::ReadUsers], None).await);
    let bound = world.with_token(&world.service_key("bound", &[ServiceScope::ReadUsers], Some(&acme)).await);

    assert_eq!(workspace(&free.in_workspace(&acme)).await.unwrap(), acme);
    assert_eq!(workspace(&free.in_workspace(&beta)).await.unwrap(), beta);
    assert_eq!(workspace(&bound).await.unwrap(), acme);
    assert_eq!(workspace(&bound.in_workspace(&acme)).await.unwrap(), acme);
    let required = workspace(&free).await.unwrap_err();
    assert_eq!((required.code, required.reason()), (Code::InvalidArgument, "WORKSPACE_REQUIRED"));
    assert_eq!(required.fields, [(WORKSPACE.to_owned(), "REQUIRED".to_owned())]);
    for clients in [free.in_workspace(UNKNOWN), bound.in_workspace(UNKNOWN), bound.in_workspace(&beta)] {
        let refused = workspace(&clients).await.unwrap_err();
        assert_eq!((refused.code, refused.reason()), (Code::NotFound, "WORKSPACE_NOT_FOUND"));
    }
    for clients in [&free, &bound] {
        malformed_workspace(&workspace(&clients.in_workspace("acme")).await.unwrap_err());
        malformed_workspace(&workspace(&clients.in_workspace(&acme).in_workspace(&acme)).await.unwrap_err());
    }
    // The rule comes before the metadata.
    let refused = refused(free.in_workspace("acme").sessions().sign_out(v1::SignOutRequest {}).await);
    assert_eq!(refused.reason(), "SESSION_REQUIRED");
    world.stop().await;
}

#[tokio::test]
async fn methods_open_to_anyone_look_neither_at_the_credential_nor_at_the_workspace() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let other = world.workspace("Beta", "owner@beta.example").await;
    let link = world.invite(&owner, "gil@acme.example", Role::Agent).await;
    let token = &owner.token;
    let callers = [
        world.nobody(),
        world.with_token("rcs_dead"),
        world.with_token("rck_dead"),
        world.nobody().and("authorization", "Basic x"),
        world.with_token(token).and("authorization", &format!("Bearer {token}")),
        world.by(&other),
        world.by(&owner).in_workspace(&other.workspace_id),
        world.by(&owner).in_workspace("malformed"),
        world.by(&owner).in_workspace(UNKNOWN).in_workspace(UNKNOWN),
    ];
    for clients in callers {
        let request = v1::SignInRequest { email: owner.email.clone(), password: PASSWORD.into(), ..Default::default() };
        let session = clients.sessions().sign_in(request).await.unwrap().into_inner().session.unwrap();
        assert_eq!((session.user_id, session.workspace_id), (owner.user_id.clone(), owner.workspace_id.clone()));
        let request = v1::PreviewInvitationRequest { invitation_token: link.clone() };
        let preview = clients.invitations().preview_invitation(request).await.unwrap().into_inner();
        assert_eq!(preview.email, "gil@acme.example");
        let request = v1::AcceptInvitationRequest { invitation_token: "rci_x".into(), ..accept() };
        assert_eq!(refused(clients.invitations().accept_invitation(request).await).reason(), "INVITATION_NOT_FOUND");
    }
    world.stop().await;
}

fn accept() -> v1::AcceptInvitationRequest {
    v1::AcceptInvitationRequest { display_name: "Gil".into(), password: PASSWORD.into(), ..Default::default() }
}

#[tokio::test]
async fn nothing_else_in_the_metadata_makes_somebody_of_a_caller() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let agent = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let other = world.workspace("Beta", "owner@beta.example").await;
    let dressed_up = |clients: As| {
        let said = [
            ("x-user-id", owner.user_id.as_str()),
            ("x-forwarded-user", "owner@acme.example"),
            ("x-remote-user", "owner@acme.example"),
            ("rolecall-user-id", &owner.user_id),
            ("rolecall-role", "OWNER"),
            ("rolecall-session-id", &owner.session_id),
            ("workspace-id", &other.workspace_id),
            ("x-workspace-id", &other.workspace_id),
            ("x-tenant-id", &other.workspace_id),
            ("cookie", &owner.token),
            ("proxy-authorization", &owner.token),
            ("x-authorization", &owner.token),
        ];
        said.into_iter().fold(clients, |clients, (key, value)| clients.and(key, value))
    };
    let session = who(&dressed_up(world.by(&agent))).await.unwrap();
    assert_eq!(session, who(&world.by(&agent)).await.unwrap());
    assert_eq!((session.user_id.as_str(), &session.workspace_id), (agent.user_id.as_str(), &owner.workspace_id));
    let low = refused(dressed_up(world.by(&agent)).users().list_users(v1::ListUsersRequest::default()).await);
    assert_eq!((low.reason(), low.metadata["actualRole"].as_str()), ("ROLE_TOO_LOW", "AGENT"));
    assert_eq!(who(&dressed_up(world.nobody())).await.unwrap_err().reason(), "CREDENTIAL_MISSING");
    let key = world.with_token(&world.service_key("reader", &[ServiceScope::ReadUsers], None).await);
    assert_eq!(workspace(&dressed_up(key)).await.unwrap_err().reason(), "WORKSPACE_REQUIRED");
    world.stop().await;
}

/// What is recorded of a client that says where it comes from: of the session that it begins, and of its next change.
async fn recorded(world: &World, owner: &Person, says: &[(&'static str, &str)]) -> (v1::Session, String) {
    let clients = |clients: As| says.iter().fold(clients, |clients, (key, value)| clients.and(key, value));
    let request = v1::SignInRequest { email: owner.email.clone(), password: PASSWORD.into(), ..Default::default() };
    let signed_in = clients(world.nobody()).sessions().sign_in(request).await.unwrap().into_inner();
    world.tick();
    let name = Some(format!("Acme {}", world.clock.now().as_micros()));
    let caller = clients(world.with_token(&signed_in.session_token));
    caller.workspaces().update_workspace(v1::UpdateWorkspaceRequest { name }).await.unwrap();
    let events = v1::ListAuditEventsRequest {
        actions: vec![v1::AuditAction::WorkspaceRenamed.into()],
        page_size: 1,
        ..Default::default()
    };
    let events = world.by(owner).audit().list_audit_events(events).await.unwrap().into_inner().events;
    (signed_in.session.unwrap(), events[0].client_address.clone())
}

const ADDRESS: &str = "rolecall-client-address";
const AGENT: &str = "rolecall-client-user-agent";

#[tokio::test]
async fn a_trusted_peer_is_believed_about_its_client() {
    let trusting = World::start_with(|grpc| grpc.trusted_peers = vec!["127.0.0.0/8".parse().unwrap()]).await;
    let owner = trusting.workspace("Acme", "owner@acme.example").await;
    for (said, recorded_as) in
        [("203.0.113.7", "203.0.113.7"), ("2001:db8::7", "2001:db8::7"), ("::ffff:203.0.113.7", "203.0.113.7")]
    {
        let says = [(ADDRESS, said), (AGENT, "Browser/1.0")];
        let (session, address) = recorded(&trusting, &owner, &says).await;
        assert_eq!((session.client_address.as_str(), session.user_agent.as_str()), (recorded_as, "Browser/1.0"));
        assert_eq!(address, recorded_as);
    }
    // A gateway that says nothing, nothing that is an address, or two things leaves its client unknown: its own address
    // never stands for one of them.
    for says in [
        &[][..],
        &[(ADDRESS, "somewhere")][..],
        &[(ADDRESS, "203.0.113.7"), (ADDRESS, "203.0.113.8")][..],
        &[("x-forwarded-for", "203.0.113.7")][..],
    ] {
        let (session, address) = recorded(&trusting, &owner, says).await;
        assert_eq!((session.client_address.as_str(), address.as_str()), ("", ""), "{says:?}");
        assert!(session.user_agent.starts_with("tonic/"), "{}", session.user_agent);
    }
    trusting.stop().await;
}

#[tokio::test]
async fn nobody_else_is_believed_about_where_they_come_from() {
    for trusted in ["none", "10.0.0.0/8"] {
        let world = World::start_with(|grpc| grpc.trusted_peers = trusted.parse().into_iter().collect()).await;
        let owner = world.workspace("Acme", "owner@acme.example").await;
        let says = [(ADDRESS, "203.0.113.7"), (AGENT, "Browser/1.0"), ("x-forwarded-for", "203.0.113.7")];
        let (session, address) = recorded(&world, &owner, &says).await;
        assert_eq!((session.client_address.as_str(), address.as_str()), ("127.0.0.1", "127.0.0.1"));
        assert!(session.user_agent.starts_with("tonic/"), "{}", session.user_agent);
        world.stop().await;
    }
}
