//! `SessionService`.

use secrecy::{ExposeSecret, SecretString};
use tonic::Request;

use crate::app::{SignIn, SignedIn};
use crate::authz::Permission;
use crate::error::Violations;
use crate::grpc::call::Admitted;
use crate::grpc::convert::{self, fields};
use crate::grpc::pb::v1;
use crate::grpc::pb::v1::session_service_server::SessionService;
use crate::model::{ListId, SessionId, WorkspaceId};

use super::user::count;
use super::{Answer, Api};

#[tonic::async_trait]
impl SessionService for Api {
    async fn sign_in(&self, request: Request<v1::SignInRequest>) -> Answer<v1::SignInResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let email = violations.take(fields::email("email", &message.email));
            let password = violations.take(fields::password("password", message.password));
            let workspace = violations.take(fields::optional_uuid("workspace_id", &message.workspace_id));
            let ((email, password), workspace) = fields::all(violations, email.zip(password).zip(workspace))?;
            let device_token = Some(message.device_token).filter(|token| !token.is_empty()).map(SecretString::from);
            let command = SignIn { email, password, workspace: workspace.map(WorkspaceId::new), device_token };
            let signed_in = self
                .change(&admitted, move |app, op| {
                    let command = command.clone();
                    async move { app.sign_in(&op, &command).await }
                })
                .await?;
            Ok(signed_in.into())
        };
        admitted.answer(outcome.await)
    }

    async fn switch_workspace(
        &self,
        request: Request<v1::SwitchWorkspaceRequest>,
    ) -> Answer<v1::SwitchWorkspaceResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let target = violations.take(fields::uuid("workspace_id", &message.workspace_id)).map(WorkspaceId::new);
            let target = fields::all(violations, target)?;
            let switched =
                self.change(&admitted, move |app, op| async move { app.switch_workspace(&op, target).await }).await?;
            let current = switched.session.session_id;
            Ok(v1::SwitchWorkspaceResponse {
                session_token: switched.token.expose_secret().to_owned(),
                session: Some(convert::session(switched.session, current)),
            })
        };
        admitted.answer(outcome.await)
    }

    async fn get_session(&self, request: Request<v1::GetSessionRequest>) -> Answer<v1::GetSessionResponse> {
        let (admitted, _) = Admitted::open(request)?;
        let outcome = async {
            let now = self.app.current_session(&admitted.op).await?;
            let current = now.session.session_id;
            Ok(v1::GetSessionResponse {
                session: Some(convert::session(now.session, current)),
                user: Some(convert::user(now.member)),
                workspace: Some(convert::membership(now.workspace)),
                permissions: now.permissions.into_iter().map(Permission::number).collect(),
            })
        };
        admitted.answer(outcome.await)
    }

    async fn list_sessions(&self, request: Request<v1::ListSessionsRequest>) -> Answer<v1::ListSessionsResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let caller = admitted.op.caller.session()?;
            let list = ListId::new("sessions", None).filter(caller.user_id.uuid().as_bytes());
            let page = fields::page(Violations::default(), &list, message.page_size, &message.page_token)?;
            let page = self.app.list_sessions(&admitted.op, &page).await?;
            Ok(v1::ListSessionsResponse {
                next_page_token: page.next.as_ref().map(|position| list.token(position)).unwrap_or_default(),
                sessions: page.rows.into_iter().map(|row| convert::session(row, caller.session_id)).collect(),
            })
        };
        admitted.answer(outcome.await)
    }

    async fn revoke_session(&self, request: Request<v1::RevokeSessionRequest>) -> Answer<v1::RevokeSessionResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let id = violations.take(fields::uuid("session_id", &message.session_id)).map(SessionId::new);
            let id = fields::all(violations, id)?;
            self.change(&admitted, move |app, op| async move { app.revoke_session(&op, id).await }).await?;
            Ok(v1::RevokeSessionResponse {})
        };
        admitted.answer(outcome.await)
    }

    async fn revoke_other_sessions(
        &self,
        request: Request<v1::RevokeOtherSessionsRequest>,
    ) -> Answer<v1::RevokeOtherSessionsResponse> {
        let (admitted, _) = Admitted::open(request)?;
        let outcome = async {
            let ended = self.change(&admitted, |app, op| async move { app.revoke_other_sessions(&op).await }).await?;
            Ok(v1::RevokeOtherSessionsResponse { ended_session_count: count(ended) })
        };
        admitted.answer(outcome.await)
    }

    async fn sign_out(&self, request: Request<v1::SignOutRequest>) -> Answer<v1::SignOutResponse> {
        let (admitted, _) = Admitted::open(request)?;
        let outcome = async {
            self.change(&admitted, |app, op| async move { app.sign_out(&op).await }).await?;
            Ok(v1::SignOutResponse {})
        };
        admitted.answer(outcome.await)
    }

    async fn reauthenticate(&self, request: Request<v1::ReauthenticateRequest>) -> Answer<v1::ReauthenticateResponse> {
        let (admitted, message) = Admitted::open(request)?;
        let outcome = async {
            let mut violations = Violations::default();
            let password = violations.take(fields::password("password", message.password));
            let password = fields::all(violations, password)?;
            self.change(&admitted, move |app, op| {
                let password = password.clone();
                async move { app.reauthenticate(&op, password).await }
            })
            .await?;
            Ok(v1::ReauthenticateResponse {})
        };
        admitted.answer(outcome.await)
    }
}

impl From<SignedIn> for v1::SignInResponse {
    fn from(signed_in: SignedIn) -> Self {
        let current = signed_in.session.session_id;
        Self {
            session_token: signed_in.token.expose_secret().to_owned(),
            session: Some(convert::session(signed_in.session, current)),
            user: Some(convert::user(signed_in.member)),
            workspace: Some(convert::membership(signed_in.workspace)),
            device_token: signed_in.device_token.map(|token| token.expose_secret().to_owned()).unwrap_or_default(),
        }
    }
}

impl From<SignedIn> for v1::AcceptInvitationResponse {
    fn from(accepted: SignedIn) -> Self {
        let answer = v1::SignInResponse::from(accepted);
        Self {
            session_token: answer.session_token,
            session: answer.session,
            user: answer.user,
            device_token: answer.device_token,
        }
    }
}
