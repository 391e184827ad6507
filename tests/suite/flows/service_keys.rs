//! What other services do with their keys.

use rolecall::app::CreateServiceKey;
use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::{Role, WorkspaceId, parse_uuid};
use secrecy::ExposeSecret;
use tonic::Code;

use super::{HOUR, MINUTE, NOBODY, SECOND, WEEK};
use crate::support::{As, World, ok, refused};

async fn workspace(by: &As) -> Result<tonic::Response<v1::GetWorkspaceResponse>, tonic::Status> {
    by.workspaces().get_workspace(v1::GetWorkspaceRequest {}).await
}

#[tokio::test]
async fn a_workspace_is_provisioned_by_a_key_and_founded_by_whoever_accepts() {
    let world = World::start().await;
    let key = world.service_key("shop", &[ServiceScope::ProvisionWorkspaces], None).await;
    let key = world.with_token(&key);
    let request = v1::CreateWorkspaceRequest {
        name: "Acme".into(),
        owner_email: "Owner@Acme.example".into(),
        ..Default::default()
    };
    let created = ok(key.workspaces().create_workspace(request).await);
    let (workspace, invitation) = (created.workspace.unwrap(), created.invitation.unwrap());
    assert_eq!((invitation.email.as_str(), invitation.role()), ("owner@acme.example", v1::Role::Owner));
    assert_eq!((invitation.state(), invitation.invited_by_user_id.as_str()), (v1::InvitationState::Pending, ""));
    world.deliver().await;
    let first = world.mail_to("owner@acme.example")[0].token();
    let preview = ok(world.nobody().preview(&first).await);
    assert_eq!((preview.workspace_name.as_str(), preview.inviter_display_name.as_str()), ("Acme", ""));

    // Until then the key may send it again, expired or not; which workspace it says beside the request.
    world.wait(WEEK);
    assert_eq!(refused(key.resend(&invitation.invitation_id).await).reason(), "WORKSPACE_REQUIRED");
    assert_eq!(
        refused(key.in_workspace(NOBODY).resend(&invitation.invitation_id).await).reason(),
        "WORKSPACE_NOT_FOUND"
    );
    let there = key.in_workspace(&workspace.workspace_id);
    assert_eq!(refused(there.resend(NOBODY).await).reason(), "INVITATION_NOT_FOUND");
    assert_eq!(ok(there.resend(&invitation.invitation_id).await).invitation.unwrap().invited_by_user_id, "");
    world.deliver().await;
    let owner = world.accept(&world.mail_to("owner@acme.example")[1].token(), "Olga").await;
    assert_eq!(ok(world.by(&owner).get_session().await).workspace.unwrap().role(), v1::Role::Owner);

    let founded = refused(there.resend(&invitation.invitation_id).await);
    assert_eq!((founded.code, founded.reason()), (Code::FailedPrecondition, "WORKSPACE_FOUNDED"));
    let ordinary = ok(world.by(&owner).create_invitation("gil@acme.example", Role::Agent).await).invitation.unwrap();
    let refusal = refused(there.resend(&ordinary.invitation_id).await);
    assert_eq!((refusal.code, refusal.reason()), (Code::PermissionDenied, "SESSION_REQUIRED"));
}

#[tokio::test]
async fn a_key_acts_in_the_workspace_that_it_names_and_says_so_if_it_names_none() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let key = world.service_key("crm", &[ServiceScope::ReadUsers, ServiceScope::ReadAudit], None).await;
    let key = world.with_token(&key);
    for (owner, name) in [(&acme, "Acme"), (&birch, "Birch")] {
        let there = key.in_workspace(&owner.workspace_id);
        assert_eq!(ok(workspace(&there).await).workspace.unwrap().name, name);
        let users = ok(there.users().list_users(v1::ListUsersRequest::default()).await).users;
        assert_eq!(users.iter().map(|user| &user.user_id).collect::<Vec<_>>(), [&owner.user_id]);
    }
    let (list, batch) = (v1::ListUsersRequest::default(), v1::BatchGetUsersRequest { user_ids: vec![NOBODY.into()] });
    for (by, expected) in [
        (key.clone(), (Code::InvalidArgument, "WORKSPACE_REQUIRED")),
        (key.in_workspace(NOBODY), (Code::NotFound, "WORKSPACE_NOT_FOUND")),
        (key.in_workspace("nonsense"), (Code::InvalidArgument, "FIELD_INVALID")),
        (key.in_workspace(NOBODY).in_workspace(NOBODY), (Code::InvalidArgument, "FIELD_INVALID")),
    ] {
        for refusal in [
            refused(workspace(&by).await),
            refused(by.users().list_users(list.clone()).await),
            refused(by.users().batch_get_users(batch.clone()).await),
            refused(by.get_user(&acme.user_id).await),
            refused(by.audit().list_audit_events(v1::ListAuditEventsRequest::default()).await),
        ] {
            assert_eq!((refusal.code, refusal.reason()), expected);
            if refusal.code == Code::InvalidArgument {
                let violation = if refusal.reason() == "WORKSPACE_REQUIRED" { "REQUIRED" } else { "MALFORMED" };
                assert_eq!(refusal.fields, [("rolecall-workspace-id".into(), violation.into())]);
            }
        }
    }
}

#[tokio::test]
async fn a_key_that_is_bound_to_a_workspace_knows_no_other() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let birch = world.workspace("Birch", "owner@birch.example").await;
    let scopes = [ServiceScope::ReadUsers, ServiceScope::ProvisionWorkspaces];
    let key = world.service_key("crm", &scopes, Some(&acme.workspace_id)).await;
    let key = world.with_token(&key);
    assert_eq!(ok(workspace(&key).await).workspace.unwrap().name, "Acme");
    assert_eq!(ok(workspace(&key.in_workspace(&acme.workspace_id)).await).workspace.unwrap().name, "Acme");
    let foreign = refused(workspace(&key.in_workspace(&birch.workspace_id)).await);
    assert_eq!((foreign.code, foreign.reason()), (Code::NotFound, "WORKSPACE_NOT_FOUND"));
    assert_eq!(refused(workspace(&key.in_workspace(NOBODY)).await), foreign);
    let request =
        v1::CreateWorkspaceRequest { name: "C".into(), owner_email: "c@c.example".into(), ..Default::default() };
    let refusal = refused(key.workspaces().create_workspace(request).await);
    assert_eq!((refusal.code, refusal.reason()), (Code::PermissionDenied, "SCOPE_MISSING"));
    assert_eq!(refusal.metadata["requiredScope"], "PROVISION_WORKSPACES");
}

#[tokio::test]
async fn a_key_does_what_its_scopes_say_and_nothing_that_is_a_persons() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let key = world.service_key("audit", &[ServiceScope::ReadAudit], Some(&acme.workspace_id)).await;
    let key = world.with_token(&key);
    ok(key.audit().list_audit_events(v1::ListAuditEventsRequest::default()).await);
    let missing = refused(key.get_user(&acme.user_id).await);
    assert_eq!((missing.code, missing.reason()), (Code::PermissionDenied, "SCOPE_MISSING"));
    assert_eq!(missing.metadata["requiredScope"], "READ_USERS");
    for refusal in [
        refused(key.get_session().await),
        refused(key.remove(&acme.user_id).await),
        refused(key.create_invitation("gil@acme.example", Role::Agent).await),
        refused(key.sign_out().await),
    ] {
        assert_eq!((refusal.code, refusal.reason()), (Code::PermissionDenied, "SESSION_REQUIRED"));
    }
    let request =
        v1::CreateWorkspaceRequest { name: "C".into(), owner_email: "c@c.example".into(), ..Default::default() };
    let person = refused(world.by(&acme).workspaces().create_workspace(request).await);
    assert_eq!((person.reason(), person.metadata["requiredScope"].as_str()), ("SCOPE_MISSING", "PROVISION_WORKSPACES"));
}

#[tokio::test]
async fn a_key_is_dead_the_moment_that_it_is_revoked_or_expires() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let revoked = world.service_key("revoked", &[ServiceScope::ReadUsers], Some(&acme.workspace_id)).await;
    let expiring = CreateServiceKey {
        name: "expiring".into(),
        scopes: vec![ServiceScope::ReadUsers],
        workspace: Some(WorkspaceId::new(parse_uuid(&acme.workspace_id).unwrap())),
        expire_time: Some(world.clock.now().plus(HOUR)),
    };
    let expiring = world.app.create_service_key(&expiring).await.unwrap().expose_secret().to_owned();
    let dead = async |key: &str| {
        let refusal = refused(workspace(&world.with_token(key)).await);
        assert_eq!((refusal.code, refusal.reason()), (Code::Unauthenticated, "SERVICE_KEY_INVALID"));
    };
    ok(workspace(&world.with_token(&revoked)).await);
    assert!(world.app.revoke_service_key("revoked").await.unwrap());
    dead(&revoked).await;
    assert!(world.app.revoke_service_key("revoked").await.unwrap(), "revoking it again is fine");
    assert!(!world.app.revoke_service_key("unknown").await.unwrap());

    world.wait(HOUR - SECOND);
    ok(workspace(&world.with_token(&expiring)).await);
    world.wait(SECOND);
    dead(&expiring).await;
    for key in ["rck_", "rck_nonsense", &revoked[..46]] {
        dead(key).await;
    }
    // Its name stays taken.
    let again = CreateServiceKey { name: "revoked".into(), scopes: vec![], workspace: None, expire_time: None };
    let taken = world.app.create_service_key(&again).await.unwrap_err();
    assert_eq!(taken.violations()[0].field, "name");
}

#[tokio::test]
async fn the_list_of_keys_shows_the_last_use_and_no_key() {
    let world = World::start().await;
    let acme = world.workspace("Acme", "owner@acme.example").await;
    let used = world.service_key("used", &[ServiceScope::ReadUsers], Some(&acme.workspace_id)).await;
    world.service_key("unused", &[ServiceScope::CheckAccess], None).await;
    world.wait(MINUTE);
    let at = world.clock.now();
    ok(workspace(&world.with_token(&used)).await);
    world.wait(MINUTE);
    let last = async || {
        let keys = world.app.service_keys().await.unwrap();
        keys.into_iter().map(|key| (key.name, key.last_used_time)).collect::<Vec<_>>()
    };
    assert_eq!(last().await, [("unused".to_owned(), None), ("used".to_owned(), None)]);
    world.app.record_use().await.unwrap();
    assert_eq!(last().await, [("unused".to_owned(), None), ("used".to_owned(), Some(at))]);
    let shown = format!("{:?}", world.app.service_keys().await.unwrap());
    assert!(!shown.contains(&used[4..]), "{shown}");
}
