//! From an invitation to a removal, and back.

use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::Code;

use crate::support::{PASSWORD, World, refused};

#[tokio::test]
async fn a_person_is_invited_joins_is_promoted_removed_and_comes_back_as_the_same() {
    let world = World::start().await;
    let owner = world.workspace("Acme", "owner@acme.example").await;
    let request = v1::CreateInvitationRequest {
        email: "Gil@Acme.example".into(),
        role: Role::Agent.number(),
        ..Default::default()
    };
    let invitation =
        world.by(&owner).invitations().create_invitation(request).await.unwrap().into_inner().invitation.unwrap();
    assert_eq!(invitation.email, "gil@acme.example");
    assert_eq!(invitation.state(), v1::InvitationState::Pending);

    world.deliver().await;
    let mail = world.mail_to("gil@acme.example").pop().unwrap();
    assert!(mail.subject.contains("Acme"), "{}", mail.subject);
    assert!(mail.text.contains("Olga Owner") && mail.html.contains(&mail.token()));

    let preview = v1::PreviewInvitationRequest { invitation_token: mail.token() };
    let preview = world.nobody().invitations().preview_invitation(preview).await.unwrap().into_inner();
    assert_eq!(preview.workspace_name, "Acme");
    assert_eq!(preview.inviter_display_name, "Olga Owner");
    assert!(!preview.account_exists);

    let gil = world.accept(&mail.token(), "Gil Agent").await;
    let again = world.sign_in("gil@acme.example").await;
    assert_eq!(gil.user_id, again.user_id);

    let list = v1::ListUsersRequest::default();
    let low = refused(world.by(&gil).users().list_users(list.clone()).await);
    assert_eq!((low.code, low.reason()), (Code::PermissionDenied, "ROLE_TOO_LOW"));
    assert_eq!(low.metadata["requiredRole"], "ADMIN");

    let promote = v1::ChangeUserRoleRequest { user_id: gil.user_id.clone(), role: Role::Admin.number() };
    world.by(&owner).users().change_user_role(promote).await.unwrap();
    let users = world.by(&gil).users().list_users(list.clone()).await.unwrap().into_inner().users;
    assert_eq!(users.len(), 2);

    let remove = v1::RemoveUserRequest { user_id: gil.user_id.clone() };
    let removed = world.by(&owner).users().remove_user(remove).await.unwrap().into_inner();
    assert_eq!(removed.ended_session_count, 2);
    for session in [&gil, &again] {
        let ended = refused(world.by(session).sessions().get_session(v1::GetSessionRequest {}).await);
        assert_eq!((ended.code, ended.reason()), (Code::Unauthenticated, "SESSION_ENDED"));
    }
    let sign_in = v1::SignInRequest { email: gil.email.clone(), password: PASSWORD.into(), ..Default::default() };
    assert_eq!(refused(world.nobody().sessions().sign_in(sign_in).await).reason(), "INVALID_CREDENTIALS");

    let past = v1::GetUserRequest { user_id: gil.user_id.clone() };
    let past = world.by(&owner).users().get_user(past).await.unwrap().into_inner().user.unwrap();
    assert_eq!((past.display_name.as_str(), past.state()), ("Gil Agent", v1::UserState::Removed));

    let token = world.invite(&owner, "gil@acme.example", Role::Manager).await;
    let back = world.accept(&token, "ignored").await;
    assert_eq!(back.user_id, gil.user_id);
    assert_eq!(
        refused(world.by(&gil).sessions().get_session(v1::GetSessionRequest {}).await).reason(),
        "SESSION_ENDED"
    );
    world.stop().await;
}
