//! Invitations from the side of those who send them: how they expire, are sent again, replaced and canceled.

use rolecall::config::LinkConfig;
use rolecall::grpc::pb::v1;
use rolecall::model::{EmailAddress, Role, WorkspaceId, parse_uuid};
use secrecy::ExposeSecret;
use tonic::Code;

use super::{DAY, NOBODY, SECOND, WEEK};
use crate::support::{PASSWORD, World, ok, refused};

#[tokio::test]
async fn an_invitation_can_be_accepted_a_second_before_seven_days_are_over_and_not_at_their_end() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let in_time = world.invite(&owner, "early@acme.example", Role::Agent).await;
    let late = world.invite(&owner, "late@acme.example", Role::Agent).await;
    let offer = ok(world.nobody().preview(&late).await);
    let now = world.clock.now().as_micros() / 1_000_000;
    assert_eq!(offer.expire_time.unwrap().seconds, now + 7 * 24 * 3_600);

    // No sweeper, no job: nothing but the clock.
    world.wait(WEEK - SECOND);
    world.accept(&in_time, "Early").await;
    assert_eq!(ok(world.nobody().preview(&late).await).state(), v1::InvitationState::Pending);
    world.wait(SECOND);
    for _ in 0..2 {
        let refusal = refused(world.nobody().accept(&late, "Late", PASSWORD).await);
        assert_eq!((refusal.code, refusal.reason()), (Code::FailedPrecondition, "INVITATION_EXPIRED"));
        assert_eq!(ok(world.nobody().preview(&late).await).state(), v1::InvitationState::Expired);
        world.wait(2 * SECOND);
    }
    let owner = world.sign_in(&owner.email).await;
    let users = ok(world.by(&owner).users().list_users(v1::ListUsersRequest::default()).await).users;
    assert_eq!(
        users.iter().map(|user| user.email.as_str()).collect::<Vec<_>>(),
        ["early@acme.example", "owner@acme.example"]
    );
}

#[tokio::test]
async fn resending_keeps_the_id_sends_a_new_link_for_seven_more_days_and_ends_the_old_ones() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let first = ok(world.by(&owner).create_invitation("gil@acme.example", Role::Agent).await).invitation.unwrap();
    world.deliver().await;
    world.wait(WEEK / 2);
    let owner = world.sign_in(&owner.email).await;
    let resent = ok(world.by(&owner).resend(&first.invitation_id).await).invitation.unwrap();
    assert_eq!((&resent.invitation_id, resent.create_time), (&first.invitation_id, first.create_time));
    assert_eq!(resent.expire_time.unwrap().seconds - first.expire_time.unwrap().seconds, 7 * 24 * 1_800);
    assert_eq!(resent.delivery.unwrap().state(), v1::DeliveryState::Queued);
    world.deliver().await;

    let mails = world.mail_to("gil@acme.example");
    let [old, new] = [mails[0].token(), mails[1].token()];
    assert_ne!(old, new);
    let refusal = refused(world.nobody().accept(&old, "Gil", PASSWORD).await);
    assert_eq!((refusal.code, refusal.reason()), (Code::FailedPrecondition, "INVITATION_SUPERSEDED"));
    let seen = ok(world.nobody().preview(&old).await);
    assert_eq!((seen.superseded, seen.state()), (true, v1::InvitationState::Pending));
    world.wait(WEEK - SECOND);
    world.accept(&new, "Gil").await;
}

#[tokio::test]
async fn an_expired_invitation_can_be_sent_again() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let old = world.invite(&owner, "gil@acme.example", Role::Agent).await;
    world.wait(2 * WEEK);
    let owner = world.sign_in(&owner.email).await;
    let list = v1::ListInvitationsRequest::default();
    let listed = ok(world.by(&owner).invitations().list_invitations(list).await).invitations;
    assert_eq!(listed.iter().map(|one| one.state()).collect::<Vec<_>>(), [v1::InvitationState::Expired]);
    let resent = ok(world.by(&owner).resend(&listed[0].invitation_id).await).invitation.unwrap();
    assert_eq!(resent.state(), v1::InvitationState::Pending);
    world.deliver().await;
    assert_eq!(refused(world.nobody().accept(&old, "Gil", PASSWORD).await).reason(), "INVITATION_SUPERSEDED");
    world.accept(&world.mail_to("gil@acme.example")[1].token(), "Gil").await;
}

#[tokio::test]
async fn an_expired_invitation_is_replaced_and_its_links_say_that_a_newer_one_was_sent() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let by = world.by(&owner);
    let first = ok(by.create_invitation("gil@acme.example", Role::Agent).await).invitation.unwrap();
    world.deliver().await;
    let old = world.mail_to("gil@acme.example")[0].token();
    let pending = refused(by.create_invitation("Gil@ACME.example", Role::Admin).await);
    assert_eq!((pending.code, pending.reason()), (Code::AlreadyExists, "INVITATION_PENDING"));
    assert_eq!(pending.metadata["invitationId"], first.invitation_id);

    world.wait(WEEK);
    let owner = world.sign_in(&owner.email).await;
    let by = world.by(&owner);
    let second = ok(by.create_invitation("gil@acme.example", Role::Manager).await).invitation.unwrap();
    assert_ne!(second.invitation_id, first.invitation_id);
    let replaced = ok(by.get_invitation(&first.invitation_id).await).invitation.unwrap();
    assert_eq!(replaced.state(), v1::InvitationState::Canceled);
    assert_eq!(refused(world.nobody().accept(&old, "Gil", PASSWORD).await).reason(), "INVITATION_SUPERSEDED");
    let seen = ok(world.nobody().preview(&old).await);
    assert_eq!((seen.superseded, seen.state(), seen.email.as_str()), (true, v1::InvitationState::Canceled, ""));
    assert_eq!(refused(by.resend(&first.invitation_id).await).reason(), "INVITATION_CANCELED");
}

#[tokio::test]
async fn a_member_is_not_invited_and_a_removed_one_is() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let refusal = refused(world.by(&owner).create_invitation("GIL@acme.example", Role::Manager).await);
    assert_eq!((refusal.code, refusal.reason()), (Code::AlreadyExists, "ALREADY_MEMBER"));
    ok(world.by(&owner).remove(&gil.user_id).await);
    ok(world.by(&owner).create_invitation("gil@acme.example", Role::Manager).await);
}

#[tokio::test]
async fn canceling_ends_the_links_and_may_be_repeated() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let sent = ok(world.by(&owner).create_invitation("gil@acme.example", Role::Agent).await).invitation.unwrap();
    world.deliver().await;
    let token = world.mail_to("gil@acme.example")[0].token();
    for _ in 0..2 {
        let canceled = ok(world.by(&owner).cancel(&sent.invitation_id).await).invitation.unwrap();
        assert_eq!(canceled.state(), v1::InvitationState::Canceled);
    }
    assert_eq!(world.by(&owner).events(&[v1::AuditAction::InvitationCanceled]).await.len(), 1);
    assert_eq!(refused(world.nobody().accept(&token, "Gil", PASSWORD).await).reason(), "INVITATION_CANCELED");
    assert_eq!(refused(world.by(&owner).resend(&sent.invitation_id).await).reason(), "INVITATION_CANCELED");
    ok(world.by(&owner).create_invitation("gil@acme.example", Role::Agent).await);

    let accepted = world.invite(&owner, "ada@acme.example", Role::Agent).await;
    world.accept(&accepted, "Ada").await;
    let states = vec![v1::InvitationState::Accepted.into()];
    let list = v1::ListInvitationsRequest { states, ..Default::default() };
    let listed = ok(world.by(&owner).invitations().list_invitations(list).await).invitations;
    let id = &listed.iter().find(|one| one.email == "ada@acme.example").unwrap().invitation_id;
    let refusals = [refused(world.by(&owner).cancel(id).await), refused(world.by(&owner).resend(id).await)];
    for refusal in refusals {
        assert_eq!((refusal.code, refusal.reason()), (Code::FailedPrecondition, "INVITATION_ACCEPTED"));
    }
}

#[tokio::test]
async fn an_expired_invitation_can_be_canceled() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let sent = ok(world.by(&owner).create_invitation("gil@acme.example", Role::Agent).await).invitation.unwrap();
    world.deliver().await;
    world.wait(WEEK);
    let owner = world.sign_in(&owner.email).await;
    ok(world.by(&owner).cancel(&sent.invitation_id).await);
    let token = world.mail_to("gil@acme.example")[0].token();
    assert_eq!(refused(world.nobody().accept(&token, "Gil", PASSWORD).await).reason(), "INVITATION_CANCELED");
}

#[tokio::test]
async fn only_an_owner_creates_resends_or_cancels_an_owners_invitation() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let ada = world.join(&owner, "ada@acme.example", Role::Admin).await;
    let sent = ok(world.by(&owner).create_invitation("olaf@acme.example", Role::Owner).await).invitation.unwrap();
    for refusal in [
        refused(world.by(&ada).create_invitation("new@acme.example", Role::Owner).await),
        // Who may not invite an Owner is not told whether the address is invited.
        refused(world.by(&ada).create_invitation("olaf@acme.example", Role::Owner).await),
        refused(world.by(&ada).resend(&sent.invitation_id).await),
        refused(world.by(&ada).cancel(&sent.invitation_id).await),
    ] {
        assert_eq!((refusal.code, refusal.reason()), (Code::PermissionDenied, "OWNER_REQUIRED"));
    }
    ok(world.by(&ada).get_invitation(&sent.invitation_id).await);
    ok(world.by(&owner).cancel(&sent.invitation_id).await);
    ok(world.by(&ada).create_invitation("new@acme.example", Role::Admin).await);
}

#[tokio::test]
async fn an_invitation_of_another_workspace_is_as_unknown_as_one_that_never_was() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let sent = ok(world.by(&acme).create_invitation("gil@acme.example", Role::Agent).await).invitation.unwrap();
    for id in [sent.invitation_id.as_str(), NOBODY] {
        for refusal in [
            refused(world.by(&birch).get_invitation(id).await),
            refused(world.by(&birch).resend(id).await),
            refused(world.by(&birch).cancel(id).await),
        ] {
            assert_eq!((refusal.code, refusal.reason()), (Code::NotFound, "INVITATION_NOT_FOUND"));
        }
    }
    let still = ok(world.by(&acme).get_invitation(&sent.invitation_id).await).invitation.unwrap();
    assert_eq!(still.state(), v1::InvitationState::Pending);
}

#[tokio::test]
async fn invitations_are_listed_by_state_newest_first() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    world.invite(&owner, "expired@acme.example", Role::Agent).await;
    world.wait(WEEK);
    let owner = world.sign_in(&owner.email).await;
    let by = world.by(&owner);
    world.join(&owner, "accepted@acme.example", Role::Agent).await;
    world.tick();
    let canceled = ok(by.create_invitation("canceled@acme.example", Role::Agent).await).invitation.unwrap();
    ok(by.cancel(&canceled.invitation_id).await);
    world.tick();
    world.invite(&owner, "pending@acme.example", Role::Agent).await;
    world.tick();
    world.invite(&owner, "newest@acme.example", Role::Agent).await;

    use v1::InvitationState::{Accepted, Canceled, Expired, Pending};
    let list = async |states: &[v1::InvitationState]| {
        let states = states.iter().map(|state| i32::from(*state)).collect();
        let request = v1::ListInvitationsRequest { states, ..Default::default() };
        let found = ok(by.invitations().list_invitations(request).await).invitations;
        found.iter().map(|one| one.email.split('@').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(list(&[]).await, ["newest", "pending", "expired"]);
    assert_eq!(list(&[Pending]).await, ["newest", "pending"]);
    assert_eq!(list(&[Expired]).await, ["expired"]);
    assert_eq!(list(&[Canceled]).await, ["canceled"]);
    assert_eq!(list(&[Accepted]).await, ["accepted", "owner"]);
    assert_eq!(list(&[Canceled, Expired]).await, ["canceled", "expired"]);
}

#[tokio::test]
async fn an_operator_invites_an_owner_without_e_mail_and_replaces_what_was_sent() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let mailed = world.invite(&owner, "olaf@acme.example", Role::Agent).await;
    let workspace = WorkspaceId::new(parse_uuid(&owner.workspace_id).unwrap());
    let address = |text: &str| EmailAddress::parse("email", text).unwrap();
    let handed = world.app.invite_owner(workspace, &address("olaf@acme.example")).await.unwrap();
    assert_eq!(handed.link.expose_secret(), LinkConfig::default().setup_link(handed.token.expose_secret()));
    assert_eq!(refused(world.nobody().accept(&mailed, "Olaf", PASSWORD).await).reason(), "INVITATION_SUPERSEDED");

    let invitation = ok(world.by(&owner).get_invitation(&handed.invitation_id.to_string()).await).invitation.unwrap();
    assert_eq!(
        (invitation.role(), invitation.delivery, invitation.invited_by_user_id.as_str()),
        (v1::Role::Owner, None, "")
    );
    assert_eq!(ok(world.nobody().preview(handed.token.expose_secret()).await).inviter_display_name, "");
    // Nobody's right hangs on it: it stands when the people of the workspace come and go.
    let olaf = world.accept(handed.token.expose_secret(), "Olaf").await;
    assert_eq!(ok(world.by(&olaf).get_session().await).workspace.unwrap().role(), v1::Role::Owner);
    world.deliver().await;
    assert_eq!(world.mail_to("olaf@acme.example").len(), 1);
    let member = world.app.invite_owner(workspace, &address("olaf@acme.example")).await.unwrap_err();
    assert_eq!(member.reason(), rolecall::error::Reason::AlreadyMember);
}

#[tokio::test]
async fn a_handed_over_invitation_that_is_resent_goes_by_e_mail_and_has_a_sender() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let workspace = WorkspaceId::new(parse_uuid(&owner.workspace_id).unwrap());
    let olaf = EmailAddress::parse("email", "olaf@acme.example").unwrap();
    let handed = world.app.invite_owner(workspace, &olaf).await.unwrap();
    let resent = ok(world.by(&owner).resend(&handed.invitation_id.to_string()).await).invitation.unwrap();
    assert_eq!(resent.invited_by_user_id, owner.user_id);
    assert_eq!(resent.delivery.unwrap().state(), v1::DeliveryState::Queued);
    world.deliver().await;
    let token = world.mail_to("olaf@acme.example").pop().unwrap().token();
    let old = refused(world.nobody().accept(handed.token.expose_secret(), "Olaf", PASSWORD).await);
    assert_eq!(old.reason(), "INVITATION_SUPERSEDED");
    world.wait(DAY);
    world.accept(&token, "Olaf").await;
}
