//! The same request made many times at once.

use std::collections::BTreeSet;

use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;

use super::{at_once, create, request_id};
use crate::support::{World, outcome};

const AT_ONCE: usize = 32;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_request_made_many_times_at_once_invites_and_mails_once_and_so_does_sending_again() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let database = world.outside().await;
    for round in 0..8 {
        let email = format!("guest-{round}@acme.example");
        let caller = world.by(&owner);
        let request = create(&email, Role::Agent, &request_id(round));
        let calls =
            (0..AT_ONCE).map(|_| {
                let (caller, request) = (caller.clone(), request.clone());
                async move {
                    caller.invitations().create_invitation(request).await.unwrap().into_inner().invitation.unwrap()
                }
            });
        let ids: BTreeSet<String> =
            at_once(calls.collect()).await.into_iter().map(|invitation| invitation.invitation_id).collect();
        assert_eq!(ids.len(), 1, "one invitation, answered {AT_ONCE} times");
        world.deliver().await;
        assert_eq!(world.mail_to(&email).len(), 1);

        let request = v1::ResendInvitationRequest {
            invitation_id: ids.first().unwrap().clone(),
            request_id: request_id(100 + round),
        };
        let calls = (0..AT_ONCE).map(|_| {
            let (caller, request) = (caller.clone(), request.clone());
            async move { outcome(&caller.invitations().resend_invitation(request).await) }
        });
        assert!(at_once(calls.collect()).await.iter().all(|answer| answer == "OK"));
        world.deliver().await;
        assert_eq!(world.mail_to(&email).len(), 2);
    }
    assert_eq!(database.number("SELECT count(*) FROM audit_event WHERE action IN (3, 4)").await, 16);
    database.assert_whole().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_request_id_for_different_requests_at_once_has_one_effect() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let database = world.outside().await;
    for round in 0..8 {
        let calls = (0..AT_ONCE).map(|number| {
            let caller = world.by(&owner);
            let request = create(&format!("guest-{round}-{number}@acme.example"), Role::Agent, &request_id(round));
            async move { outcome(&caller.invitations().create_invitation(request).await) }
        });
        let mut answers = at_once(calls.collect()).await;
        answers.sort();
        assert_eq!(answers[0], "OK");
        assert!(answers[1..].iter().all(|answer| answer == "REQUEST_ID_REUSED"), "{answers:?}");
    }
    assert_eq!(database.number("SELECT count(*) FROM invitation WHERE NOT founding").await, 8);
    database.assert_whole().await;
    world.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn one_request_made_many_times_at_once_creates_one_workspace() {
    let world = World::start().await;
    let key = world.service_key("provisioner", &[ServiceScope::ProvisionWorkspaces], None).await;
    let caller = world.with_token(&key);
    let database = world.outside().await;
    for round in 0..8 {
        let request = v1::CreateWorkspaceRequest {
            name: format!("Workspace {round}"),
            owner_email: format!("owner-{round}@acme.example"),
            request_id: request_id(round),
        };
        let calls = (0..AT_ONCE).map(|_| {
            let (caller, request) = (caller.clone(), request.clone());
            async move {
                let made = caller.workspaces().create_workspace(request).await.unwrap().into_inner();
                (made.workspace.unwrap().workspace_id, made.invitation.unwrap().invitation_id)
            }
        });
        let made: BTreeSet<_> = at_once(calls.collect()).await.into_iter().collect();
        assert_eq!(made.len(), 1);
        world.deliver().await;
        assert_eq!(world.mail_to(&format!("owner-{round}@acme.example")).len(), 1);
    }
    assert_eq!(database.number("SELECT count(*) FROM workspace").await, 8);
    database.assert_whole().await;
    world.stop().await;
}
