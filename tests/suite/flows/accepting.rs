//! Invitations from the side of those who are invited.

use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::Code;

use super::{DAY, HOUR, SECOND};
use crate::support::{PASSWORD, World, hex, ok, refused};

const WRONG: &str = "violet kettle orbit 78 lamp";

#[tokio::test]
async fn a_preview_shows_the_offer_and_consumes_nothing() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let token = world.invite(&owner, "gil@acme.example", Role::Manager).await;
    for _ in 0..20 {
        let preview = ok(world.nobody().preview(&token).await);
        assert_eq!(
            (preview.workspace_name.as_str(), preview.state(), preview.superseded),
            ("Acme", v1::InvitationState::Pending, false)
        );
        assert_eq!(
            (preview.inviter_display_name.as_str(), preview.email.as_str(), preview.role(), preview.account_exists),
            ("Olga Owner", "gil@acme.example", v1::Role::Manager, false)
        );
    }
    world.accept(&token, "Gil").await;
}

#[tokio::test]
async fn a_dead_link_shows_how_it_died_and_no_offer() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let by = world.by(&owner);
    let used = world.invite(&owner, "used@acme.example", Role::Agent).await;
    world.accept(&used, "Used").await;
    let canceled = world.invite(&owner, "canceled@acme.example", Role::Agent).await;
    let list = ok(by.invitations().list_invitations(v1::ListInvitationsRequest::default()).await).invitations;
    ok(by.cancel(&list[0].invitation_id).await);
    let expired = world.invite(&owner, "expired@acme.example", Role::Agent).await;
    world.wait(super::WEEK);

    for (token, state) in [
        (used, v1::InvitationState::Accepted),
        (canceled, v1::InvitationState::Canceled),
        (expired, v1::InvitationState::Expired),
    ] {
        let seen = ok(world.nobody().preview(&token).await);
        assert_eq!((seen.state(), seen.superseded, seen.workspace_name.as_str()), (state, false, "Acme"));
        assert!(seen.expire_time.is_some());
        let offer = (seen.inviter_display_name, seen.email, seen.role, seen.account_exists);
        assert_eq!(offer, (String::new(), String::new(), 0, false), "{state:?}");
    }
}

#[tokio::test]
async fn a_link_that_was_never_issued_is_not_found() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let token = world.invite(&owner, "gil@acme.example", Role::Agent).await;
    let unknown = format!("rci_{}", "A".repeat(43));
    for token in [unknown.as_str(), "", "rci_", "nonsense", &token[..46], &token.replace("rci_", "rcs_"), &owner.token]
    {
        for refusal in
            [refused(world.nobody().preview(token).await), refused(world.nobody().accept(token, "Gil", PASSWORD).await)]
        {
            assert_eq!((refusal.code, refusal.reason()), (Code::NotFound, "INVITATION_NOT_FOUND"), "{token}");
        }
    }
}

#[tokio::test]
async fn someone_with_an_account_joins_a_second_workspace_by_its_password_as_the_same_user() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let gil = world.join(&acme, "gil@acme.example", Role::Agent).await;
    world.tick();
    let token = world.invite(&birch, "gil@acme.example", Role::Admin).await;
    assert!(ok(world.nobody().preview(&token).await).account_exists);

    let refusal = refused(world.nobody().accept(&token, "Mallory", WRONG).await);
    assert_eq!((refusal.code, refusal.reason()), (Code::Unauthenticated, "INVALID_CREDENTIALS"));
    assert_eq!(ok(world.nobody().preview(&token).await).state(), v1::InvitationState::Pending);
    assert_eq!(refused(world.by(&gil).switch_to(&birch.workspace_id).await).reason(), "NOT_A_MEMBER");

    let there = ok(world.nobody().accept(&token, "Ignored\u{0}", PASSWORD).await).user.unwrap();
    assert_eq!((&there.user_id, there.display_name.as_str(), there.role()), (&gil.user_id, "gil", v1::Role::Admin));
    let here = ok(world.by(&gil).get_session().await);
    assert_eq!(here.workspace.unwrap().role(), v1::Role::Agent);
    let own = ok(world.by(&gil).workspaces().list_workspaces(v1::ListWorkspacesRequest::default()).await).workspaces;
    let own: Vec<_> = own.iter().map(|one| (one.workspace_name.as_str(), one.role())).collect();
    assert_eq!(own, [("Acme", v1::Role::Agent), ("Birch", v1::Role::Admin)]);
}

#[tokio::test]
async fn a_new_account_needs_a_name_and_a_password_that_will_do_and_gets_nothing_otherwise() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let token = world.invite(&owner, "gil.agent@acme.example", Role::Agent).await;
    let both = refused(world.nobody().accept(&token, " ", "short").await);
    let field = |field: &str, reason: &str| (field.to_owned(), reason.to_owned());
    assert_eq!(both.fields, [field("display_name", "REQUIRED"), field("password", "PASSWORD_TOO_SHORT")]);
    for (password, reason) in [
        ("kettle orbit 7", "PASSWORD_TOO_SHORT"),
        ("passwordpassword1", "PASSWORD_COMMON"),
        ("gil.agent@acme.example", "PASSWORD_PERSONAL"),
        (&"kettle orbit 77 ".repeat(9), "PASSWORD_TOO_LONG"),
    ] {
        let refusal = refused(world.nobody().accept(&token, "Gil", password).await);
        assert_eq!((refusal.code, refusal.reason()), (Code::InvalidArgument, "FIELD_INVALID"));
        assert_eq!(refusal.fields, [field("password", reason)]);
    }
    let users = ok(world.by(&owner).users().list_users(v1::ListUsersRequest::default()).await).users;
    assert_eq!(users.len(), 1);
    world.accept(&token, "Gil").await;
}

#[tokio::test]
async fn an_accept_whose_answer_was_lost_is_repeated_with_the_right_password_for_a_day() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let token = world.invite(&owner, "gil@acme.example", Role::Agent).await;
    let first = ok(world.nobody().accept(&token, "Gil", PASSWORD).await);
    let user = first.user.unwrap();

    world.wait(DAY - SECOND);
    let again = ok(world.nobody().accept(&token, "Another Name", PASSWORD).await);
    let same = again.user.unwrap();
    assert_eq!((&same.user_id, same.display_name.as_str(), same.join_time), (&user.user_id, "Gil", user.join_time));
    assert_ne!(again.session_token, first.session_token);
    ok(world.with_token(&again.session_token).get_session().await);
    // It is one membership and one acceptance.
    assert_eq!(world.by(&owner).events(&[v1::AuditAction::InvitationAccepted]).await.len(), 2);

    let used_up = (Code::FailedPrecondition, "INVITATION_ACCEPTED");
    let wrong = refused(world.nobody().accept(&token, "Gil", WRONG).await);
    assert_eq!((wrong.code, wrong.reason()), used_up);
    world.wait(SECOND);
    for password in [PASSWORD, WRONG] {
        let late = refused(world.nobody().accept(&token, "Gil", password).await);
        assert_eq!((late.code, late.reason()), used_up);
    }
}

#[tokio::test]
async fn an_accept_is_not_repeated_once_the_membership_has_ended() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let token = world.invite(&owner, "gil@acme.example", Role::Agent).await;
    let gil = world.accept(&token, "Gil").await;
    ok(world.by(&owner).remove(&gil.user_id).await);
    assert_eq!(refused(world.nobody().accept(&token, "Gil", PASSWORD).await).reason(), "INVITATION_ACCEPTED");
    assert_eq!(refused(world.nobody().sign_in(&gil.email, PASSWORD, "").await).reason(), "INVALID_CREDENTIALS");
}

#[tokio::test]
async fn two_links_of_one_issue_both_work_and_only_one_membership_comes_of_them() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    ok(world.by(&owner).create_invitation("gil@acme.example", Role::Agent).await);
    // A worker that sends and dies before it has said so: the next one sends again when its claim has run out.
    let lost = world.claim_email().await;
    let text = &lost.email.text;
    let start = text.find("rci_").unwrap();
    let first = text[start..start + 47].to_owned();
    world.wait(HOUR);
    world.deliver().await;
    let second = world.mail_to("gil@acme.example")[0].token();
    assert_ne!(first, second);

    for token in [&first, &second] {
        let seen = ok(world.nobody().preview(token).await);
        assert_eq!((seen.state(), seen.superseded), (v1::InvitationState::Pending, false));
    }
    let gil = world.accept(&first, "Gil").await;
    let again = world.accept(&second, "Gil").await;
    assert_eq!(gil.user_id, again.user_id);
    assert_eq!(world.by(&owner).events(&[v1::AuditAction::InvitationAccepted]).await.len(), 2);
}

#[tokio::test]
async fn someone_removed_comes_back_with_the_invited_role_and_no_old_session_revives() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Admin).await;
    let joined = ok(world.by(&owner).get_user(&gil.user_id).await).user.unwrap();
    world.wait(HOUR);
    ok(world.by(&owner).remove(&gil.user_id).await);
    world.wait(HOUR);
    let token = world.invite(&owner, "gil@acme.example", Role::Agent).await;
    let back = ok(world.nobody().accept(&token, "ignored", PASSWORD).await).user.unwrap();
    assert_eq!((&back.user_id, back.role(), back.state()), (&gil.user_id, v1::Role::Agent, v1::UserState::Active));
    assert_eq!((back.display_name.as_str(), back.remove_time), ("gil", None));
    assert_eq!(back.join_time.unwrap().seconds - joined.join_time.unwrap().seconds, 2 * 3_600);
    assert_eq!(refused(world.by(&gil).get_session().await).reason(), "SESSION_ENDED");
}

#[tokio::test]
async fn an_invitation_whose_sender_may_not_send_it_any_more_is_refused_even_if_nobody_canceled_it() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let ada = world.join(&owner, "ada@acme.example", Role::Admin).await;
    let lowered = world.invite(&ada, "gil@acme.example", Role::Agent).await;
    // The first lock cancels it in the same transaction, so what the second one holds against is made by hand.
    let database = world.outside().await;
    let lower = format!("UPDATE membership SET role = 2 WHERE hex(user_id) = '{}'", hex(&ada.user_id));
    assert_eq!(database.run(&lower).await, 1);
    let refusal = refused(world.nobody().accept(&lowered, "Gil", PASSWORD).await);
    assert_eq!((refusal.code, refusal.reason()), (Code::FailedPrecondition, "INVITER_NOT_ENTITLED"));
    let end = format!("UPDATE membership SET role = 3, removed_at = 1 WHERE hex(user_id) = '{}'", hex(&ada.user_id));
    assert_eq!(database.run(&end).await, 1);
    assert_eq!(refused(world.nobody().accept(&lowered, "Gil", PASSWORD).await).reason(), "INVITER_NOT_ENTITLED");
    let users = ok(world.by(&owner).users().list_users(v1::ListUsersRequest::default()).await).users;
    assert_eq!(users.len(), 1);
}

#[tokio::test]
async fn a_member_who_is_still_invited_keeps_the_role_and_the_link_is_refused() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Manager).await;
    ok(world.by(&owner).remove(&gil.user_id).await);
    let token = world.invite(&owner, &gil.email, Role::Agent).await;
    // No member is invited and no invited address joins in another way, so this is made by hand.
    let back = format!("UPDATE membership SET removed_at = NULL WHERE hex(user_id) = '{}'", hex(&gil.user_id));
    assert_eq!(world.outside().await.run(&back).await, 1);
    assert_eq!(refused(world.nobody().accept(&token, "", PASSWORD).await).reason(), "ALREADY_MEMBER");
    let user = ok(world.by(&owner).get_user(&gil.user_id).await).user.unwrap();
    assert_eq!(user.role(), v1::Role::Manager);
}
