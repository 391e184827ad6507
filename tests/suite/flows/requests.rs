//! `request_id`: what was done once is not done again.

use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::Code;

use super::{DAY, SECOND};
use crate::support::{As, World, ok, refused};

const FIRST: &str = "0d9f3c5e-7a1b-4c2d-8e4f-5a6b7c8d9e0f";
const SECOND_ID: &str = "1d9f3c5e-7a1b-4c2d-8e4f-5a6b7c8d9e0f";

fn invite(email: &str, role: Role, request_id: &str) -> v1::CreateInvitationRequest {
    v1::CreateInvitationRequest { email: email.into(), role: role.number(), request_id: request_id.into() }
}

async fn create(by: &As, request: v1::CreateInvitationRequest) -> v1::Invitation {
    ok(by.invitations().create_invitation(request).await).invitation.unwrap()
}

#[tokio::test]
async fn a_repeated_create_invitation_answers_the_invitation_as_it_is_now_and_sends_nothing_more() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let ada = world.join(&owner, "ada@acme.example", Role::Admin).await;
    let by = world.by(&owner);
    let first = create(&by, invite("gil@acme.example", Role::Agent, FIRST)).await;
    world.deliver().await;
    // Remembered for the workspace, so a colleague's repetition is one too. Case is no other field.
    for by in [&by, &world.by(&ada)] {
        let again = create(by, invite("GIL@acme.example", Role::Agent, &FIRST.to_uppercase())).await;
        assert_eq!(again.invitation_id, first.invitation_id);
        assert_eq!((again.invited_by_user_id, again.expire_time), (owner.user_id.clone(), first.expire_time));
        assert_eq!(again.delivery.unwrap().state(), v1::DeliveryState::Sent);
    }
    world.deliver().await;
    let mails = world.mail_to("gil@acme.example");
    assert_eq!(mails.len(), 1);
    assert_eq!(by.events(&[v1::AuditAction::InvitationCreated]).await.len(), 2);

    // As it is now: accepted, where a new request would be ALREADY_MEMBER.
    world.accept(&mails[0].token(), "Gil").await;
    let again = create(&by, invite("gil@acme.example", Role::Agent, FIRST)).await;
    assert_eq!((again.invitation_id, again.state), (first.invitation_id, v1::InvitationState::Accepted.into()));
    let fresh = by.invitations().create_invitation(invite("gil@acme.example", Role::Agent, SECOND_ID)).await;
    assert_eq!(refused(fresh).reason(), "ALREADY_MEMBER");
}

#[tokio::test]
async fn a_request_id_with_other_fields_is_refused_and_with_another_method_or_workspace_it_is_another() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let by = world.by(&owner);
    let first = create(&by, invite("gil@acme.example", Role::Agent, FIRST)).await;
    let other = create(&by, invite("eve@acme.example", Role::Agent, "")).await;
    for request in [invite("gil@acme.example", Role::Manager, FIRST), invite("ada@acme.example", Role::Agent, FIRST)] {
        let reused = refused(by.invitations().create_invitation(request).await);
        assert_eq!((reused.code, reused.reason()), (Code::InvalidArgument, "REQUEST_ID_REUSED"));
        assert_eq!(reused.fields, [("request_id".into(), "NOT_ALLOWED".into())]);
    }
    create(&world.by(&birch), invite("gil@acme.example", Role::Manager, FIRST)).await;
    let resend = |id: &str| v1::ResendInvitationRequest { invitation_id: id.into(), request_id: FIRST.into() };
    ok(by.invitations().resend_invitation(resend(&first.invitation_id)).await);
    let reused = refused(by.invitations().resend_invitation(resend(&other.invitation_id)).await);
    assert_eq!(reused.reason(), "REQUEST_ID_REUSED");
}

#[tokio::test]
async fn a_repeated_resend_makes_no_further_link() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let by = world.by(&owner);
    let sent = create(&by, invite("gil@acme.example", Role::Agent, "")).await;
    world.deliver().await;
    world.tick();
    let request = v1::ResendInvitationRequest { invitation_id: sent.invitation_id, request_id: FIRST.into() };
    let first = ok(by.invitations().resend_invitation(request.clone()).await).invitation.unwrap();
    world.deliver().await;
    world.tick();
    let again = ok(by.invitations().resend_invitation(request.clone()).await).invitation.unwrap();
    world.deliver().await;
    assert_eq!((&again.invitation_id, again.expire_time), (&first.invitation_id, first.expire_time));
    assert_eq!(again.delivery.unwrap().state(), v1::DeliveryState::Sent);
    let mails = world.mail_to("gil@acme.example");
    assert_eq!(mails.len(), 2);
    assert_eq!(by.events(&[v1::AuditAction::InvitationResent]).await.len(), 1);
    world.accept(&mails[1].token(), "Gil").await;
    let accepted = ok(by.invitations().resend_invitation(request).await).invitation.unwrap();
    assert_eq!(accepted.state(), v1::InvitationState::Accepted);
}

#[tokio::test]
async fn only_successes_are_remembered() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let by = world.by(&owner);
    let first = create(&by, invite("gil@acme.example", Role::Agent, FIRST)).await;
    let pending = by.invitations().create_invitation(invite("gil@acme.example", Role::Agent, SECOND_ID)).await;
    assert_eq!(refused(pending).reason(), "INVITATION_PENDING");
    ok(by.cancel(&first.invitation_id).await);
    let second = create(&by, invite("gil@acme.example", Role::Agent, SECOND_ID)).await;
    assert_ne!(second.invitation_id, first.invitation_id);
    // The first request made the first invitation, canceled as it is by now.
    let again = create(&by, invite("gil@acme.example", Role::Agent, FIRST)).await;
    assert_eq!((again.invitation_id, again.state), (first.invitation_id, v1::InvitationState::Canceled.into()));
}

#[tokio::test]
async fn a_request_is_forgotten_after_a_day_to_the_second() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let first = create(&world.by(&owner), invite("gil@acme.example", Role::Agent, FIRST)).await;
    world.wait(DAY - SECOND);
    let by = world.by(&owner);
    let again = create(&by, invite("gil@acme.example", Role::Agent, FIRST)).await;
    assert_eq!(again.invitation_id, first.invitation_id);
    world.app.record_use().await.unwrap();
    world.wait(SECOND);
    // With what it did still there, and the sweeper off.
    let fresh = by.invitations().create_invitation(invite("gil@acme.example", Role::Agent, FIRST)).await;
    assert_eq!(refused(fresh).reason(), "INVITATION_PENDING");
    let other = create(&by, invite("eve@acme.example", Role::Agent, FIRST)).await;
    assert_eq!(create(&by, invite("eve@acme.example", Role::Agent, FIRST)).await.invitation_id, other.invitation_id);
}

#[tokio::test]
async fn a_repeated_create_workspace_answers_the_same_workspace_and_invitation_as_they_are_now() {
    let world = World::start().await;
    let key = world.service_key("shop", &[ServiceScope::ProvisionWorkspaces], None).await;
    let other = world.service_key("desk", &[ServiceScope::ProvisionWorkspaces], None).await;
    let request = v1::CreateWorkspaceRequest {
        name: "Acme".into(),
        owner_email: "owner@acme.example".into(),
        request_id: FIRST.into(),
    };
    let create = async |key: &str, request: &v1::CreateWorkspaceRequest| {
        world.with_token(key).workspaces().create_workspace(request.clone()).await
    };
    let first = ok(create(&key, &request).await);
    world.deliver().await;
    let owner = world.accept(&world.mail_to("owner@acme.example")[0].token(), "Olga").await;
    let rename = v1::UpdateWorkspaceRequest { name: Some("Acme & Sons".into()) };
    ok(world.by(&owner).workspaces().update_workspace(rename).await);

    let again = ok(create(&key, &request).await);
    let (workspace, invitation) = (again.workspace.unwrap(), again.invitation.unwrap());
    assert_eq!(workspace.workspace_id, first.workspace.unwrap().workspace_id);
    assert_eq!(workspace.name, "Acme & Sons");
    assert_eq!(invitation.invitation_id, first.invitation.unwrap().invitation_id);
    assert_eq!(invitation.state(), v1::InvitationState::Accepted);
    world.deliver().await;
    assert_eq!(world.mails().len(), 1);
    let changed = v1::CreateWorkspaceRequest { name: "Acne".into(), ..request.clone() };
    assert_eq!(refused(create(&key, &changed).await).reason(), "REQUEST_ID_REUSED");
    // Another key's request ids are its own.
    let theirs = ok(create(&other, &request).await).workspace.unwrap();
    assert_ne!(theirs.workspace_id, workspace.workspace_id);
    world.wait(DAY);
    assert_ne!(ok(create(&key, &request).await).workspace.unwrap().workspace_id, workspace.workspace_id);
}

#[tokio::test]
async fn a_right_that_was_lost_is_not_kept_by_a_request_id() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let ada = world.join(&owner, "ada@acme.example", Role::Owner).await;
    create(&world.by(&ada), invite("gil@acme.example", Role::Owner, FIRST)).await;
    ok(world.by(&owner).change_role(&ada.user_id, Role::Admin).await);
    let again = world.by(&ada).invitations().create_invitation(invite("gil@acme.example", Role::Owner, FIRST)).await;
    assert_eq!(refused(again).reason(), "OWNER_REQUIRED");
}
