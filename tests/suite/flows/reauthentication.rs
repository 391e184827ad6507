//! The gravest acts need a password that was given within the last 10 minutes.

use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::Code;

use super::{DAY, MINUTE, SECOND};
use crate::support::{As, PASSWORD, Person, World, ok, refused};

/// A workspace with two Owners, an Admin and an Agent.
async fn staffed(world: &World) -> [Person; 4] {
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let olaf = world.join(&owner, "olaf@acme.example", Role::Owner).await;
    let ada = world.join(&owner, "ada@acme.example", Role::Admin).await;
    let gil = world.join(&owner, "gil@acme.example", Role::Agent).await;
    [owner, olaf, ada, gil]
}

#[tokio::test]
async fn each_of_the_gravest_acts_needs_the_password_and_is_open_once_it_is_given() {
    for act in 0..7 {
        let world = World::start().await;
        let [owner, olaf, ada, gil] = staffed(&world).await;
        let by = world.by(&owner);
        let pending = ok(by.create_invitation("pending@acme.example", Role::Owner).await).invitation.unwrap();
        let perform = async |by: &As| match act {
            0 => by.change_role(&gil.user_id, Role::Owner).await.map(drop),
            1 => by.change_role(&olaf.user_id, Role::Admin).await.map(drop),
            2 => by.remove(&olaf.user_id).await.map(drop),
            3 => by.remove(&owner.user_id).await.map(drop),
            4 => by.leave().await.map(drop),
            5 => by.create_invitation("second@acme.example", Role::Owner).await.map(drop),
            _ => by.resend(&pending.invitation_id).await.map(drop),
        };
        world.wait(10 * MINUTE);
        let refusal = crate::support::Refused::from_status(&perform(&by).await.unwrap_err());
        let expected = (Code::FailedPrecondition, "REAUTHENTICATION_REQUIRED");
        assert_eq!((refusal.code, refusal.reason()), expected, "act {act}");
        // An Admin is told that it takes an Owner, not that it takes a password.
        if !matches!(act, 3 | 4) {
            let low = crate::support::Refused::from_status(&perform(&world.by(&ada)).await.unwrap_err());
            assert_eq!(low.reason(), "OWNER_REQUIRED", "act {act}");
        }
        ok(by.reauthenticate(PASSWORD).await);
        if let Err(status) = perform(&by).await {
            panic!("act {act} was refused after the password had been given: {status:?}");
        }
    }
}

#[tokio::test]
async fn nothing_else_needs_it() {
    let world = World::start().await;
    let [owner, _, ada, gil] = staffed(&world).await;
    let by = world.by(&owner);
    let as_owner = ok(by.create_invitation("pending@acme.example", Role::Owner).await).invitation.unwrap();
    let as_agent = ok(by.create_invitation("other@acme.example", Role::Agent).await).invitation.unwrap();
    world.wait(DAY - SECOND);

    ok(by.cancel(&as_owner.invitation_id).await);
    ok(by.resend(&as_agent.invitation_id).await);
    ok(by.create_invitation("third@acme.example", Role::Admin).await);
    ok(by.change_role(&ada.user_id, Role::Agent).await);
    ok(by.remove(&gil.user_id).await);
    ok(world.by(&ada).leave().await);
    ok(by.call_myself("Olga the Second").await);
    ok(by
        .workspaces()
        .update_workspace(rolecall::grpc::pb::v1::UpdateWorkspaceRequest { name: Some("Acne".into()) })
        .await);
    ok(by.revoke_others().await);
}

#[tokio::test]
async fn the_ten_minutes_end_to_the_second() {
    let world = World::start().await;
    let [owner, olaf, ..] = staffed(&world).await;
    let by = world.by(&owner);
    world.wait(10 * MINUTE - SECOND);
    ok(by.change_role(&olaf.user_id, Role::Admin).await);
    world.wait(SECOND);
    assert_eq!(refused(by.change_role(&olaf.user_id, Role::Owner).await).reason(), "REAUTHENTICATION_REQUIRED");

    ok(by.reauthenticate(PASSWORD).await);
    world.wait(10 * MINUTE - SECOND);
    ok(by.change_role(&olaf.user_id, Role::Owner).await);
    world.wait(2 * SECOND);
    assert_eq!(refused(by.remove(&olaf.user_id).await).reason(), "REAUTHENTICATION_REQUIRED");
}

#[tokio::test]
async fn a_wrong_password_opens_nothing_and_ends_nothing() {
    let world = World::start().await;
    let [owner, olaf, ..] = staffed(&world).await;
    world.wait(DAY / 2);
    let wrong = refused(world.by(&owner).reauthenticate("violet kettle orbit 78 lamp").await);
    assert_eq!((wrong.code, wrong.reason()), (Code::PermissionDenied, "PASSWORD_WRONG"));
    assert_eq!(refused(world.by(&owner).remove(&olaf.user_id).await).reason(), "REAUTHENTICATION_REQUIRED");
    // Somebody else's password is as wrong as any other, and the session goes on.
    ok(world.by(&owner).get_session().await);
}

#[tokio::test]
async fn it_counts_for_the_whole_sign_in_and_for_no_other() {
    let world = World::start().await;
    let [owner, olaf, ..] = staffed(&world).await;
    let birch = world.workspace("Birch", "birch@birch.example").await;
    let token = world.invite(&birch, "owner@acme.example", Role::Owner).await;
    world.accept(&token, "ignored").await;

    let here = ok(world.nobody().sign_in("owner@acme.example", PASSWORD, &owner.workspace_id).await).session_token;
    let there = ok(world.with_token(&here).switch_to(&birch.workspace_id).await).session_token;
    world.wait(10 * MINUTE);
    // A session that was begun by switching has no password of its own, however new it is.
    let newest = ok(world.with_token(&here).switch_to(&birch.workspace_id).await).session_token;
    let remove_there = async |token: &str| refused(world.with_token(token).remove(&birch.user_id).await);
    assert_eq!(remove_there(&newest).await.reason(), "REAUTHENTICATION_REQUIRED");

    ok(world.with_token(&there).reauthenticate(PASSWORD).await);
    ok(world.with_token(&here).remove(&olaf.user_id).await);
    ok(world.with_token(&newest).create_invitation("new@birch.example", Role::Owner).await);
    let other = refused(world.by(&owner).create_invitation("new@acme.example", Role::Owner).await);
    assert_eq!(other.reason(), "REAUTHENTICATION_REQUIRED");
}

#[tokio::test]
async fn a_changed_password_was_just_given() {
    let world = World::start().await;
    let [owner, olaf, ..] = staffed(&world).await;
    world.wait(DAY / 2);
    let request = v1::ChangePasswordRequest {
        current_password: PASSWORD.into(),
        new_password: "copper lantern 31 meadow".into(),
    };
    ok(world.by(&owner).passwords().change_password(request).await);
    ok(world.by(&owner).change_role(&olaf.user_id, Role::Admin).await);
}
