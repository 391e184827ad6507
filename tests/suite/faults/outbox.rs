//! An e-mail that was sent when the process died.

use std::time::Duration;

use rolecall::grpc::pb::v1;
use rolecall::mail::Mailer;
use rolecall::model::Role;

use crate::support::{PASSWORD, World, token_in};

async fn state_of(world: &World, token: &str) -> (v1::InvitationState, bool) {
    let request = v1::PreviewInvitationRequest { invitation_token: token.into() };
    let preview = world.nobody().invitations().preview_invitation(request).await.unwrap().into_inner();
    (preview.state(), preview.superseded)
}

#[tokio::test]
async fn an_email_that_was_sent_but_not_settled_goes_out_again_after_its_lease_and_both_links_work() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let request = v1::CreateInvitationRequest {
        email: "gil@acme.example".into(),
        role: Role::Agent.number(),
        request_id: String::new(),
    };
    let created = world.by(&owner).invitations().create_invitation(request).await.unwrap().into_inner();
    let invitation_id = created.invitation.unwrap().invitation_id;

    // It is claimed and sent, and the process dies.
    let outgoing = world.claim_email().await;
    let folder = format!("file:{}", world.folder().join("mail").display());
    let mailer = Mailer::from_url(&folder.into(), "Rolecall <no-reply@rolecall.example>").unwrap();
    mailer.send(&outgoing.email, Duration::from_secs(60)).await.unwrap();
    let first = token_in(&outgoing.email.text);

    // While the lease runs nobody takes it over.
    world.clock.advance(Duration::from_secs(119));
    world.deliver().await;
    assert_eq!(world.mail_to("gil@acme.example").len(), 1);
    world.clock.advance(Duration::from_secs(1));
    world.deliver().await;
    let mails = world.mail_to("gil@acme.example");
    assert_eq!(mails.len(), 2);
    let second = mails[1].token();
    assert_ne!(first, second);
    for token in [&first, &second] {
        assert_eq!(state_of(&world, token).await, (v1::InvitationState::Pending, false));
    }

    // Whoever comes late says nothing any more: its link stays, and so does what the second said.
    let refused = rolecall::app::DeliveryOutcome::Ok(());
    world.app.settle_email(&outgoing, &refused).await.unwrap();
    let request = v1::GetInvitationRequest { invitation_id };
    let invitation = world.by(&owner).invitations().get_invitation(request).await.unwrap().into_inner();
    let delivery = invitation.invitation.unwrap().delivery.unwrap();
    assert_eq!((delivery.state(), delivery.attempt_count), (v1::DeliveryState::Sent, 1));

    let gil = world.accept(&first, "Gil Agent").await;
    let again = v1::AcceptInvitationRequest {
        invitation_token: second,
        display_name: "Gil Agent".into(),
        password: PASSWORD.into(),
    };
    let again = world.nobody().invitations().accept_invitation(again).await.unwrap().into_inner();
    assert_eq!(again.user.unwrap().user_id, gil.user_id);
    world.stop().await;
}
