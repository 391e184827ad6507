//! The calls of the contract in one line each: what a test says is who does what to whom.

use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use tonic::{Response, Status};

use super::As;

type Answer<T> = Result<Response<T>, Status>;

/// The answer to a call that must have gone well.
pub fn ok<T>(result: Answer<T>) -> T {
    match result {
        Ok(response) => response.into_inner(),
        Err(status) => panic!("it was refused: {status:?}"),
    }
}

impl As {
    pub async fn change_role(&self, user: &str, role: Role) -> Answer<v1::ChangeUserRoleResponse> {
        let request = v1::ChangeUserRoleRequest { user_id: user.into(), role: role.number() };
        self.users().change_user_role(request).await
    }

    pub async fn remove(&self, user: &str) -> Answer<v1::RemoveUserResponse> {
        self.users().remove_user(v1::RemoveUserRequest { user_id: user.into() }).await
    }

    pub async fn leave(&self) -> Answer<v1::LeaveWorkspaceResponse> {
        self.users().leave_workspace(v1::LeaveWorkspaceRequest {}).await
    }

    pub async fn get_user(&self, user: &str) -> Answer<v1::GetUserResponse> {
        self.users().get_user(v1::GetUserRequest { user_id: user.into() }).await
    }

    pub async fn call_myself(&self, name: &str) -> Answer<v1::UpdateProfileResponse> {
        self.users().update_profile(v1::UpdateProfileRequest { display_name: Some(name.into()) }).await
    }

    pub async fn create_invitation(&self, email: &str, role: Role) -> Answer<v1::CreateInvitationResponse> {
        let request =
            v1::CreateInvitationRequest { email: email.into(), role: role.number(), request_id: String::new() };
        self.invitations().create_invitation(request).await
    }

    pub async fn get_invitation(&self, id: &str) -> Answer<v1::GetInvitationResponse> {
        self.invitations().get_invitation(v1::GetInvitationRequest { invitation_id: id.into() }).await
    }

    pub async fn resend(&self, id: &str) -> Answer<v1::ResendInvitationResponse> {
        let request = v1::ResendInvitationRequest { invitation_id: id.into(), request_id: String::new() };
        self.invitations().resend_invitation(request).await
    }

    pub async fn cancel(&self, id: &str) -> Answer<v1::CancelInvitationResponse> {
        self.invitations().cancel_invitation(v1::CancelInvitationRequest { invitation_id: id.into() }).await
    }

    pub async fn preview(&self, token: &str) -> Answer<v1::PreviewInvitationResponse> {
        let request = v1::PreviewInvitationRequest { invitation_token: token.into() };
        self.invitations().preview_invitation(request).await
    }

    pub async fn accept(&self, token: &str, name: &str, password: &str) -> Answer<v1::AcceptInvitationResponse> {
        let request = v1::AcceptInvitationRequest {
            invitation_token: token.into(),
            display_name: name.into(),
            password: password.into(),
        };
        self.invitations().accept_invitation(request).await
    }

    /// Signs in; an empty workspace leaves the choice to the service.
    pub async fn sign_in(&self, email: &str, password: &str, workspace: &str) -> Answer<v1::SignInResponse> {
        let request = v1::SignInRequest {
            email: email.into(),
            password: password.into(),
            workspace_id: workspace.into(),
            device_token: String::new(),
        };
        self.sessions().sign_in(request).await
    }

    pub async fn switch_to(&self, workspace: &str) -> Answer<v1::SwitchWorkspaceResponse> {
        self.sessions().switch_workspace(v1::SwitchWorkspaceRequest { workspace_id: workspace.into() }).await
    }

    pub async fn get_session(&self) -> Answer<v1::GetSessionResponse> {
        self.sessions().get_session(v1::GetSessionRequest {}).await
    }

    pub async fn revoke(&self, session: &str) -> Answer<v1::RevokeSessionResponse> {
        self.sessions().revoke_session(v1::RevokeSessionRequest { session_id: session.into() }).await
    }

    pub async fn revoke_others(&self) -> Answer<v1::RevokeOtherSessionsResponse> {
        self.sessions().revoke_other_sessions(v1::RevokeOtherSessionsRequest {}).await
    }

    pub async fn sign_out(&self) -> Answer<v1::SignOutResponse> {
        self.sessions().sign_out(v1::SignOutRequest {}).await
    }

    pub async fn reauthenticate(&self, password: &str) -> Answer<v1::ReauthenticateResponse> {
        self.sessions().reauthenticate(v1::ReauthenticateRequest { password: password.into() }).await
    }

    /// All the caller's live sessions, newest first.
    pub async fn all_sessions(&self) -> Vec<v1::Session> {
        let request = v1::ListSessionsRequest { page_size: 200, ..Default::default() };
        ok(self.sessions().list_sessions(request).await).sessions
    }

    /// The newest 200 events of these kinds, newest first; of all kinds if none is named.
    pub async fn events(&self, actions: &[v1::AuditAction]) -> Vec<v1::AuditEvent> {
        let actions = actions.iter().map(|action| i32::from(*action)).collect();
        let request = v1::ListAuditEventsRequest { page_size: 200, actions, ..Default::default() };
        ok(self.audit().list_audit_events(request).await).events
    }
}
