//! Quotas against mail abuse, with the numbers that the program has by default.

use std::time::Duration;

use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::Code;
use tonic_types::StatusExt;

use crate::support::{PASSWORD, Person, Refused, World};

const MINUTE: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn invite(world: &World, by: &Person, email: &str) -> Result<v1::Invitation, tonic::Status> {
    let request = v1::CreateInvitationRequest { email: email.into(), role: Role::Agent.number(), ..Default::default() };
    Ok(world.by(by).invitations().create_invitation(request).await?.into_inner().invitation.unwrap())
}

async fn resend(world: &World, by: &Person, id: &str) -> Result<(), tonic::Status> {
    let request = v1::ResendInvitationRequest { invitation_id: id.into(), ..Default::default() };
    world.by(by).invitations().resend_invitation(request).await.map(drop)
}

/// The refusal over a quota, which is named, and after how long it says to try again.
fn over<T: std::fmt::Debug>(quota: &str, limit: &str, outcome: Result<T, tonic::Status>) -> Duration {
    let status = outcome.unwrap_err();
    let refused = Refused::from_status(&status);
    assert_eq!((refused.code, refused.reason()), (Code::ResourceExhausted, "QUOTA_EXCEEDED"));
    assert_eq!([&refused.metadata["quota"], &refused.metadata["limit"]], [quota, limit]);
    status.get_error_details().retry_info().unwrap().retry_delay.unwrap()
}

#[tokio::test]
async fn a_workspace_sends_sixty_invitations_a_minute_and_five_hundred_a_day() {
    let world = World::start_with_quotas().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let other = world.workspace("Bolt", "owner@bolt.example").await;
    for number in 0..500 {
        if number > 0 && number % 60 == 0 {
            assert_eq!(over("INVITATIONS_PER_MINUTE", "60", invite(&world, &owner, "late@acme.example").await), MINUTE);
            world.clock.advance(MINUTE);
        }
        invite(&world, &owner, &format!("p{number}@acme.example")).await.unwrap();
    }
    world.clock.advance(MINUTE);
    let wait = over("INVITATIONS_PER_DAY", "500", invite(&world, &owner, "late@acme.example").await);
    assert_eq!(wait, DAY - 9 * MINUTE);
    invite(&world, &other, "p0@acme.example").await.unwrap();
    world.clock.advance(wait);
    let owner = world.sign_in(&owner.email).await;
    invite(&world, &owner, "late@acme.example").await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn an_invitation_is_sent_again_after_a_minute_and_five_times_a_day() {
    let world = World::start_with_quotas().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let id = invite(&world, &owner, "gil@acme.example").await.unwrap().invitation_id;
    for _ in 0..5 {
        assert_eq!(over("RESEND_INTERVAL", "1", resend(&world, &owner, &id).await), MINUTE);
        world.clock.advance(MINUTE);
        resend(&world, &owner, &id).await.unwrap();
    }
    world.clock.advance(MINUTE);
    let wait = over("RESENDS_PER_DAY", "5", resend(&world, &owner, &id).await);
    assert_eq!(wait, DAY - 5 * MINUTE);
    world.clock.advance(wait);
    let owner = world.sign_in(&owner.email).await;
    resend(&world, &owner, &id).await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn a_recipient_gets_twenty_emails_a_day_from_all_workspaces_together() {
    let world = World::start_with_quotas().await;
    let key = world.service_key("billing", &[ServiceScope::ProvisionWorkspaces], None).await;
    let mut owners = Vec::new();
    for number in 0..20 {
        let owner = world.workspace(&format!("W{number}"), &format!("owner{number}@acme.example")).await;
        invite(&world, &owner, "victim@acme.example").await.unwrap();
        owners.push(owner);
    }
    let last = world.workspace("Last", "owner@last.example").await;
    assert_eq!(over("EMAILS_PER_DAY", "20", invite(&world, &last, "Victim@acme.example").await), DAY);
    world.clock.advance(MINUTE);
    let list = v1::ListInvitationsRequest::default();
    let sent = world.by(&owners[0]).invitations().list_invitations(list).await.unwrap().into_inner();
    over("EMAILS_PER_DAY", "20", resend(&world, &owners[0], &sent.invitations[0].invitation_id).await);
    let request = v1::CreateWorkspaceRequest {
        name: "Trap".into(),
        owner_email: "victim@acme.example".into(),
        ..Default::default()
    };
    over("EMAILS_PER_DAY", "20", world.with_token(&key).workspaces().create_workspace(request).await);
    let request = v1::RequestPasswordResetRequest { email: "victim@acme.example".into() };
    let queued = "SELECT count(*) FROM outbox";
    let before = world.outside().await.number(queued).await;
    world.nobody().passwords().request_password_reset(request).await.unwrap();
    assert_eq!(world.outside().await.number(queued).await, before);
    invite(&world, &last, "other@acme.example").await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn asking_for_resets_keeps_nobody_from_being_invited() {
    let world = World::start_with_quotas().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    for hour in 0..5 {
        for _ in 0..5 {
            let ask = v1::RequestPasswordResetRequest { email: "gil@acme.example".into() };
            world.nobody().passwords().request_password_reset(ask).await.unwrap();
        }
        if hour < 4 {
            world.clock.advance(60 * MINUTE);
        }
    }
    invite(&world, &owner, "gil@acme.example").await.unwrap();
    world.stop().await;
}

#[tokio::test]
async fn resets_over_the_quota_are_answered_alike_send_nothing_and_leave_the_last_link_alive() {
    let world = World::start_with_quotas().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let ask = |email: &'static str| {
        let request = v1::RequestPasswordResetRequest { email: email.into() };
        let mut passwords = world.nobody().passwords();
        async move { passwords.request_password_reset(request).await.unwrap() }
    };
    for _ in 0..9 {
        ask("owner@acme.example").await;
        ask("nobody@acme.example").await;
        world.deliver().await;
        world.tick();
    }
    let mails = world.mail_to(&owner.email);
    assert_eq!(mails.len(), 5);
    assert!(world.mail_to("nobody@acme.example").is_empty());
    let request = v1::ResetPasswordRequest {
        reset_token: mails[4].reset_token(),
        new_password: "copper lantern 31 meadow".into(),
    };
    world.nobody().passwords().reset_password(request).await.unwrap();
    // The first of the five leaves the hour that they count in.
    world.clock.advance(Duration::from_secs(60 * 60 - 9));
    ask("owner@acme.example").await;
    world.deliver().await;
    assert_eq!(world.mail_to(&owner.email).len(), 6);
    world.stop().await;
}

#[tokio::test]
async fn a_network_has_a_hundred_resets_an_hour_mailed_and_is_answered_alike_after_that() {
    let world = World::start_throttled(|config| config.trusted_peers = vec!["127.0.0.1".parse().unwrap()]).await;
    world.workspace("Acme", "owner@acme.example").await;
    let ask = async |address: &str, email: &str| {
        let from = world.nobody().and("rolecall-client-address", address);
        let request = v1::RequestPasswordResetRequest { email: email.into() };
        from.passwords().request_password_reset(request).await.unwrap().into_inner();
        world.deliver().await;
    };
    let mails = || world.mail_to("owner@acme.example").len();
    for number in 0..100 {
        ask("203.0.113.7", &format!("p{number}@acme.example")).await;
    }
    let database = world.outside().await;
    let queued = database.number("SELECT count(*) FROM outbox").await;
    ask("203.0.113.200", "owner@acme.example").await;
    ask("203.0.113.7", "nobody@acme.example").await;
    assert_eq!((mails(), database.number("SELECT count(*) FROM outbox").await), (0, queued));
    // Others are not held up, by whomever they are asked for, nor is anybody kept from signing in.
    ask("203.0.114.7", "owner@acme.example").await;
    assert_eq!(mails(), 1);
    let from = world.nobody().and("rolecall-client-address", "203.0.113.7");
    from.sign_in("owner@acme.example", PASSWORD, "").await.unwrap();
    world.clock.advance(60 * MINUTE);
    ask("203.0.113.200", "owner@acme.example").await;
    assert_eq!(mails(), 2);
    world.stop().await;
}

#[tokio::test]
async fn a_gateway_that_names_no_client_has_any_number_of_resets() {
    let world = World::start_throttled(|config| config.trusted_peers = vec!["127.0.0.1".parse().unwrap()]).await;
    world.workspace("Acme", "owner@acme.example").await;
    for number in 0..101 {
        let request = v1::RequestPasswordResetRequest { email: format!("p{number}@acme.example") };
        world.nobody().passwords().request_password_reset(request).await.unwrap();
    }
    let request = v1::RequestPasswordResetRequest { email: "owner@acme.example".into() };
    world.nobody().passwords().request_password_reset(request).await.unwrap();
    world.deliver().await;
    assert_eq!(world.mail_to("owner@acme.example").len(), 1);
    world.stop().await;
}
