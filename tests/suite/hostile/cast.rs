//! Who and what the hostile calls are made of: a workspace that works, and another one that must stay out of reach.

use prost::Message;
use rolecall::authz::ServiceScope;
use rolecall::grpc::pb::v1;
use rolecall::model::Role;
use v1::check_access_request::{Requirement, Subject};

use crate::support::{As, PASSWORD, Person, World};

pub struct Cast {
    pub owner: Person,
    /// A key with every scope, for any workspace.
    key: String,
    /// A live session's token.
    pub session_token: String,
    /// The token of an invitation that nobody has accepted.
    pub invitation_token: String,
    /// The token of a password reset that nobody has used. It is that of the first colleague.
    pub reset_token: String,
    pending: [String; 2],
    colleagues: [Person; 2],
    other_sign_in: Person,
    foreign: Person,
    foreign_invitation: String,
}

/// Who makes a call.
#[derive(Clone, Copy, Debug)]
pub enum Who {
    Nobody,
    Owner,
    Key,
}

/// A call that succeeds as it stands.
pub struct Call {
    pub service: &'static str,
    pub method: &'static str,
    pub who: Who,
    pub message: Vec<u8>,
}

impl Cast {
    pub async fn gather(world: &World) -> Self {
        let owner = world.workspace("Acme", "owner@acme.example").await;
        let foreign = world.workspace("Other", "owner@other.example").await;
        world.invite(&foreign, "guest@other.example", Role::Agent).await;
        let foreign_invitation = only_invitation(world, &foreign, "guest@other.example").await;
        let mut pending = Vec::new();
        for email in ["one@acme.example", "two@acme.example"] {
            world.invite(&owner, email, Role::Agent).await;
            pending.push(only_invitation(world, &owner, email).await);
        }
        let colleagues = [
            world.join(&owner, "gil@acme.example", Role::Agent).await,
            world.join(&owner, "max@acme.example", Role::Agent).await,
        ];
        let forgot = v1::RequestPasswordResetRequest { email: colleagues[0].email.clone() };
        world.nobody().passwords().request_password_reset(forgot).await.unwrap();
        world.deliver().await;
        Self {
            key: world.service_key("hostile", ServiceScope::ALL, None).await,
            session_token: world.sign_in(&owner.email).await.token,
            invitation_token: world.invite(&owner, "marguerite.lindqvist@acme.example", Role::Agent).await,
            reset_token: world.mail_to(&colleagues[0].email).pop().unwrap().reset_token(),
            colleagues,
            other_sign_in: world.sign_in(&owner.email).await,
            pending: pending.try_into().unwrap(),
            owner,
            foreign,
            foreign_invitation,
        }
    }

    /// An id of the other workspace that would fit into a field of this name.
    pub fn foreign_id(&self, field: &str) -> &str {
        match field {
            "invitation_id" => &self.foreign_invitation,
            "session_id" => &self.foreign.session_id,
            "workspace_id" => &self.foreign.workspace_id,
            "request_id" => &self.foreign.workspace_id,
            name if name.ends_with("user_id") => &self.foreign.user_id,
            name => panic!("nobody knows what a foreign {name} is"),
        }
    }

    pub fn by(&self, world: &World, who: Who) -> As {
        match who {
            Who::Nobody => world.nobody(),
            Who::Owner => world.by(&self.owner),
            Who::Key => world.with_token(&self.key).in_workspace(&self.owner.workspace_id),
        }
    }

    /// One good call of every method that has a field. Each is repeatable, or comes once.
    pub fn calls(&self) -> Vec<Call> {
        let [gil, max] = &self.colleagues;
        let [one, two] = &self.pending;
        let owner = |service, method, message| Call { service, method, who: Who::Owner, message };
        let nobody = |service, method, message| Call { who: Who::Nobody, ..owner(service, method, message) };
        let key = |service, method, message| Call { who: Who::Key, ..owner(service, method, message) };
        let check = v1::CheckAccessRequest {
            subject: Some(Subject::SessionToken(self.session_token.clone())),
            requirement: Some(Requirement::Permission(1)),
        };
        let id = |id: &str| id.to_owned();
        vec![
            owner("UserService", "ListUsers", Vec::new()),
            owner("UserService", "GetUser", v1::GetUserRequest { user_id: id(&gil.user_id) }.encode_to_vec()),
            owner(
                "UserService",
                "BatchGetUsers",
                v1::BatchGetUsersRequest { user_ids: vec![id(&gil.user_id)] }.encode_to_vec(),
            ),
            owner(
                "UserService",
                "UpdateProfile",
                v1::UpdateProfileRequest { display_name: Some("Olga".into()) }.encode_to_vec(),
            ),
            owner(
                "UserService",
                "ChangeUserRole",
                v1::ChangeUserRoleRequest { user_id: id(&gil.user_id), role: Role::Manager.number() }.encode_to_vec(),
            ),
            owner("UserService", "RemoveUser", v1::RemoveUserRequest { user_id: id(&max.user_id) }.encode_to_vec()),
            owner(
                "InvitationService",
                "CreateInvitation",
                v1::CreateInvitationRequest {
                    email: "new@acme.example".into(),
                    role: Role::Agent.number(),
                    request_id: String::new(),
                }
                .encode_to_vec(),
            ),
            owner("InvitationService", "ListInvitations", Vec::new()),
            owner(
                "InvitationService",
                "GetInvitation",
                v1::GetInvitationRequest { invitation_id: id(one) }.encode_to_vec(),
            ),
            owner(
                "InvitationService",
                "ResendInvitation",
                v1::ResendInvitationRequest { invitation_id: id(one), request_id: String::new() }.encode_to_vec(),
            ),
            owner(
                "InvitationService",
                "CancelInvitation",
                v1::CancelInvitationRequest { invitation_id: id(two) }.encode_to_vec(),
            ),
            nobody(
                "InvitationService",
                "PreviewInvitation",
                v1::PreviewInvitationRequest { invitation_token: id(&self.invitation_token) }.encode_to_vec(),
            ),
            nobody(
                "InvitationService",
                "AcceptInvitation",
                v1::AcceptInvitationRequest {
                    invitation_token: id(&self.invitation_token),
                    display_name: "Marguerite".into(),
                    password: PASSWORD.into(),
                }
                .encode_to_vec(),
            ),
            nobody(
                "SessionService",
                "SignIn",
                v1::SignInRequest { email: self.owner.email.clone(), password: PASSWORD.into(), ..Default::default() }
                    .encode_to_vec(),
            ),
            owner(
                "SessionService",
                "SwitchWorkspace",
                v1::SwitchWorkspaceRequest { workspace_id: id(&self.owner.workspace_id) }.encode_to_vec(),
            ),
            owner("SessionService", "ListSessions", Vec::new()),
            owner(
                "SessionService",
                "RevokeSession",
                v1::RevokeSessionRequest { session_id: id(&self.other_sign_in.session_id) }.encode_to_vec(),
            ),
            owner(
                "SessionService",
                "Reauthenticate",
                v1::ReauthenticateRequest { password: PASSWORD.into() }.encode_to_vec(),
            ),
            key(
                "WorkspaceService",
                "CreateWorkspace",
                v1::CreateWorkspaceRequest {
                    name: "New".into(),
                    owner_email: "owner@new.example".into(),
                    request_id: String::new(),
                }
                .encode_to_vec(),
            ),
            owner("WorkspaceService", "ListWorkspaces", Vec::new()),
            owner(
                "WorkspaceService",
                "UpdateWorkspace",
                v1::UpdateWorkspaceRequest { name: Some("Acme Ltd".into()) }.encode_to_vec(),
            ),
            key("AccessService", "CheckAccess", check.encode_to_vec()),
            key(
                "AccessService",
                "BatchCheckAccess",
                v1::BatchCheckAccessRequest { checks: vec![check.clone()] }.encode_to_vec(),
            ),
            owner("AuditService", "ListAuditEvents", Vec::new()),
            nobody(
                "PasswordService",
                "RequestPasswordReset",
                v1::RequestPasswordResetRequest { email: self.owner.email.clone() }.encode_to_vec(),
            ),
            nobody(
                "PasswordService",
                "ResetPassword",
                v1::ResetPasswordRequest { reset_token: id(&self.reset_token), new_password: PASSWORD.into() }
                    .encode_to_vec(),
            ),
            // Last, since it ends the other sign-ins.
            owner(
                "PasswordService",
                "ChangePassword",
                v1::ChangePasswordRequest { current_password: PASSWORD.into(), new_password: PASSWORD.into() }
                    .encode_to_vec(),
            ),
        ]
    }
}

async fn only_invitation(world: &World, inviter: &Person, email: &str) -> String {
    let list = world.by(inviter).invitations().list_invitations(v1::ListInvitationsRequest::default()).await;
    let found = list.unwrap().into_inner().invitations.into_iter().find(|invitation| invitation.email == email);
    found.unwrap().invitation_id
}
