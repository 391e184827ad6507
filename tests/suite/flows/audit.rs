//! Who did what: one event for each kind of change.

use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::{EmailAddress, Role, WorkspaceId, parse_uuid};
use v1::AuditAction as Action;
use v1::audit_actor::Kind;

use super::{HOUR, MINUTE, WEEK};
use crate::support::{As, PASSWORD, World, ok, refused};

/// The kinds that belong to PasswordService, whose own tests produce them.
const ELSEWHERE: [Action; 2] = [Action::PasswordChanged, Action::PasswordReset];

#[tokio::test]
async fn each_kind_of_change_leaves_one_event_with_its_documented_details() {
    let world = World::start().await;
    let shop = world.service_key("shop", &[ServiceScope::ProvisionWorkspaces], None).await;
    let shop = world.with_token(&shop);
    let request =
        v1::CreateWorkspaceRequest { name: "Acme".into(), owner_email: "o@acme.example".into(), ..Default::default() };
    let workspace = ok(shop.workspaces().create_workspace(request).await).workspace.unwrap().workspace_id;
    world.deliver().await;
    let owner = world.accept(&world.mail_to("o@acme.example")[0].token(), "Olga").await;
    let by = world.by(&owner);
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let id = WorkspaceId::new(parse_uuid(&workspace).unwrap());
    world.app.invite_owner(id, &EmailAddress::parse("email", "p@acme.example").unwrap()).await.unwrap();
    world.service_key("crm", &[ServiceScope::ReadUsers, ServiceScope::ReadAudit], Some(&workspace)).await;
    world.app.revoke_service_key("crm").await.unwrap();
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    ok(by.change_role(&gil.user_id, Role::Admin).await);
    let sent = ok(world.by(&gil).create_invitation("x@acme.example", Role::Agent).await).invitation.unwrap();
    ok(world.by(&gil).resend(&sent.invitation_id).await);
    ok(world.by(&gil).call_myself("Gil the Good").await);
    let token = world.invite(&birch, "gil@acme.example", Role::Agent).await;
    let there = world.accept(&token, "ignored").await;
    ok(world.by(&there).switch_to(&workspace).await);
    let other = ok(world.nobody().sign_in("gil@acme.example", PASSWORD, &workspace).await);
    let (other, other_id) = (other.session_token, other.session.unwrap().session_id);
    ok(world.with_token(&other).reauthenticate(PASSWORD).await);
    ok(world.by(&gil).revoke(&other_id).await);
    ok(world.by(&gil).revoke_others().await);
    ok(by.workspaces().update_workspace(v1::UpdateWorkspaceRequest { name: Some("Acne".into()) }).await);
    let lea = world.join(&owner, "lea@acme.example", Role::Manager).await;
    ok(world.by(&lea).sign_out().await);
    let lea = world.sign_in("lea@acme.example").await;
    drop(refused(world.by(&lea).remove(&gil.user_id).await));
    world.app.record_refusals(false).await.unwrap();
    ok(world.by(&lea).leave().await);
    ok(by.remove(&gil.user_id).await);

    let events = by.events(&[]).await;
    let written = |event: &v1::AuditEvent| {
        let mut written: Vec<_> = event.details.iter().map(|(key, value)| format!("{key}={value}")).collect();
        written.sort();
        written.join(" ")
    };
    let (person, key) = (|id: &str| Kind::UserId(id.into()), Kind::ServiceKeyName("shop".into()));
    let (operator, gils, leas) = (Kind::Operator(true), person(&gil.user_id), person(&lea.user_id));
    let owners = person(&owner.user_id);
    for (action, actor, target, details) in [
        (Action::WorkspaceCreated, &key, "", "name=Acme"),
        (Action::WorkspaceRenamed, &owners, "", "name=Acne previousName=Acme"),
        (Action::InvitationCreated, &owners, "", "email=lea@acme.example role=MANAGER"),
        (Action::InvitationResent, &gils, "", "email=x@acme.example role=AGENT"),
        (Action::InvitationCanceled, &owners, "", "email=x@acme.example reason=SENDER_NOT_ENTITLED role=AGENT"),
        (Action::InvitationAccepted, &leas, &lea.user_id, "email=lea@acme.example role=MANAGER"),
        (Action::UserRoleChanged, &owners, &gil.user_id, "previousRole=AGENT role=ADMIN"),
        (Action::UserRemoved, &owners, &gil.user_id, "email=gil@acme.example previousRole=ADMIN sessionCount=1"),
        (Action::UserLeft, &leas, &lea.user_id, "email=lea@acme.example previousRole=MANAGER sessionCount=1"),
        (Action::ProfileUpdated, &gils, &gil.user_id, "name=Gil the Good previousName=gil"),
        (Action::SignedIn, &leas, &lea.user_id, &format!("sessionId={}", lea.session_id)),
        (Action::SessionRevoked, &gils, &gil.user_id, &format!("sessionCount=1 sessionId={other_id}")),
        (Action::OtherSessionsRevoked, &gils, &gil.user_id, "sessionCount=2"),
        (Action::SignedOut, &leas, &lea.user_id, "sessionCount=1"),
        (Action::Reauthenticated, &gils, &gil.user_id, ""),
        (Action::OwnerInvited, &operator, "", "email=p@acme.example"),
        (Action::ServiceKeyCreated, &operator, "", "name=crm scopes=READ_USERS,READ_AUDIT"),
        (Action::ServiceKeyRevoked, &operator, "", "name=crm"),
    ] {
        // At one moment, which the clock of this test never leaves, events have no order.
        let matching: Vec<_> =
            events.iter().filter(|event| event.action() == action && written(event) == details).collect();
        let [event] = matching[..] else { panic!("{action:?} with {details}: {matching:?} of {events:#?}") };
        assert_eq!(event.actor.as_ref().unwrap().kind.as_ref(), Some(actor), "{action:?}");
        assert_eq!(event.target_user_id, target, "{action:?}");
        let of_invitation = action.as_str_name().contains("INVITATION") || action == Action::OwnerInvited;
        assert_eq!(!event.target_invitation_id.is_empty(), of_invitation, "{action:?}");
        let operators = *actor == operator;
        assert_eq!((event.client_address.as_str(), event.repeat_count), (if operators { "" } else { "127.0.0.1" }, 1));
    }
    let switched = events.iter().find(|event| event.action() == Action::WorkspaceSwitched).unwrap();
    assert_eq!(switched.details.keys().collect::<Vec<_>>(), ["sessionId"]);
    for number in 1.. {
        let Ok(action) = Action::try_from(number) else { break };
        assert_eq!(events.iter().any(|event| event.action() == action), !ELSEWHERE.contains(&action), "{action:?}");
    }
    let told = format!("{events:?}");
    assert!(!told.contains("rci_") && !told.contains("rcs_") && !told.contains("rck_") && !told.contains(PASSWORD));
}

#[tokio::test]
async fn events_are_filtered_by_kind_person_and_time_and_a_cancel_says_why() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Admin).await;
    world.wait(HOUR);
    let start = world.clock.now().as_micros() / 1_000_000;
    ok(world.by(&owner).change_role(&gil.user_id, Role::Manager).await);
    world.wait(MINUTE);
    ok(world.by(&gil).call_myself("Gil the Good").await);
    let sent = ok(world.by(&owner).create_invitation("x@acme.example", Role::Agent).await).invitation.unwrap();
    ok(world.by(&owner).cancel(&sent.invitation_id).await);
    let list = async |by: &As, request: v1::ListAuditEventsRequest| {
        let events = ok(by.audit().list_audit_events(request).await).events;
        events.iter().map(v1::AuditEvent::action).collect::<Vec<_>>()
    };
    let by = world.by(&owner);
    let base = v1::ListAuditEventsRequest::default();
    let time = |seconds| Some(prost_types::Timestamp { seconds, nanos: 0 });
    let within = |start_time, end_time| v1::ListAuditEventsRequest { start_time, end_time, ..base.clone() };
    assert_eq!(list(&by, within(time(start), time(start + 60))).await, [Action::UserRoleChanged]);
    assert_eq!(list(&by, within(time(start), time(start))).await, []);
    assert_eq!(list(&by, within(time(start + 60), None)).await.len(), 3);
    let of = v1::ListAuditEventsRequest { actor_user_id: gil.user_id.clone(), ..base.clone() };
    assert_eq!(list(&by, of).await, [Action::ProfileUpdated, Action::InvitationAccepted]);
    let to = v1::ListAuditEventsRequest { target_user_id: gil.user_id.clone(), ..base.clone() };
    assert_eq!(list(&by, to).await, [Action::ProfileUpdated, Action::UserRoleChanged, Action::InvitationAccepted]);
    let reason = async |by: &As| by.events(&[Action::InvitationCanceled]).await[0].details["reason"].clone();
    assert_eq!(reason(&by).await, "REQUESTED");
    ok(by.create_invitation("x@acme.example", Role::Agent).await);
    world.wait(WEEK);
    let by = world.by(&world.sign_in(&owner.email).await);
    ok(by.create_invitation("x@acme.example", Role::Agent).await);
    assert_eq!(reason(&by).await, "REPLACED");
}
