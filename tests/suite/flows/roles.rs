//! Who may change whom, and what goes with a role that is lost.

use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::Code;

use super::{NOBODY, WEEK};
use crate::support::{PASSWORD, World, ok, refused};

#[tokio::test]
async fn only_an_owner_grants_the_role_owner_or_touches_an_owner() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let admin = world.join(&owner, "ada@acme.example", Role::Admin).await;
    let agent = world.join(&owner, "gil@acme.example", Role::Agent).await;

    for refusal in [
        refused(world.by(&admin).change_role(&agent.user_id, Role::Owner).await),
        refused(world.by(&admin).change_role(&admin.user_id, Role::Owner).await),
        refused(world.by(&admin).change_role(&owner.user_id, Role::Agent).await),
        refused(world.by(&admin).change_role(&owner.user_id, Role::Owner).await),
        refused(world.by(&admin).remove(&owner.user_id).await),
    ] {
        assert_eq!((refusal.code, refusal.reason()), (Code::PermissionDenied, "OWNER_REQUIRED"));
    }
    let users = ok(world.by(&owner).users().list_users(v1::ListUsersRequest::default()).await).users;
    let roles: Vec<_> = users.iter().map(|user| (user.email.as_str(), user.role())).collect();
    assert_eq!(
        roles,
        [
            ("ada@acme.example", v1::Role::Admin),
            ("gil@acme.example", v1::Role::Agent),
            ("owner@acme.example", v1::Role::Owner)
        ]
    );

    let promoted = ok(world.by(&owner).change_role(&agent.user_id, Role::Owner).await).user.unwrap();
    assert_eq!(promoted.role(), v1::Role::Owner);
    assert_eq!(
        ok(world.by(&agent).change_role(&owner.user_id, Role::Agent).await).user.unwrap().role(),
        v1::Role::Agent
    );
}

#[tokio::test]
async fn an_admin_manages_everybody_else_other_admins_and_itself_included() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let ada = world.join(&owner, "ada@acme.example", Role::Admin).await;
    let bob = world.join(&owner, "bob@acme.example", Role::Admin).await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;

    assert_eq!(ok(world.by(&ada).change_role(&gil.user_id, Role::Admin).await).user.unwrap().role(), v1::Role::Admin);
    ok(world.by(&ada).change_role(&bob.user_id, Role::Manager).await);
    let low = refused(world.by(&bob).remove(&gil.user_id).await);
    assert_eq!((low.reason(), low.metadata["actualRole"].as_str()), ("ROLE_TOO_LOW", "MANAGER"));
    ok(world.by(&ada).remove(&bob.user_id).await);
    let itself = ok(world.by(&ada).change_role(&ada.user_id, Role::Agent).await).user.unwrap();
    assert_eq!(itself.role(), v1::Role::Agent);
    assert_eq!(refused(world.by(&ada).change_role(&ada.user_id, Role::Admin).await).reason(), "ROLE_TOO_LOW");
    ok(world.by(&gil).remove(&gil.user_id).await);
    assert_eq!(refused(world.by(&gil).get_session().await).reason(), "SESSION_ENDED");
}

#[tokio::test]
async fn the_last_owner_is_neither_demoted_nor_removed_nor_let_go() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let other = world.join(&owner, "otto@acme.example", Role::Admin).await;

    let last = async |who: &crate::support::Person, code, reason: &str| {
        for refusal in [
            refused(world.by(who).change_role(&who.user_id, Role::Admin).await),
            refused(world.by(who).remove(&who.user_id).await),
            refused(world.by(who).leave().await),
        ] {
            assert_eq!((refusal.code, refusal.reason()), (code, reason));
        }
    };
    last(&owner, Code::FailedPrecondition, "LAST_OWNER").await;

    ok(world.by(&owner).change_role(&other.user_id, Role::Owner).await);
    ok(world.by(&owner).leave().await);
    last(&other, Code::FailedPrecondition, "LAST_OWNER").await;
    let session = ok(world.by(&other).get_session().await);
    assert_eq!(session.workspace.unwrap().role(), v1::Role::Owner);
}

#[tokio::test]
async fn a_workspace_with_two_owners_can_lose_either_by_each_of_the_three_ways() {
    let world = World::start().await;
    for way in 0..3 {
        let owner = world.workspace("Acme", &format!("owner{way}@acme.example")).await;
        let second = world.join(&owner, &format!("second{way}@acme.example"), Role::Owner).await;
        match way {
            0 => drop(ok(world.by(&second).change_role(&owner.user_id, Role::Agent).await)),
            1 => drop(ok(world.by(&second).remove(&owner.user_id).await)),
            _ => drop(ok(world.by(&owner).leave().await)),
        }
        assert_eq!(refused(world.by(&second).leave().await).reason(), "LAST_OWNER", "after way {way}");
    }
}

#[tokio::test]
async fn a_removed_user_is_neither_changed_nor_removed_again() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    let olaf = world.join(&owner, "olaf@acme.example", Role::Owner).await;
    let ada = world.join(&owner, "ada@acme.example", Role::Admin).await;
    ok(world.by(&owner).remove(&gil.user_id).await);
    ok(world.by(&owner).remove(&olaf.user_id).await);

    // A removed Owner is nobody's Owner any more, so an Admin learns the same.
    for (by, user) in [(&owner, &gil), (&ada, &gil), (&ada, &olaf)] {
        for refusal in [
            refused(world.by(by).change_role(&user.user_id, Role::Manager).await),
            refused(world.by(by).remove(&user.user_id).await),
        ] {
            assert_eq!((refusal.code, refusal.reason()), (Code::FailedPrecondition, "USER_REMOVED"));
        }
    }
    let unknown = refused(world.by(&owner).remove(NOBODY).await);
    assert_eq!((unknown.code, unknown.reason()), (Code::NotFound, "USER_NOT_FOUND"));
}

#[tokio::test]
async fn changing_to_the_role_that_the_user_has_is_ok_and_changes_nothing() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let ada = world.join(&owner, "ada@acme.example", Role::Admin).await;
    ok(world.by(&ada).create_invitation("new@acme.example", Role::Agent).await);
    let before = world.by(&owner).events(&[]).await.len();
    // Long after the password was given: what changes nothing needs no password either.
    world.wait(WEEK / 14);

    for (user, role) in [(&ada, Role::Admin), (&owner, Role::Owner)] {
        let answer = ok(world.by(&owner).change_role(&user.user_id, role).await);
        assert_eq!(answer.user.unwrap().role, role.number());
        assert_eq!(answer.canceled_invitations, []);
    }
    assert_eq!(world.by(&owner).events(&[]).await.len(), before, "an event tells of a change that was none");
}

#[tokio::test]
async fn a_lower_role_cancels_what_its_holder_may_no_longer_send_and_lists_it() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let olaf = world.join(&owner, "olaf@acme.example", Role::Owner).await;
    let agent = world.invite(&olaf, "agent@acme.example", Role::Agent).await;
    let second = world.invite(&olaf, "second@acme.example", Role::Owner).await;
    let foreign = world.invite(&owner, "foreign@acme.example", Role::Owner).await;

    // From Owner to Admin: only what invites an Owner goes.
    let change = ok(world.by(&owner).change_role(&olaf.user_id, Role::Admin).await);
    let [canceled] = &change.canceled_invitations[..] else { panic!("{change:?}") };
    assert_eq!((canceled.email.as_str(), canceled.state()), ("second@acme.example", v1::InvitationState::Canceled));
    assert_eq!(refused(world.nobody().accept(&second, "Second", PASSWORD).await).reason(), "INVITATION_CANCELED");
    let sent = ok(world.nobody().preview(&agent).await);
    assert_eq!((sent.state(), sent.superseded), (v1::InvitationState::Pending, false));

    // From Admin to Manager: everything goes, but for what others sent.
    let change = ok(world.by(&owner).change_role(&olaf.user_id, Role::Manager).await);
    let emails: Vec<_> = change.canceled_invitations.iter().map(|canceled| canceled.email.as_str()).collect();
    assert_eq!(emails, ["agent@acme.example"]);
    assert_eq!(refused(world.nobody().accept(&agent, "Agent", PASSWORD).await).reason(), "INVITATION_CANCELED");
    assert_eq!(ok(world.nobody().preview(&foreign).await).state(), v1::InvitationState::Pending);
}

#[tokio::test]
async fn removing_or_leaving_cancels_what_the_person_sent_the_expired_included() {
    let world = World::start().await;
    world.workspace("Acme", "owner@acme.example").await;
    for (email, leaves) in [("ada@acme.example", false), ("lea@acme.example", true)] {
        let owner = world.sign_in("owner@acme.example").await;
        let ada = world.join(&owner, email, Role::Admin).await;
        let old = world.invite(&ada, &format!("old-{email}"), Role::Agent).await;
        world.wait(WEEK);
        let ada = world.sign_in(email).await;
        let new = world.invite(&ada, &format!("new-{email}"), Role::Admin).await;
        let owner = world.sign_in("owner@acme.example").await;

        let canceled = if leaves {
            ok(world.by(&ada).leave().await).canceled_invitations
        } else {
            ok(world.by(&owner).remove(&ada.user_id).await).canceled_invitations
        };
        let emails: Vec<_> = canceled.iter().map(|canceled| canceled.email.clone()).collect();
        assert_eq!(emails, [format!("new-{email}"), format!("old-{email}")]);
        for token in [old, new] {
            let refusal = refused(world.nobody().accept(&token, "Too Late", PASSWORD).await);
            assert_eq!((refusal.code, refusal.reason()), (Code::FailedPrecondition, "INVITATION_CANCELED"));
        }
    }
}

#[tokio::test]
async fn whoever_resends_an_invitation_becomes_its_sender() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let ada = world.join(&owner, "ada@acme.example", Role::Admin).await;
    let bob = world.join(&owner, "bob@acme.example", Role::Admin).await;
    let sent = ok(world.by(&ada).create_invitation("new@acme.example", Role::Agent).await).invitation.unwrap();
    assert_eq!(sent.invited_by_user_id, ada.user_id);
    let resent = ok(world.by(&bob).resend(&sent.invitation_id).await).invitation.unwrap();
    assert_eq!(resent.invited_by_user_id, bob.user_id);
    world.deliver().await;
    let mail = world.mail_to("new@acme.example").pop().unwrap();
    assert_eq!(ok(world.nobody().preview(&mail.token()).await).inviter_display_name, "bob");

    // Its life hangs on the new sender, not on the old one.
    assert_eq!(ok(world.by(&owner).remove(&ada.user_id).await).canceled_invitations, []);
    assert_eq!(ok(world.by(&owner).remove(&bob.user_id).await).canceled_invitations.len(), 1);
}

#[tokio::test]
async fn a_removal_ends_the_sessions_here_and_leaves_the_other_workspaces_alone() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let gil = world.join(&acme, "gil@acme.example", Role::Admin).await;
    let token = world.invite(&birch, "gil@acme.example", Role::Manager).await;
    let in_birch = world.accept(&token, "ignored").await;
    let second = ok(world.by(&in_birch).switch_to(&acme.workspace_id).await).session_token;

    let removed = ok(world.by(&acme).remove(&gil.user_id).await);
    assert_eq!(removed.ended_session_count, 2);
    for token in [&gil.token, &second] {
        assert_eq!(refused(world.with_token(token).get_session().await).reason(), "SESSION_ENDED");
    }
    let there = ok(world.by(&in_birch).get_session().await);
    assert_eq!(there.workspace.unwrap().role(), v1::Role::Manager);
    assert_eq!(refused(world.by(&in_birch).switch_to(&acme.workspace_id).await).reason(), "NOT_A_MEMBER");
}
