//! Known failures of such systems: more right than one has, by way of what is meant for something else.

use prost::Message;
use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;

use crate::support::{Contract, Field, PASSWORD, World, contract, ok, refused};

const ATTACKERS: &str = "granite pillow 19 comet";

#[tokio::test]
async fn resending_an_invitation_raises_nobodys_role() {
    let world = World::start().await;
    let olga = world.workspace("Acme", "olga@acme.example").await;
    let ada = world.join(&olga, "ada@acme.example", Role::Admin).await;
    let by = world.by(&ada);
    let sent = ok(by.create_invitation("gil@acme.example", Role::Agent).await).invitation.unwrap();
    // Whatever number a later version or a guess might give to a role.
    let mut wire =
        v1::ResendInvitationRequest { invitation_id: sent.invitation_id.clone(), ..Default::default() }.encode_to_vec();
    for number in [3, 4, 5, 61873] {
        wire.extend(Field::plain(number).number(Role::Owner.number().into()));
    }
    let answer = by.raw("/rolecall.v1.InvitationService/ResendInvitation", wire).await.unwrap().into_inner();
    let resent = v1::ResendInvitationResponse::decode(&answer[..]).unwrap().invitation.unwrap();
    assert_eq!(resent.role(), v1::Role::Agent);
    world.deliver().await;
    let gil = world.accept(&world.mail_to("gil@acme.example").pop().unwrap().token(), "Gil").await;
    assert_eq!(ok(world.by(&gil).get_session().await).user.unwrap().role(), v1::Role::Agent);

    // Nor does an Admin come to stand for an Owner's invitation, even their own.
    let owners = ok(world.by(&olga).create_invitation("ada+2@acme.example", Role::Owner).await).invitation.unwrap();
    assert_eq!(refused(by.resend(&owners.invitation_id).await).reason(), "OWNER_REQUIRED");
    let kept = ok(world.by(&olga).get_invitation(&owners.invitation_id).await).invitation.unwrap();
    assert_eq!(kept.invited_by_user_id, olga.user_id);
    let key = world.service_key("billing", &[ServiceScope::ProvisionWorkspaces], Some(&olga.workspace_id)).await;
    assert_eq!(refused(world.with_token(&key).resend(&owners.invitation_id).await).reason(), "SESSION_REQUIRED");
    world.stop().await;
}

#[tokio::test]
async fn an_admin_cannot_set_or_learn_what_resets_an_owners_password() {
    // No method takes both whose password it is and the password.
    for method in Contract::read().methods {
        let fields: Vec<String> =
            contract::fields(&format!(".rolecall.v1.{}", method.request)).into_iter().map(|it| it.0).collect();
        let sets = fields.iter().any(|name| name.contains("password"));
        let chooses = fields.iter().any(|name| name.ends_with("user_id") || name.ends_with("user_ids"));
        assert!(!(sets && chooses), "{}: {fields:?}", method.name);
    }

    let world = World::start().await;
    let olga = world.workspace("Acme", "olga@acme.example").await;
    let ada = world.join(&olga, "ada@acme.example", Role::Admin).await;
    let by = world.by(&ada);
    let ask = v1::RequestPasswordResetRequest { email: olga.email.clone() };
    assert_eq!(ok(by.passwords().request_password_reset(ask).await), v1::RequestPasswordResetResponse {});
    world.deliver().await;
    let link = world.mail_to(&olga.email).pop().unwrap().reset_token();
    let seen = format!(
        "{:?} {:?}",
        by.events(&[]).await,
        ok(by.invitations().list_invitations(v1::ListInvitationsRequest::default()).await)
    );
    assert!(!seen.contains(&link[4..]), "an Admin sees the link");
    assert!(world.mail_to(&ada.email).iter().all(|mail| !mail.text.contains("rcp_")));

    // A workspace of the Admin's own, in which the Owner of this one is a guest, gives no hold on the account either.
    let trap = world.workspace("Trap", "ada@trap.example").await;
    let invitation = world.invite(&trap, &olga.email, Role::Agent).await;
    assert_eq!(refused(world.nobody().accept(&invitation, "Olga", ATTACKERS).await).reason(), "INVALID_CREDENTIALS");
    assert_eq!(refused(world.nobody().sign_in(&olga.email, ATTACKERS, "").await).reason(), "INVALID_CREDENTIALS");
    ok(world.nobody().sign_in(&olga.email, PASSWORD, "").await);
    world.stop().await;
}

#[tokio::test]
async fn accepting_an_invitation_does_not_overwrite_the_password_of_an_account_that_exists() {
    let world = World::start().await;
    let olga = world.workspace("Acme", "olga@acme.example").await;
    let gil = world.join(&olga, "gil@acme.example", Role::Agent).await;
    let mallory = world.workspace("Trap", "mallory@trap.example").await;
    // Whoever has the mailbox has the link too, and that is not enough.
    let link = world.invite(&mallory, &gil.email, Role::Agent).await;
    assert!(ok(world.nobody().preview(&link).await).account_exists);
    for (name, password) in [("Mallory", ATTACKERS), ("", "")] {
        refused(world.nobody().accept(&link, name, password).await);
    }
    refused(world.nobody().sign_in(&gil.email, ATTACKERS, "").await);
    assert_eq!(ok(world.by(&gil).get_session().await).user.unwrap().display_name, "gil");
    // By its own password the account joins, keeps its name and its sessions, and is the same.
    let joined = ok(world.nobody().accept(&link, "Mallory", PASSWORD).await);
    assert_eq!(joined.user.as_ref().map(|user| (&*user.user_id, &*user.display_name)), Some((&*gil.user_id, "gil")));
    ok(world.by(&gil).get_session().await);
    ok(world.nobody().sign_in(&gil.email, PASSWORD, &olga.workspace_id).await);
    world.stop().await;
}
